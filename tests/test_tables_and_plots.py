"""Tables and figures, from counts made by hand and from the published p values."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from helpers import importance, plots, published, tables, zoo
from helpers.partitions import Partition
from helpers.profiles import LesionProfiles


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
    )


def test_published_medians_are_those_of_the_papers_table():
    p_values = published.lesion_p_values(zoo.recipe("mnist-mlp"))
    assert np.median(p_values["importance", "fisher"]) == pytest.approx(1.34e-8, rel=1e-2)
    assert np.median(p_values["class_range", "chi2"]) == pytest.approx(0.0347, rel=1e-2)
    fashion = published.lesion_p_values(zoo.recipe("fashion-cnn"))
    assert np.median(fashion["importance", "fisher"]) == pytest.approx(0.0252, rel=1e-2)


@pytest.mark.parametrize("name", ["digits-mlp", "mnist-mlp-dropout", "mnist-cnn-pruned"])
def test_networks_that_the_paper_did_not_test_have_no_published_p_values(name):
    assert published.lesion_p_values(zoo.recipe(name)) == {}


def test_a_networks_row_has_the_published_range_beside_it():
    ours = {"tested": 27, "excluded": 1, "fisher": 1.234e-5, "chi2": 0.5}
    ours |= {"exchangeable_fisher": 1e-4, "exchangeable_chi2": np.nan}
    combined = {"importance": ours, "class_range": ours}
    row = tables.lesion_row(combined, zoo.recipe("mnist-mlp")).loc["importance"]
    assert row["Fisher"] == "1.2e-05"
    assert row["chi-squared, exchangeable"] == "–"
    assert row["published Fisher"] == "2.7e-09 to 3.7e-07"
    assert "published Fisher" not in tables.lesion_row(combined, zoo.recipe("digits-mlp"))


def test_a_table_for_reading_shows_the_twins_by_their_median(profiles):
    table = importance.importance(profiles)
    shown = tables.subcluster_table(table, "accuracy compared")
    assert shown.index.names == ["layer", "cluster"]
    expected = table.filter(like="random_").median(axis=1).round(3)
    np.testing.assert_allclose(shown["twins' median"].astype(float), expected)


def test_figures_label_their_axes_and_are_not_left_open(profiles):
    table = importance.importance(profiles)
    figures = [
        plots.clusters_by_layer(profiles.partition),
        plots.subcluster_sizes(profiles.partition),
        plots.cut_against_shuffles(1.0, [1.5, 1.6]),
        plots.accuracy_profiles(profiles),
        plots.lesions_against_twins(table),
        plots.p_value_counts({"importance": table}),
    ]
    for figure in figures:
        figure.draw_without_rendering()
        assert figure.get_figwidth() == plots.PAGE_WIDTH
        labels = [figure.get_supxlabel()]
        labels += [text for axes in figure.axes for text in (axes.get_xlabel(), axes.get_ylabel())]
        assert any(labels)
    assert plt.get_fignums() == []


def test_profiles_show_one_line_per_set_of_units_and_the_overall_accuracy(profiles):
    figure = plots.accuracy_profiles(profiles)
    used = [axes for axes in figure.axes if axes.axison]
    assert len(used) == len(profiles.subclusters)
    for axes, true in zip(used, profiles.true, strict=True):
        by_class, overall = axes.lines[-2:]
        np.testing.assert_allclose(by_class.get_ydata(), 10 * true)
        np.testing.assert_allclose(overall.get_ydata(), 100 * true.sum() / 30)
        assert len(axes.lines) == 2 * (1 + 1 + 4)
