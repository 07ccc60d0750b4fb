"""Pictures that one can ask: what they say is what was measured, and a browser shows it."""

import base64
import html
import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from made_up import made_interactions, made_kinds, made_pairs
from PIL import Image

from helpers import lesions, measures, plots
from helpers.partitions import Partition
from helpers.plots import exploring_lesions as of_lesions
from helpers.plots.explorer import Axis

NASTY = "<script>alert('oh')</script>"
HEAVIEST = 300_000
"""Bytes."""


def made_explored(layers=("dense_1", NASTY), classes=("cat", "dog & co", "cow"), seed=0):
    """Two layers of 14 units, of which two are isolated; one cluster costs most."""
    labels = np.repeat([0, 1, 2, -1], [3, 8, 1, 2])
    partition = Partition.from_labels(dict.fromkeys(layers, labels))
    y = np.arange(90) % len(classes)
    rng = np.random.default_rng(seed)
    costs = {(layer, unit): rng.random(90) < 0.02 for layer in layers for unit in range(14)}
    for unit in range(3):
        costs[layers[0], unit] |= (y == 0) & (np.arange(90) % 5 == unit)

    def correct(chosen):
        wrong = [
            sum((costs[layer, unit] for layer, units in each.items() for unit in units), 0 * y)
            for each in chosen
        ]
        return np.array(wrong) == 0

    profiles = lesions.profiles.profiles_of_permutations(
        correct, y, len(classes), partition, 99, seed
    )
    maps = {layer: rng.uniform(-1, 1, (14, 64)) for layer in layers}
    return plots.Explored(profiles, measures.importance(profiles), maps, (8, 8, 1), classes)


@pytest.fixture(scope="module")
def explored():
    return made_explored()


@pytest.fixture(scope="module")
def networks(explored):
    return {f"net {NASTY}": explored, "other": made_explored(("a", "b"), seed=1)}


@pytest.fixture(scope="module")
def drawn(networks):
    return plots.lesion_explorer(networks)._repr_html_()


def data_of(text):
    return json.loads(re.search(r'<script type="application/json">(.*?)</script>', text, re.S)[1])


def views_of(text):
    """The views of each group, by the names of their slots."""
    data = data_of(text)
    return [
        [dict(zip(data["slots"], view, strict=True)) for view in group["views"]]
        for group in data["groups"]
    ]


def words(markup):
    return html.unescape(re.sub("<[^>]*>", "", markup)).replace("−", "-")


def test_what_is_said_of_a_sub_cluster_is_what_was_counted(networks, drawn):
    for explored, views in zip(networks.values(), views_of(drawn), strict=True):
        profiles = explored.profiles
        assert len(views) == len(profiles.subclusters)
        for i, view in enumerate(views):
            each = profiles.subclusters[i]
            cost = 100 * (profiles.intact.sum() - profiles.true[i].sum()) / 90
            twins = 100 * (profiles.intact.sum() - profiles.random[i].sum(axis=1)) / 90
            said = words(view["said"])
            assert said.startswith(f"{each.layer}, cluster {each.cluster}: {len(each.units)} of 14")
            assert f"costs {cost:.1f} points" in said.replace("-0.0", "0.0")
            assert f"cost {twins.mean():.1f} on average" in said.replace("-0.0", "0.0")
            assert f"more than {(twins < cost).sum()} of 99" in said
            p = explored.compared.exact().familywise[i]
            assert f"p = {p:.2g}" in said
            assert said.endswith("cannot give less.") == ((twins < cost).all() and p > 0.05)


def test_bars_are_as_long_as_classes_lose(explored, drawn):
    profiles = explored.profiles
    for i, view in enumerate(views_of(drawn)[0]):
        lost = 100 * (profiles.intact - profiles.true[i]) / profiles.class_sizes
        ends = np.array(re.findall(r"M(\d+) \d+H(\d+)", view["bars"]), dtype=int)
        ticks = [
            (int(x), float(words(t)))
            for x, t in re.findall(r'x="(\d+)"[^>]*>([^<]*)<', view["class_numbers"])
        ]
        (left, low), (right, high) = ticks[0], ticks[-1]
        scale = (right - left) / (high - low)
        np.testing.assert_allclose(ends[:, 1] - ends[:, 0], scale * lost, atol=1.5)


def test_each_permuted_set_is_in_one_bin_and_the_mark_at_the_true_loss(explored):
    view = of_lesions._cost(3.0, np.repeat([0.0, 2.0], [3, 1]))
    heights = [int(each) for each in re.findall(r"v-(\d+)", view["bins"])]
    assert len(heights) == 2
    assert heights[0] == pytest.approx(3 * heights[1], abs=1)
    (mark,) = set(re.findall(r"M(\d+) ", view["mark"]))
    axis = Axis.around(0, 3, of_lesions._LEFT, of_lesions._RIGHT)
    assert int(mark) == axis.at(3.0)


def test_an_axis_holds_zero_and_all_values_and_has_round_ticks():
    for low, high in ((0.3, 7.1), (-2.2, -0.1), (0, 0), (-0.04, 61.3)):
        axis = Axis.around(low, high, 10, 110)
        assert axis.low == min(low, 0)
        assert axis.high == (max(high, 0) or (1 if low == 0 else 0))
        assert len(axis.ticks) >= 2
        assert 0.0 in np.round(axis.ticks, 9)
        assert axis.low <= axis.ticks[0] < axis.ticks[-1] <= axis.high
        assert (axis.at(axis.low), axis.at(axis.high)) == (10, 110)


def test_the_first_one_shown_is_found_and_costs_most(explored, drawn):
    true, random = of_lesions.damage(explored.profiles)
    first = data_of(drawn)["groups"][0]["first"]
    assert explored.compared.exact().familywise[first] <= 0.05
    assert first == np.argmax(true - random.mean(axis=1)) == 0
    shown = drawn.split('<script type="application/json">')[0]
    for text in views_of(drawn)[0][first].values():
        assert text in shown


def test_every_unit_has_a_dot_in_its_layer(explored, drawn):
    shown = drawn.split('<script type="application/json">')[0]
    layer = re.search(r'<svg class="units".*?</svg>', shown)[0]
    sizes = [
        sum(map(int, re.findall(r"h(\d+)", d))) // 10 for d in re.findall(r' d="([^"]*)"', layer)
    ]
    assert sizes == [3, 8, 1, 2]


def test_pictures_are_means_of_aligned_maps_and_the_units_that_respond_most(explored):
    each = explored.profiles.subclusters[0]
    maps = explored.maps[each.layer][each.units]
    shown = of_lesions._pictures(each, explored) - 0.5
    assert shown.shape == (1 + len(maps), 64)
    assert np.abs(shown).max() == 0.5
    np.testing.assert_allclose(shown[0], shown[1:].mean(axis=0), atol=1e-12)
    lengths = np.linalg.norm(shown[1:], axis=1)
    assert (np.diff(lengths) <= 0).all()
    scale = np.abs(maps).max(axis=1).max()
    np.testing.assert_allclose(
        np.sort(lengths), np.sort(np.linalg.norm(maps, axis=1)) / (2 * scale)
    )


def test_a_sprite_has_a_row_for_each_sub_cluster(explored, drawn):
    (pixels, _) = re.findall(r"base64,([^)]*)\)", drawn)
    with Image.open(io.BytesIO(base64.b64decode(pixels))) as sprite:
        shown = np.asarray(sprite.convert("L")).astype(float) / 255
    assert shown.shape == (6 * 12, 7 * 12)
    picture = of_lesions._pictures(explored.profiles.subclusters[3], explored)[0]
    np.testing.assert_allclose(shown[3 * 12 + 2 : 4 * 12 - 2, 2:10].ravel(), picture, atol=0.003)


def test_twins_that_were_drawn_one_by_one_are_called_random(explored):
    profiles = replace(explored.profiles, fixed=None, outcomes=None)
    compared = measures.importance(profiles)
    text = plots.lesion_explorer({"net": replace(explored, profiles=profiles, compared=compared)})
    said = views_of(text.html)[0][0]["said"]
    assert "as many random units" in said
    assert f"p = {compared.p[0]:.2g}." in said
    assert "corrected" not in said


def test_names_are_shown_and_never_run(drawn):
    assert NASTY not in drawn
    assert html.escape(NASTY) in drawn
    assert drawn.count("</script>") == 2


def test_a_picture_of_nothing_is_refused():
    with pytest.raises(ValueError, match="networks: each must have a sub-cluster"):
        plots.lesion_explorer({})


def test_two_networks_as_large_as_those_of_the_paper_are_light():
    rng = np.random.default_rng(0)
    labels = {f"dense_{i}": rng.integers(0, 8, 256) for i in range(4)}
    partition = Partition.from_labels(labels)
    k = len(partition.subclusters())
    profiles = lesions.LesionProfiles(
        partition,
        tuple(partition.subclusters()),
        np.full(10, 1000),
        np.full(10, 980),
        rng.integers(500, 980, (k, 10)),
        rng.integers(300, 980, (k, 199, 10)),
        "",
    )
    y, x = np.mgrid[:28, :28] / 28
    waves = [np.sin(a * x + b * y) * np.exp(-x * x) for a, b in rng.uniform(0, 12, (256, 2))]
    maps = dict.fromkeys(labels, np.reshape(waves, (256, 784)))
    names = tuple(map(str, range(10)))
    one = plots.Explored(profiles, measures.importance(profiles), maps, (28, 28, 1), names)
    text = plots.lesion_explorer({"one": one, "two": one})._repr_html_()
    assert len(text.encode()) < HEAVIEST


@pytest.fixture(scope="module")
def pairs():
    """A dependency table, kinds and interactions, of a network that does not exist."""
    all_kinds = made_kinds(3, 3)
    conditional = made_pairs(all_kinds)
    conditional["important"] = np.arange(len(conditional)) % 3 > 0
    kinds = all_kinds.assign(kind=np.where(all_kinds.index == 4, "other", "important"))
    kinds["layer"] = kinds["layer"].replace("dense_1", NASTY)
    for column in ("first_layer", "second_layer"):
        conditional[column] = conditional[column].replace("dense_1", NASTY)
    table = measures.dependency_table(conditional, kinds)
    return table, kinds, made_interactions(kinds[kinds["kind"] == "important"])


def test_each_node_has_the_rows_of_its_pairs(pairs):
    table, kinds, interactions = pairs
    text = plots.dependency_explorer(*pairs)._repr_html_()
    (views,) = views_of(text)
    nodes = kinds[kinds["kind"] == "important"]
    assert len(views) == len(nodes) == 8
    damage = kinds.set_index(["layer", "cluster"])["damage"]
    found = table.merge(interactions.drop(columns="within"))
    assert len(found) == len(table)
    for node, view in zip(nodes.itertuples(), views, strict=True):
        own = (node.layer, node.cluster)
        said = words(view["said"])
        assert f"costs {100 * node.damage:.1f} points" in said
        rows = re.findall("<tr>.*?</tr>", view["rows"])
        expected = []
        for each in found.itertuples():
            x, y = (each.x_layer, each.x_cluster), (each.y_layer, each.y_cluster)
            if own in (x, y):
                alone = 100 * damage[y if own == x else x]
                both = 100 * (damage[y] + each.delta_x)
                expected.append(
                    (f"{alone:.1f}", f"{both:.1f}", f"{each.interaction:.2f}", each.kind)
                )
        assert len(rows) == len(expected)
        for row, (alone, both, interaction, kind) in zip(rows, expected, strict=True):
            cells = [words(each) for each in re.findall("<td>(.*?)</td>", row)]
            assert cells[:2] == [alone, both]
            assert f'<td class="wide">{interaction}</td>' in row
            assert f'aria-label="{interaction} logits"' in row
            assert cells[3].startswith(kind)


def test_a_line_is_drawn_for_each_arrow_of_the_rule(pairs):
    text = plots.dependency_explorer(*pairs)._repr_html_()
    lines = re.findall(r'data-marks="\d+ \d+"', text.split('<script type="application/json">')[0])
    assert len(lines) == pairs[0]["edge"].sum() > 5
    assert len(text.encode()) < HEAVIEST
    assert NASTY not in text


def test_pairs_of_another_network_are_refused_and_none_are_said_to_be_none(pairs):
    table, kinds, interactions = pairs
    with pytest.raises(ValueError, match="interactions: they are of other pairs"):
        plots.dependency_explorer(table, kinds, interactions[1:])
    nothing = plots.dependency_explorer(table[:0], kinds, interactions[:0])
    assert "no pairs" in nothing.html


@pytest.fixture(params=[690, 358])
def visit(request, browser):
    """A function that opens a picture on a page of some width, and hears what goes wrong."""
    heard = []
    contexts = []

    def visit(text, scripts=True):
        context = browser.new_context(
            viewport={"width": request.param, "height": 900}, java_script_enabled=scripts
        )
        contexts.append(context)
        context.on(
            "request", lambda asked: heard.append(asked.url) if "data:" not in asked.url else None
        )
        tab = context.new_page()
        tab.on("console", lambda message: heard.append(message.text))
        tab.on("pageerror", lambda error: heard.append(str(error)))
        tab.on("dialog", lambda dialog: heard.append(dialog.message))
        tab.set_content(f'<!DOCTYPE html><html lang="en"><title>A</title><main>{text}</main>')
        return tab

    yield visit
    for context in contexts:
        context.close()
    assert heard == []


def fits(tab):
    return tab.evaluate(
        "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    )


@pytest.mark.browser
def test_a_click_and_the_keyboard_choose_another_sub_cluster(visit, drawn):
    views = views_of(drawn)
    tab = visit(drawn)
    assert fits(tab)
    said = tab.locator(".said")
    assert said.inner_text() == words_shown(views[0][0]["said"])
    tab.locator("[data-group='0'] label[data-marks='1']").click()
    assert said.inner_text() == words_shown(views[0][1]["said"])
    assert tab.locator("path[data-slot=bars]").get_attribute("d") == views[0][1]["bars"]
    assert tab.locator("[data-group='0'] path.chosen").get_attribute("data-marks") == "1"
    assert tab.locator("[data-group='0'] path.kin").get_attribute("data-marks") == "4"
    tab.keyboard.press("ArrowRight")
    assert said.inner_text() == words_shown(views[0][2]["said"])
    assert tab.evaluate("document.activeElement.getAttribute('aria-label')").startswith("dense_1")
    assert (
        tab.evaluate("getComputedStyle(document.activeElement.nextSibling).outlineStyle") == "solid"
    )
    tab.keyboard.press("ArrowLeft")
    assert said.inner_text() == words_shown(views[0][1]["said"])
    dots = tab.locator("[data-group='0'] .units path[data-marks='3']").bounding_box()
    tab.mouse.click(dots["x"] + 5, dots["y"])
    assert said.inner_text() == words_shown(views[0][3]["said"])


def words_shown(markup):
    return html.unescape(re.sub("<[^>]*>", "", markup))


@pytest.mark.browser
def test_another_network_has_its_own_sub_clusters(visit, drawn):
    data, views = data_of(drawn), views_of(drawn)
    tab = visit(drawn)
    tab.keyboard.press("Tab")
    tab.keyboard.press("ArrowRight")
    first = data["groups"][1]["first"]
    assert tab.locator(".said").inner_text() == words_shown(views[1][first]["said"])
    assert not tab.locator("[data-group='0']").is_visible()
    assert tab.locator("[data-group='1'] legend").first.inner_text() == "a, 14 units"
    tab.keyboard.press("ArrowLeft")
    assert tab.locator("[data-group='0']").is_visible()


@pytest.mark.browser
@pytest.mark.parametrize("kind", ["lesions", "pairs"])
def test_without_scripts_the_first_view_is_a_figure(visit, drawn, pairs, kind):
    text = drawn if kind == "lesions" else plots.dependency_explorer(*pairs).html
    first = views_of(text)[0][data_of(text)["groups"][0]["first"]]
    tab = visit(text, scripts=False)
    assert tab.locator(".said").inner_text() == words_shown(first["said"])
    assert tab.locator("path.chosen").count() >= 1
    assert tab.locator("input:checked").count() >= 1
    assert tab.locator("input:enabled").count() == 0
    with Image.open(io.BytesIO(tab.locator(".explorer").screenshot())) as picture:
        colours = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    assert len(np.unique(colours, axis=0)) > 50


@pytest.mark.browser
def test_a_node_shows_its_pairs(visit, pairs):
    text = plots.dependency_explorer(*pairs).html
    (views,) = views_of(text)
    tab = visit(text)
    assert fits(tab)
    tab.locator("label[data-marks='2']").click()
    assert tab.locator(".said").inner_text() == words_shown(views[2]["said"])
    assert tab.locator("tbody tr").count() == views[2]["rows"].count("<tr>")
    tab.keyboard.press("ArrowDown")
    assert tab.locator(".said").inner_text() == words_shown(views[3]["said"])
    chosen = tab.locator("path.chosen").evaluate_all("all => all.map(each => each.dataset.marks)")
    assert chosen
    assert all("3" in each.split() for each in chosen)


SIZES_OF_TEXT = """() => [...document.querySelectorAll(".explorer *")]
    .filter(each => each.checkVisibility() && !["STYLE", "SCRIPT"].includes(each.tagName))
    .filter(each => [...each.childNodes].some(node => node.nodeType === 3 && node.data.trim()))
    .map(each => {
        const svg = each.closest("svg");
        const size = parseFloat(getComputedStyle(each).fontSize);
        return svg ? size * svg.getBoundingClientRect().width / svg.viewBox.baseVal.width : size;
    })"""


@pytest.mark.browser
def test_text_is_large_enough_to_read(visit, drawn, pairs):
    for text in (drawn, plots.dependency_explorer(*pairs).html):
        tab = visit(text)
        sizes = tab.evaluate(SIZES_OF_TEXT)
        assert len(sizes) > 20
        assert min(sizes) >= 12.9
