"""Figures, from counts made by hand: what they show, and that they leave settings alone."""

import base64
import io
import re
from dataclasses import replace

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from made_up import made_interactions, made_kinds, made_pairs
from PIL import Image

from helpers import measures, plots, statistics
from helpers.book import figures, published
from helpers.construction import Constructions, Made
from helpers.correlations import Pictures
from helpers.lesions import LesionProfiles
from helpers.partitions import Partition
from helpers.plots.style import PAGE_WIDTH, TEXT_SIZE
from helpers.plots.svg import shortened


@pytest.fixture
def profiles():
    partition = Partition.from_labels({"a": [0, 0, 1, -1], "b": [0, 1, 1, 1]})
    rng = np.random.default_rng(0)
    subclusters = tuple(partition.subclusters())
    return LesionProfiles(
        partition,
        subclusters,
        class_sizes=np.full(3, 10),
        intact=np.full(3, 9),
        true=rng.integers(0, 10, (len(subclusters), 3)),
        random=rng.integers(0, 10, (len(subclusters), 4, 3)),
        fingerprint="a network and its images",
    )


def test_figures_label_their_axes_and_are_not_left_open(profiles):
    compared = measures.importance(profiles)
    for figure in (
        plots.clusters_by_layer(profiles.partition),
        plots.cut_against_shuffles(1.0, [1.5, 1.6]),
        plots.accuracy_profiles(profiles),
        plots.lesions_against_twins(compared),
        plots.p_value_counts({"importance": compared}),
    ):
        figure.draw_without_rendering()
        assert figure.get_figwidth() == PAGE_WIDTH
        labels = [figure.get_supxlabel(), figure.get_supylabel()]
        labels += [text for axes in figure.axes for text in (axes.get_xlabel(), axes.get_ylabel())]
        assert any(labels)
    assert plt.get_fignums() == []


def test_bands_join_a_cluster_in_neighbouring_layers_and_are_as_wide_as_its_share():
    labels = {"a": [0, 0, 0, 1], "b": [1, 0, -1, 2], "c": [2, 2, 1, 1, 1]}
    (axes,) = plots.clusters_by_layer(Partition.from_labels(labels)).axes
    bands = [each for each in axes.patches if isinstance(each, mpl.patches.PathPatch)]
    seen = []
    for band in bands:
        points = band.get_path().vertices
        seen.append((points[7, 1] - points[0, 1], points[4, 1] - points[3, 1]))
    shares = [(75, 25), (25, 25), (25, 60), (25, 40)]  # 0 and 1 from a to b, 1 and 2 from b to c
    np.testing.assert_allclose(sorted(seen), sorted(shares))
    texts = {text.get_text() for text in axes.texts}
    assert texts >= {"0 (3)", "1 (1)", "2 (2)", "1 (3)", "(1)"}


def test_halves_are_drawn_apart_and_whole():
    images = np.arange(2 * 4 * 6, dtype=np.float32).reshape(2, 4, 6, 1) / 48
    whole, halved = pixels(plots.example_images([{"a": images, "b": images}], halved=["b"]))
    assert whole.shape == (4, 6 + 2 + 6, 3)
    assert halved.shape == (4, 6 + 2 + 7, 3)
    np.testing.assert_allclose(halved[:, [0, 1, 2, 4, 5, 6]], whole[:, :6], atol=1e-6)
    assert (halved[:, 3] == 1).all()
    np.testing.assert_allclose(halved[:, [8, 9, 10, 12, 13, 14]], whole[:, 8:14], atol=1e-6)


def test_counts_of_p_values_add_up_to_the_sub_clusters_that_are_tested(profiles):
    compared = measures.importance(profiles)
    (axes,) = plots.p_value_counts({"importance": compared}).axes
    heights = [bar.get_height() for bar in axes.patches]
    assert len(heights) == compared.n_random + 1
    expected = np.bincount(np.rint(5 * compared.p[compared.is_tested]).astype(int), minlength=6)
    assert heights == expected[1:].tolist()
    effect = compared.combine()["effect"].iloc[0]
    assert f"mean effect {effect:.2g} points" in axes.get_title()


def test_lesions_are_drawn_in_percent_beside_the_intact_network(profiles):
    axes = plots.lesions_against_twins(measures.importance(profiles)).axes[0]
    points = [line for line in axes.lines if line.get_marker() == "o"]
    drawn = [float(point.get_ydata()[0]) for point in points]
    np.testing.assert_allclose(drawn, 100 * profiles.true.sum(axis=1) / 30)
    assert 90 in [line.get_ydata()[0] for line in axes.lines if line.get_linestyle() == "--"]


def test_profiles_show_each_class_and_all_images_beside_the_twins_range(profiles):
    figure = plots.accuracy_profiles(profiles)
    used = [axes for axes in figure.axes if axes.axison]
    assert len(used) == len(figure.axes) == len(profiles.subclusters)
    for axes, true, random in zip(used, profiles.true, profiles.random, strict=True):
        twins, median, intact, lesioned = (line.get_ydata() for line in axes.lines)
        np.testing.assert_allclose(lesioned, [*10 * true, 100 * true.sum() / 30])
        np.testing.assert_allclose(intact, 90)
        overall = 100 * random.sum(axis=1) / 30
        ends = np.reshape(twins, (-1, 3))[:, :2]
        np.testing.assert_allclose(ends[:-1, 0], 10 * random.min(axis=0))
        np.testing.assert_allclose(ends[-1], [overall.min(), overall.max()])
        np.testing.assert_allclose(median[:-3:3], 10 * np.median(random, axis=0))


def test_profiles_of_many_sub_clusters_leave_no_gap_between_them(profiles):
    many = replace(
        profiles,
        subclusters=profiles.subclusters * 2,
        true=np.tile(profiles.true, (2, 1)),
        random=np.tile(profiles.random, (2, 1, 1)),
    )
    n = len(many.subclusters)
    drawn = [axes.axison for axes in plots.accuracy_profiles(many).axes]
    assert n > 4
    assert drawn == [True] * n + [False] * (len(drawn) - n)


@pytest.mark.parametrize(("n", "columns"), [(1, 1), (5, 5), (6, 3), (8, 4), (10, 5), (11, 4)])
def test_profiles_stand_in_rows_that_leave_few_places_empty(profiles, n, columns):
    several = replace(
        profiles,
        subclusters=profiles.subclusters[:1] * n,
        true=np.tile(profiles.true[:1], (n, 1)),
        random=np.tile(profiles.random[:1], (n, 1, 1)),
    )
    grid = plots.accuracy_profiles(several).axes[0].get_gridspec()
    assert grid.ncols == columns


def test_both_forms_of_a_test_are_seen_where_they_agree():
    table = pd.DataFrame(
        [
            (statistic, k, p)
            for statistic in ("fisher", "exchangeable_fisher", "chi2", "exchangeable_chi2")
            for k, p in ((4, 0.5), (8, 1e-9))
        ],
        columns=["test", "n_clusters", "p"],
    ).assign(network="net", measure="importance", effect=2.0)
    figure = plots.over_n_clusters(table)
    assert len(figure.axes) == 3
    for axes in figure.axes[:2]:
        below, above = [
            line
            for line in axes.lines
            if len(line.get_xdata()) == 2 and line.get_marker() != "None"
        ]
        np.testing.assert_allclose(below.get_ydata(), above.get_ydata())
        assert below.get_ydata()[1] == 1e-6
        assert below.get_markersize() > above.get_markersize()
        assert below.get_markerfacecolor() == "none"
    effects = figure.axes[2]
    assert effects.get_title(loc="left") == "effect, points"
    np.testing.assert_array_equal(effects.lines[0].get_xydata(), [[4, 2], [8, 2]])


@pytest.fixture
def pictures():
    """Pictures of two by two pixels with two channels: two sub-clusters in a, one in b."""
    partition = Partition.from_labels({"a": [0, 0, 1, 1, 1], "b": [0, 0, 0, 1, -1]})
    rng = np.random.default_rng(0)
    subclusters = partition.subclusters(min_size=2)
    return Pictures(
        partition,
        subclusters,
        true=rng.uniform(-1, 1, (len(subclusters), 8)),
        random=rng.uniform(-1, 1, (len(subclusters), 4, 8)),
        true_strength=np.ones(len(subclusters)),
        random_strength=np.ones((len(subclusters), 4)),
        fingerprint="maps",
    )


def pixels(figure):
    """The images that a figure shows, red, green and blue for each panel, the rest white."""
    shown = [np.asarray(axes.images[0].get_array()) for axes in figure.axes if axes.images]
    return [np.where(each[..., 3:] == 0, 1, each[..., :3]) for each in shown]


def test_two_channels_are_drawn_in_orange_and_its_complement():
    both = np.zeros((2, 1, 1, 2))
    both[0, ..., 0] = both[1, ..., 1] = 1
    (first,) = pixels(plots.example_images([{"row": both[:1]}]))
    (second,) = pixels(plots.example_images([{"row": both[1:]}]))
    np.testing.assert_allclose(first + second, 1)
    assert first[0, 0, 0] > 0.8 > 0.2 > first[0, 0, 2]
    (grey,) = pixels(plots.example_images([{"row": np.full((1, 1, 1, 2), 0.5)}]))
    np.testing.assert_allclose(grey, 0.5)


def test_rows_of_images_of_different_size_stand_one_below_the_other():
    figure = plots.example_images(
        [
            {"small": np.ones((3, 8, 8, 1)), "large": np.ones((3, 28, 28, 1))},
            {"one": np.ones((1, 2, 3, 3))},
        ]
    )
    assert [panel.shape[:2] for panel in pixels(figure)] == [(8, 28), (28, 94), (2, 3)]
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["small", "large", "one"]
    figure.draw_without_rendering()
    left, right = figure.axes[1].get_window_extent().intervalx
    assert (right - left) / 92 * 28 > 0.7 * figure.dpi  # inches


def test_each_column_of_pictures_is_scaled_from_black_to_white_by_itself(pictures):
    grey = replace(pictures, true=pictures.true[:, :4], random=pictures.random[..., :4])
    (shown,) = pixels(plots.subcluster_pictures({"net": (grey, (2, 2, 1))}, n_shown=4))
    is_white = (shown == 1).all(axis=(0, 2))
    columns = np.split(shown[..., 0], np.flatnonzero(is_white), axis=1)
    drawn = [each[:, ~(each == 1).all(axis=0)] for each in columns]
    drawn = [each for each in drawn if each.size]
    assert len(drawn) == len(grey.subclusters)
    for column, true in zip(drawn, grey.true, strict=True):
        assert column.min() == 0
        order = np.argsort(column[:2].ravel())
        np.testing.assert_array_equal(order, np.argsort(true.reshape(2, 2).ravel()))


@pytest.mark.parametrize("sign", [-1, 1])
def test_the_hue_of_a_stacks_picture_is_that_of_the_image_it_responds_to(pictures, sign):
    first_only = sign * np.array([0.1, 0, 0.5, 0, 1, 0, 0.2, 0])
    drawn = replace(pictures, true=np.tile(first_only, (3, 1)), random=np.zeros((3, 4, 8)))
    (shown,) = pixels(plots.subcluster_pictures({"net": (drawn, (2, 2, 2))}))
    red, _, blue = shown[:2, :2].mean(axis=(0, 1))
    assert red > 0.3
    assert blue == 0


def test_all_twins_are_drawn_if_there_are_fewer_than_asked_for(pictures):
    few = plots.subcluster_pictures({"net": (pictures, (2, 2, 2))}, n_shown=9)
    all_of_them = plots.subcluster_pictures({"net": (pictures, (2, 2, 2))}, n_shown=4)
    np.testing.assert_array_equal(pixels(few)[0], pixels(all_of_them)[0])


def test_columns_of_pictures_carry_cluster_and_layer(pictures):
    figure = plots.subcluster_pictures({"net": (pictures, (2, 2, 2))}, n_shown=2)
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "1", "0"]
    assert [text.get_text() for text in axes.texts] == ["a", "b"]
    assert not axes.get_title(loc="left")  # One panel needs no letter.


def test_layers_without_room_for_their_pictures_go_to_the_next_line_at_the_same_size(pictures):
    panels = {"net": (pictures, (2, 2, 2)), "same": (pictures, (2, 2, 2))}
    figure = plots.subcluster_pictures(panels, n_shown=2, size=0.6, width=2)
    names = [[text.get_text() for text in axes.texts] for axes in figure.axes]
    assert names == [["a"], ["b"], ["a"], ["b"]]
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["(a) net", "", "(b) same", ""]
    figure.draw_without_rendering()
    per_pixel = [axes.get_window_extent().width / np.ptp(axes.get_xlim()) for axes in figure.axes]
    np.testing.assert_allclose(per_pixel, per_pixel[0])
    (in_one,) = plots.subcluster_pictures({"net": panels["net"]}, size=0.4, width=2).axes
    assert [text.get_text() for text in in_one.texts] == ["a", "b"]


def test_a_network_without_pictures_says_so(pictures):
    none = replace(pictures, subclusters=[], true=pictures.true[:0], random=pictures.random[:0])
    figure = plots.subcluster_pictures({"net": (none, (2, 2, 2))})
    assert figure.axes[0].texts[0].get_text() == "no sub-cluster within the size rule"


def test_without_networks_a_figure_says_so():
    for figure in (plots.subcluster_pictures({}), plots.against_twins({}, "contrast")):
        assert figure.axes[0].texts[0].get_text() == "no networks to draw"


@pytest.mark.parametrize("side", ["right", "left"])
def test_sub_clusters_beyond_all_their_twins_are_filled(side, pictures):
    preference = measures.preference(pictures, np.array([0, 1] * 4))
    random = preference.random.clip(0.01, 0.98)
    compared = replace(preference, side=side, true=np.array([0.99, 0.0, 0.99]), random=random)
    figure = plots.against_twins({"net": compared}, "preference", ("left", "right"))
    points = [line for line in figure.axes[0].lines if line.get_marker() in "<>"]
    filled = [point.get_markerfacecolor() != "white" for point in points]
    assert filled == [side == "right", side == "left", side == "right"]
    preferred = compared.subclusters["preferred"]
    assert [point.get_marker() for point in points] == ["<>"[part] for part in preferred]
    assert figure.axes[0].get_ylim()[0] == 0


def test_the_readers_settings_stay_as_they_are_and_figures_have_ours_whenever_drawn(profiles):
    with mpl.rc_context({"font.size": 20, "axes.spines.top": True}):
        before = dict(mpl.rcParams)
        figure = plots.clusters_by_layer(profiles.partition)
        figure.draw_without_rendering()
        figure.canvas.draw()
        assert dict(mpl.rcParams) == before
    axes = figure.axes[0]
    assert not axes.spines["top"].get_visible()
    assert {label.get_fontsize() for label in axes.get_yticklabels()} == {TEXT_SIZE}
    assert figure.dpi == 150


def test_the_addition_table_shows_every_answer():
    figure = plots.addition_table(np.array([[0, 1], [1, 0]]))
    assert [text.get_text() for text in figure.axes[0].texts] == ["0", "1", "1", "0"]


@pytest.fixture
def made():
    """Constructions of three sub-clusters and two twins each, of two by three pixels."""
    partition = Partition.from_labels({"a": [0, 0, 1, 1, 1], "b": [0, 0, 0, 1, -1]})
    rng = np.random.default_rng(0)
    numbers = rng.uniform(0.1, 1, (3, 3, 3))
    images = rng.uniform(0, 1, (3, 3, 2, 3, 3)).astype(np.float32)
    chosen = tuple(partition.subclusters(min_size=2))
    true = Made(images[:, 0], *numbers[:, :, 0])
    random = Made(images[:, 1:], *numbers[:, :, 1:])
    return Constructions(partition, chosen, true, random, "a network and its images")


def test_constructed_images_stand_in_rows_the_true_one_first(made):
    figure = plots.constructed_images({"net": made})
    (shown,) = pixels(figure)
    np.testing.assert_allclose(shown[:2, :3], made.true.images[0], rtol=1e-6)
    np.testing.assert_allclose(shown[-2:, -3:], made.random.images[2, 1], rtol=1e-6)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels[0] == "a, cluster 0\n2 units"
    assert len(pixels(plots.constructed_images({"net": made}, n_shown=2))[0]) < len(shown)


def test_constructed_images_of_several_networks_stand_side_by_side(made):
    figure = plots.constructed_images({"first": made, "second": made})
    first, second = pixels(figure)
    np.testing.assert_array_equal(first, second)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["(a) first", "(b) second"]
    assert "no networks" in plots.constructed_images({}).axes[0].texts[0].get_text()


def texts_of(axes):
    return [text for text in axes.texts if text.get_text()]


@pytest.mark.slow
def test_labels_of_important_sub_clusters_do_not_overlap():
    figure = plots.taxonomy(made_kinds(3, 4))
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in texts_of(figure.axes[0])]
    assert len(boxes) == 12
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_only_important_sub_clusters_are_labelled_by_layer_and_cluster():
    kinds = made_kinds(2, 2)
    kinds["kind"] = ["small", "important", "other", "important"]
    labels = [text.get_text() for text in texts_of(plots.taxonomy(kinds).axes[0])]
    assert labels == ["1-1", "2-1"]


def test_a_taxonomy_without_important_sub_clusters_is_drawn_all_the_same():
    figure = plots.taxonomy(made_kinds(2, 2, "other"))
    assert texts_of(figure.axes[0]) == []


def test_the_heat_map_has_the_first_in_rows_and_the_single_damage_on_the_diagonal():
    kinds = made_kinds(2, 2)
    kinds["damage"] = [0.1, 0.2, 0.3, 0.4]
    axes = plots.double_lesions(made_pairs(kinds), kinds).axes[0]
    cells = np.reshape([text.get_text() for text in axes.texts], (4, 4))
    assert cells.diagonal().tolist() == ["10", "20", "30", "40"]
    assert cells[0, 1] == "-1*"
    assert cells[1, 0] == "1?"
    bold = np.reshape([text.get_fontweight() == "bold" for text in axes.texts], (4, 4))
    np.testing.assert_array_equal(bold, np.eye(4, dtype=bool))
    rows = [label.get_text() for label in axes.get_yticklabels()]
    assert rows == ["1-0 IMP", "1-1 IMP", "2-0 IMP", "2-1 IMP"]
    assert rows == [label.get_text() for label in axes.get_xticklabels()]


@pytest.mark.slow
def test_no_text_of_a_heat_map_of_25_rows_leaves_its_cell():
    kinds = made_kinds(5, 5)
    figure = plots.double_lesions(made_pairs(kinds), kinds)
    figure.draw_without_rendering()
    axes = figure.axes[0]
    width, height = np.abs(axes.transData.transform((1, 1)) - axes.transData.transform((0, 0)))
    boxes = [text.get_window_extent() for text in axes.texts]
    assert len(boxes) == 625
    assert max(box.width for box in boxes) < width
    assert max(box.height for box in boxes) < height
    assert {text.get_fontsize() for text in axes.texts} == {TEXT_SIZE}


def test_a_heat_map_of_a_single_sub_cluster_shows_its_damage():
    kinds = made_kinds(1, 1)
    axes = plots.double_lesions(made_pairs(kinds), kinds).axes[0]
    assert len(axes.texts) == 1


def test_each_case_is_drawn_with_the_arrows_that_its_reading_names():
    figure = plots.dependency_cases()
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == [
        "X given Y: no\nY given X: no",
        "X given Y: no\nY given X: yes",
        "X given Y: yes\nY given X: no",
        "X given Y: yes\nY given X: yes",
    ]
    readings = [" ".join(axes.texts[-1].get_text().split()) for axes in figure.axes]
    assert readings == list(measures.CASES.values())
    arrows = [sum(text.get_text() == "" for text in axes.texts) for axes in figure.axes]
    assert arrows == [2, 3, 3, 4]


def test_the_graph_has_an_arrow_for_each_edge_and_a_dot_for_each_important_sub_cluster():
    kinds = made_kinds(3, 2)
    kinds.loc[0, "kind"] = "small"
    table = measures.dependency_table(made_pairs(kinds), kinds)
    axes = plots.dependency_graph(table, kinds).axes[0]
    assert len(texts_of(axes)) == 5
    assert sum(text.get_text() == "" for text in axes.texts) == table["edge"].sum() > 0


def test_without_important_sub_clusters_the_graph_says_so():
    kinds = made_kinds(2, 2, "other")
    table = measures.dependency_table(made_pairs(kinds), kinds)
    figure = plots.dependency_graph(table, kinds)
    assert "empty" in figure.axes[0].texts[0].get_text()


def test_interactions_are_drawn_by_distance_beside_those_of_matched_sets():
    kinds = made_kinds(3, 2)
    table = made_interactions(kinds)
    axes = plots.interactions(table, kinds).axes[0]
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert len(labels) == len(table) == 12
    # One step first; within a distance the largest interaction first.
    assert sorted(labels[-4:]) == ["1-0 → 3-0", "1-0 → 3-1", "1-1 → 3-0", "1-1 → 3-1"]
    assert [text.get_text() for text in axes.texts] == ["1 step", "2 steps"]
    heights = {}
    for line in axes.lines:
        if line.get_marker() in ("o", "s", "x"):
            heights |= dict(zip(line.get_xdata(), line.get_ydata(), strict=True))
    drawn = [heights[i] for i in range(12)]
    assert drawn[:8] == sorted(drawn[:8], reverse=True)
    assert drawn[8:] == sorted(drawn[8:], reverse=True)
    assert sorted(drawn) == sorted(table["interaction"])


def test_what_kind_of_pair_it_is_shows_in_marker_and_filling():
    kinds = made_kinds(2, 2)
    table = made_interactions(kinds)
    lines = plots.interactions(table, kinds).axes[0].lines
    shown = {
        (line.get_marker(), line.get_markerfacecolor() == "white"): len(line.get_xdata())
        for line in lines
        if line.get_marker() in ("o", "s")
    }
    found = table["kind"].isin(["dependent", "redundant"])
    none = table["kind"] == "none"
    assert shown == {
        ("o", False): (found & table["within"]).sum(),
        ("o", True): (none & table["within"]).sum(),
        ("s", False): (found & ~table["within"]).sum(),
        ("s", True): (none & ~table["within"]).sum(),
    }
    crosses = sum(len(line.get_xdata()) for line in lines if line.get_marker() == "x")
    assert crosses == (table["kind"] == "not comparable").sum() > 0


def test_without_pairs_the_figure_of_interactions_says_so():
    kinds = made_kinds(1, 2)
    figure = plots.interactions(made_interactions(kinds), kinds)
    assert "no two important sub-clusters" in figure.axes[0].texts[0].get_text()


def test_new_figures_label_their_axes_and_are_not_left_open():
    kinds = made_kinds(2, 2)
    corrected = statistics.multiple_comparisons(published.table1())
    curve = published.table1().assign(n_clusters=8, effect=1.0)
    curve = curve[curve["measure"] == "importance"]
    drawn = [
        plots.taxonomy(kinds),
        plots.double_lesions(made_pairs(kinds), kinds),
        plots.interactions(made_interactions(kinds), kinds),
        figures.corrected_p_values(corrected, 0.05),
    ]
    assert all(figure.axes[0].get_xlabel() for figure in drawn)
    assert all(figure.axes[0].get_ylabel() for figure in drawn)
    over_k = plots.over_n_clusters(curve[curve["network"] == "MLP on MNIST"], [8])
    assert {text.get_text() for text in over_k.texts} == {
        "number of clusters",
        "combined p value",
    }
    assert plt.get_fignums() == []


def drawn(made, pictures, profiles):
    """One figure of each kind that the book has."""
    compared = measures.importance(profiles)
    kinds = made_kinds(2, 3)
    pairs = measures.dependency_table(made_pairs(kinds), kinds, {})
    by_k = compared.combine(0).assign(network="net", n_clusters=4, measure="importance")
    table = published.table1()
    return [
        plots.clusters_by_layer(profiles.partition),
        plots.cut_against_shuffles(1.0, [1.5, 1.6]),
        plots.accuracy_profiles(profiles),
        plots.lesions_against_twins(compared),
        plots.p_value_counts({"importance": compared}),
        plots.against_twins({"net": compared}, "contrast"),
        plots.over_n_clusters(by_k),
        plots.subcluster_pictures({"net": (pictures, (2, 2, 2))}),
        plots.constructed_images({"net": made}),
        plots.addition_table(np.eye(3, dtype=int)),
        plots.taxonomy(kinds),
        plots.double_lesions(made_pairs(kinds), kinds),
        plots.dependency_cases(),
        plots.dependency_graph(pairs, kinds),
        figures.table1(table.assign(source="published", effect=np.nan)),
        figures.audits(audited(), table),
        figures.verdicts(judged_effects()),
        figures.corrected_p_values(statistics.multiple_comparisons(table, 0.05, 0.05), 0.05),
    ]


def judged_effects():
    """Effects behind verdicts: of two claims about accuracy, and one about ratios."""
    important, small, uneven = "They matter.", "Some do.", "They are uneven."
    ends = {"points": (0.0, 1.0), "more sub-clusters": (0.0, -np.inf), "times": (1.0, 1.1)}
    rows = [
        (important, "net", "holds", "points", 3.0, 2.0, 4.0, (2.5, 3.5)),
        (important, "other net", "does not hold", "points", 0.1, 0.0, 0.2, (0.1, 0.1)),
        (small, "net", "undecided", "more sub-clusters", 1.0, -1.0, 3.0, (0.0, 2.0)),
        (uneven, "net", "undecided", "times", 1.2, 0.9, 1.5, (1.2, np.nan)),
    ]
    names = ["claim", "network", "verdict", "unit", "effect", "low", "high", "of_each"]
    table = pd.DataFrame(rows, columns=names)
    table["none"], table["margin"] = zip(*table["unit"].map(ends), strict=True)
    return table


def test_a_verdict_is_drawn_by_its_marker_its_interval_and_each_network():
    figure = figures.verdicts(judged_effects())
    assert [each.get_xlabel().split()[0] for each in figure.axes] == [
        "percentage",
        "sub-clusters",
        "times",
    ]
    points, counts, _ = figure.axes
    assert [each.get_text() for each in points.get_yticklabels()] == ["", "net", "other net"]
    means = {
        float(line.get_ydata()[0]): (line.get_marker(), float(line.get_xdata()[0]))
        for line in points.lines
        if line.get_marker() in ("o", "X")
    }
    assert means == {1: ("o", 3.0), 2: ("X", 0.1)}
    (undecided,) = [line for line in counts.lines if line.get_marker() == "o"]
    assert undecided.get_markerfacecolor() == "white"
    strokes = [list(line.get_xdata()) for line in points.lines if line.get_marker() == "|"]
    assert strokes == [[2.5, 3.5], [0.1, 0.1]]
    intervals = [list(line.get_xdata()) for line in points.lines if line.get_marker() == "None"]
    assert [2.0, 4.0] in intervals
    assert (len(points.patches), len(counts.patches)) == (1, 0), "no number is too small"
    written = {each.get_text() for each in points.texts}
    assert written == {"They matter.", "✓ holds", "✗ does not hold"}
    nothing = figures.verdicts(judged_effects()[:0])
    assert nothing.axes[0].texts[0].get_text() == "of no kind have five networks been looked at"


def audited():
    """P values of a trained and an untrained network by two choices and for two graphs."""
    return pd.DataFrame(
        [
            (graph, choice, measure, "fisher", 10.0**-i, epochs)
            for graph in ("released", "paper")
            for i, choice in enumerate(("as released", "ties count", "range of the profile"))
            for measure in ("importance", "class_range")
            for epochs in (0, 20)
        ],
        columns=["protocol", "choice", "measure", "test", "p", "epochs"],
    )


def test_audits_are_drawn_choice_by_choice_beside_the_published_p_values():
    theirs = pd.DataFrame({"measure": ["importance"], "test": ["fisher"], "p": [1e-15]})
    figure = figures.audits(audited(), theirs)
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == ["published", "as released", "ties count"]
    importance = {
        line.get_marker(): sorted(zip(line.get_xdata(), line.get_ydata(), strict=True))
        for line in figure.axes[0].lines
        if line.get_marker() in "|o^"
    }
    assert importance["|"] == [(1e-12, 0)]
    assert importance["o"] == importance["^"] == [(0.1, 2), (1, 1)]
    assert len(figure.axes) == 4


def test_no_text_of_a_figure_is_smaller_than_ten_points(made, pictures, profiles):
    for figure in drawn(made, pictures, profiles):
        figure.draw_without_rendering()
        sizes = [text.get_fontsize() for text in figure.findobj(mpl.text.Text) if text.get_text()]
        assert min(sizes) >= TEXT_SIZE == 10


def test_a_figure_is_shown_as_the_same_short_svg_each_time(profiles):
    first, second = (plots.clusters_by_layer(profiles.partition).svg() for _ in range(2))
    assert first == second
    assert first.count(">") == first.count("<")
    assert first.startswith("<svg")
    assert first.rstrip().endswith("</svg>")
    assert "<metadata" not in first
    assert len(first) < 30_000


def test_names_in_an_svg_are_those_that_it_refers_to(profiles):
    svg = plots.lesions_against_twins(measures.importance(profiles)).svg()
    named = re.findall(r' id="([^"]+)"', svg)
    assert set(named) == set(re.findall(r'(?:href="|url\()#([^")]+)', svg))


def test_only_what_is_ink_or_paper_is_exactly_black_or_white():
    cells = plots.addition_table(np.arange(9).reshape(3, 3)).axes[0].texts
    assert {text.get_color() for text in cells} == {"#010101", "#FEFEFE"}


def test_a_figure_is_displayed_once_and_as_svg(profiles, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw: shown.append((data, raw)))
    plots.clusters_by_layer(profiles.partition)._ipython_display_()
    ((data, raw),) = shown
    assert raw
    assert sorted(data) == ["image/svg+xml", "text/plain"]


def test_an_svg_is_shortened_to_what_is_seen():
    long = """<?xml version="1.0"?>
<svg width="518.4pt"> <metadata>who</metadata>
 <g id="figure_1"> <path id="DejaVu-13" d="M 1.23456 2.5 L 3.0 2.5 L 4.00 5.125 z "/> </g>
 <use xlink:href="#DejaVu-13" x="0.10001" transform="translate(95.40625 0) scale(0.015625)"/>
</svg>"""
    assert shortened(long) == (
        '<svg width="518.4pt"><g><path id="a" d="M1.23 2.5H3L4 5.12z"/></g>'
        '<use href="#a" x="0.1" transform="translate(95.41 0) scale(0.015625)"/></svg>'
    )


def test_names_in_an_svg_are_short_and_differ():
    many = "".join(f'<path id="it{i}"/><use href="#it{i}"/>' for i in range(4000))
    names = re.findall(r'id="([^"]+)"', shortened(f"<svg>{many}</svg>"))
    assert len(set(names)) == 4000
    assert max(map(len, names)) <= 3
    assert re.findall(r'href="#([^"]+)"', shortened(f"<svg>{many}</svg>")) == names


def test_pixels_of_an_svg_stay_as_they_look(pictures):
    svg = plots.subcluster_pictures({"net": (pictures, (2, 2, 2))}).svg()
    (webp,) = re.findall(r'data:image/webp;base64,([^"]+)', svg)
    with Image.open(io.BytesIO(base64.b64decode(webp))) as picture:
        shown = np.asarray(picture.convert("RGBA")) / 255
    drawn = plots.subcluster_pictures({"net": (pictures, (2, 2, 2))}).axes[0].images[0].get_array()
    assert shown.shape == drawn.shape
    np.testing.assert_array_equal(shown[..., 3], drawn[..., 3])


def test_colours_of_the_cells_of_a_table_stay_as_they_are(profiles):
    figure = plots.addition_table(np.arange(100).reshape(10, 10) * 7 % 10)
    (webp,) = re.findall(r'data:image/webp;base64,([^"]+)', figure.svg())
    with Image.open(io.BytesIO(base64.b64decode(webp))) as picture:
        shown = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    image = figure.axes[0].images[0]
    colours = image.cmap(image.norm(np.arange(10)), bytes=True)[:, :3]
    assert {tuple(each) for each in shown} == {tuple(each) for each in colours}


def test_a_style_is_said_once():
    svg = '<svg><path id="a" d="M0 0" style="fill: red"/><use href="#a" x="1" style="fill: red"/>'
    svg += '<use href="#a" x="2" style="fill: blue"/></svg>'
    assert shortened(svg) == (
        '<svg><path id="a" d="M0 0" style="fill: red"/><use href="#a" x="1"/>'
        '<use href="#a" x="2" style="fill: blue"/></svg>'
    )


def made_shares(**columns):
    return pd.DataFrame(columns).assign(level=0.05, n=100, share=0.04, low=0.01, high=0.1)


def test_sizes_are_drawn_beside_the_level_with_one_row_per_test():
    table = made_shares(
        measure=["importance", "importance", "coherence"], test=["fisher", "exact", "one set"]
    )
    first, second = plots.sizes_of_tests(table).axes
    assert [text.get_text() for text in first.get_yticklabels()] == ["Fisher", "exact"]
    assert [text.get_text() for text in second.get_yticklabels()] == ["one set"]
    assert [line.get_xdata()[0] for line in first.lines if line.get_linestyle() == ":"] == [0.05]


def test_powers_have_a_panel_for_twins_and_one_for_images():
    tests = ["exact", "fisher"] * 2
    figure = plots.powers(
        made_shares(n_random=[20, 20, 99, 99], test=tests),
        made_shares(n_images=[50, 50, 400, 400], test=tests),
    )
    labels = [[text.get_text() for text in axes.get_xticklabels()] for axes in figure.axes]
    assert labels == [["20", "99"], ["50", "400"]]


def test_every_redraw_of_twins_is_a_dot():
    table = pd.DataFrame(
        {"n_random": np.repeat([20, 200], 30), "test": ["chi2"] * 60, "p": np.linspace(0.01, 1, 60)}
    )
    figure = plots.redrawn_twins(table)
    for axes, values in zip(figure.axes, np.split(table["p"].to_numpy(), 2), strict=True):
        (dots,) = [line for line in axes.lines if line.get_marker() == "."]
        np.testing.assert_array_equal(dots.get_xdata(), values)
