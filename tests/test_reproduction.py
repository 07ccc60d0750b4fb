"""The paper beside its reproduction, from tables made by hand."""

import numpy as np
import pandas as pd
import pytest

from helpers import settings, statistics, zoo
from helpers.book import (
    lesion_counts,
    on_imagenet,
    points,
    published,
    results,
    scorecard,
    table1,
    tables,
)
from helpers.book.found import _driven, _readable
from helpers.book.found import found as everything

LESIONS = ("importance", "class_range")

NONE = pd.DataFrame(columns=["network", "replicate", "protocol", "measure", "test", "p", "effect"])
"""No network was tested exactly."""


def collected(network, p, replicates=range(5), protocols=("released", "paper"), measures=LESIONS):
    """Collected tests in which every p value is the same."""
    tests = ("fisher", "chi2", "exchangeable_fisher", "exchangeable_chi2")
    rows = [
        (network, i, protocol, measure, test, p)
        for i in replicates
        for protocol in protocols
        for measure in measures
        for test in tests[: 2 if protocol == "released" else 4]
    ]
    return pd.DataFrame(rows, columns=["network", "replicate", "protocol", "measure", "test", "p"])


@pytest.fixture
def found():
    pictures = [
        collected("mnist-mlp-dropout", 0.01, [0], measures=["contrast", "contrast, not aligned"]),
        collected("halves-diff-mnist-mlp", 0.01, [0], measures=["contrast", "preference"]),
        collected("stack-same-mnist-cnn", 0.5, [0], measures=["contrast"]),
    ]
    pairs = {"network": "fashion-mlp-dropout", "replicate": 0}
    edges = [("paper", 1, 1), ("paper", 0, 0), ("paper", 0, 1), ("released", 0, 0)]
    return {
        "lesions": pd.concat([collected("mnist-mlp", 0.001), collected("mnist-cnn", 0.2, [0])]),
        "kinds": collected("fashion-mlp", 0.1, [0, 1]).assign(kind="important"),
        "constructed": collected("mnist-rgb-mlp", 0.3, [0, 1], measures=["score", "entropy"]),
        "by_k": pd.concat(
            [collected("mnist-mlp", p).assign(k=k) for k, p in ((8, 0.01), (18, 0.9))]
        ),
        "pictures": pd.concat(pictures),
        "pairs": pd.DataFrame(
            [pairs | {"protocol": by, "within": within, "edge": edge} for by, within, edge in edges]
        ).astype({"within": bool, "edge": bool}),
    }


def test_our_networks_stand_in_the_rows_of_the_papers_table(found):
    table = table1.table1(found["lesions"], found["constructed"], NONE)
    ours = table[table["source"] != "published"]
    assert set(ours["network"]) == {
        "MLP on MNIST",
        "CNN on MNIST",
        "MLP on MNIST in three channels",
    }
    published_rows = table[table["source"] == "published"]
    assert len(published_rows) == len(published.each_p_value())
    assert len(ours) == 5 * (4 + 8) + (4 + 8) + 2 * (4 + 8)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mnist-mlp", "MLP on MNIST"),
        ("fashion-cnn", "CNN on Fashion-MNIST"),
        ("mnist-rgb-cnn", "CNN on MNIST in three channels"),
        ("cifar10-vgg", "VGG on CIFAR-10"),
        ("cifar10-vgg-dropout", "VGG on CIFAR-10, with dropout"),
        ("cifar10-vgg-untrained", None),
        ("mnist-mlp-untrained", None),
        ("mnist-vgg", None),
        ("fashion-mlp-dropout", None),
        ("mnist-cnn-pruned", None),
        ("digits-mlp", None),
        ("halves-diff-mnist-mlp", None),
        ("fashion-rgb-mlp", None),
    ],
)
def test_only_the_papers_kinds_of_networks_have_a_row(name, expected):
    assert published.label(zoo.recipe(name)) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("fashion-mlp", "MLP on Fashion-MNIST"),
        ("mnist-rgb-cnn", "CNN on MNIST in three channels"),
        ("cifar10-vgg-dropout", "VGG on CIFAR-10, with dropout"),
        ("cifar10-vgg-untrained", "VGG on CIFAR-10, untrained"),
        ("halves-diff-mnist-mlp", "MLP on halves-diff MNIST"),
        ("digits-mlp", "MLP on digits"),
        ("imagenet-vgg16", "vgg16 on ImageNet"),
    ],
)
def test_kinds_of_networks_are_named_as_people_say_them(name, expected):
    assert published.in_words(name) == expected


def test_a_vgg_of_ours_fills_the_row_of_the_published_ones_and_counts_in_the_scorecard(found):
    ours = collected("cifar10-vgg", 0.3, [0])
    lesions = pd.concat([found["lesions"], ours])
    table = table1.side_by_side(table1.table1(lesions, found["constructed"], NONE))
    assert table.loc["VGG on CIFAR-10", "importance"]["chi²", "RELEASED"] == "0.3"
    before, after = (
        scorecard.scorecard(found | {"lesions": each}).loc["Table 1b", "networks"]
        for each in (found["lesions"], lesions)
    )
    assert (before, after) == ("6 of 32", "7 of 32")


def test_networks_without_a_row_in_table_1_do_not_get_into_it(found):
    untrained = collected("cifar10-vgg-untrained", 0.3, [0])
    table = table1.table1(untrained, found["constructed"], NONE)
    assert set(table.loc[table["source"] == "paper", "network"]) == {
        "MLP on MNIST in three channels"
    }


def test_medians_are_taken_over_the_replicates():
    table = table1.table1(
        pd.concat([collected("mnist-mlp", p, [i]) for i, p in enumerate((0.1, 0.2, 0.9))]),
        collected("mnist-rgb-mlp", 0.3, [0], measures=["score"]),
        NONE,
    )
    found = table1.medians(table).set_index(["network", "measure", "test", "source"])["p"]
    assert found["MLP on MNIST", "importance", "fisher", "paper"] == 0.2
    assert found["MLP on MNIST", "importance", "fisher", "published"] == pytest.approx(
        1.34e-8, rel=0.01
    )


def test_table_1_shows_median_and_range_and_what_was_not_run(found):
    table = table1.side_by_side(table1.table1(found["lesions"], found["constructed"], NONE))
    row = table.loc["MLP on MNIST", "importance"]
    assert row["Fisher", "published"] == "< 0.0001"
    assert row["Fisher", "PAPER, exch."] == "0.001"
    assert table.loc["CNN on MNIST", "importance"]["chi²", "RELEASED"] == "0.2"
    assert "VGG on CIFAR-10" not in table.index


def test_table_1_shows_beside_p_values_how_much_it_matters(found):
    points, times = [1.0, 2.0, 6.0], [1.1, 1.3, 1.2]
    exact = pd.DataFrame(
        [
            ("mnist-mlp", i, "paper", measure, test, 0.01 * (i + 1), effects[i])
            for i in range(3)
            for measure, effects in (("importance", points), ("coherence", times))
            for test in ("exact", "fisher")
        ],
        columns=NONE.columns,
    )
    constructed = found["constructed"].assign(effect=1.25)
    # Lesions of the paper's twins have effects of their own, which are not mixed in.
    lesions = found["lesions"].assign(effect=100.0)
    table = table1.side_by_side(table1.table1(lesions, constructed, exact))
    effect = table["mean effect", "PAPER"]
    assert effect["MLP on MNIST", "importance"] == "3 points"
    assert effect["MLP on MNIST", "class-wise range"] == "1.2 times, at equal damage"
    assert effect["MLP on MNIST in three channels", "score"] == "1.25 times"
    assert effect["CNN on MNIST", "importance"] == "–"
    assert table["networks"].loc[("MLP on MNIST", "importance")].tolist() == ["3", "5"]
    means = table1.mean_effects(table1.table1(lesions, constructed, exact))
    means = means.set_index(["network", "measure"]).loc["MLP on MNIST", "importance"]
    assert tuple(means[["low", "high"]]) == pytest.approx(statistics.mean_interval(points))
    one = table1.side_by_side(table1.table1(lesions, constructed, exact.iloc[:4]))
    assert one["mean effect", "PAPER"]["MLP on MNIST", "importance"] == "1 points"


def test_the_scorecard_counts_networks_and_says_what_is_still_to_run(found):
    card = scorecard.scorecard(found)
    assert card.loc["Figure 6", "page"] == "Lesion tests"
    assert card.loc["Table 1b", "networks"] == "6 of 32"
    assert card.loc["Table 1b", "status"] == "in part"
    assert "fashion-cnn, fashion-mlp; some of mnist-cnn" in card.loc["Table 1b", "still to run"]
    assert card.loc["Table 8", "status"] == "not run here"
    assert card.loc["Table 8", "still to run"] == "cifar10-vgg"
    assert card.loc["Figures 8, 9", "status"] == "run in full"
    assert card.loc["Table 7", "status"] == "run in full"
    under_one = found | {"kinds": found["kinds"].query("protocol == 'released'")}
    released = scorecard.scorecard(under_one).loc["Table 7"]
    assert released["status"] == "not run here"
    assert released["still to run"] == "some of fashion-mlp"
    assert card.loc["Figure 6", "networks"] == "1 of 2"
    assert card.loc["Figure 7", "status"] == "run in full"
    assert card.loc["Figure 7", "networks"] == "–"
    assert card.loc["Table 1a", "networks"] == "2 of 23"
    assert "ImageNet" in card.loc["Table 1a", "still to run"]


def test_rows_that_a_reader_makes_on_imagenet_count_and_stand_in_table_1(
    found, tmp_path, monkeypatch
):
    monkeypatch.setattr(settings, "RESULTS", tmp_path)
    assert on_imagenet.collected("1b").empty
    rows = collected("imagenet-vgg16", 0.02, [0]).assign(n_clusters=12, n_random=20)
    rows.drop(columns="replicate").to_csv(tmp_path / "imagenet-1b-vgg16.csv", index=False)
    lesions = pd.concat([found["lesions"], on_imagenet.collected("1b")], ignore_index=True)
    card = scorecard.scorecard(found | {"lesions": lesions})
    assert card.loc["Table 1b", "networks"] == "7 of 32"
    assert card.loc["Table 1b", "still to run"].startswith("1 on ImageNet: ready, weights needed")
    table = table1.table1(lesions, found["constructed"], NONE)
    ours = table[(table["network"] == "vgg16 on ImageNet") & (table["source"] == "paper")]
    assert ours["p"].eq(0.02).all()
    assert len(ours) == 8
    assert ("vgg16 on ImageNet", "importance") in tables.rows_of(table1.ours_and_theirs(table))


@pytest.mark.parametrize("other", [{"network": "imagenet-vgg16"}, {"n_clusters": 3}])
def test_rows_on_imagenet_that_do_not_belong_in_table_1_are_refused(tmp_path, monkeypatch, other):
    monkeypatch.setattr(settings, "RESULTS", tmp_path)
    rows = collected("imagenet-vgg16", 0.02, [0]).assign(n_clusters=12, n_random=20)
    rows.to_csv(tmp_path / "imagenet-1b-vgg16.csv", index=False)
    more = rows.assign(**({"network": "imagenet-resnet18"} | other))
    more.to_csv(tmp_path / "imagenet-1b-resnet18.csv", index=False)
    with pytest.raises(ValueError, match=r"csv: rows of imagenet-.* twice, or"):
        on_imagenet.collected("1b")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"imagenet-1b-notes\.csv is no table"),
        ("a,b\n1,2\n", r"imagenet-1b-notes\.csv has no column network"),
        ("network,n_clusters,n_random\n", r"imagenet-1b-notes\.csv has no rows"),
    ],
)
def test_what_is_no_table_of_a_network_on_imagenet_is_named(tmp_path, monkeypatch, text, message):
    monkeypatch.setattr(settings, "RESULTS", tmp_path)
    (tmp_path / "imagenet-1b-notes.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        on_imagenet.collected("1b")


def test_rows_on_imagenet_are_read_with_all_else_that_was_found(monkeypatch):
    before = everything()
    rows = collected("imagenet-resnet18", 0.02, [0])
    monkeypatch.setattr(on_imagenet, "collected", lambda table: rows.assign(table=table))
    after = everything()
    for name, table in {"lesions": "1b", "constructed": "1a", "by_k": "3"}.items():
        assert len(after[name]) == len(before[name]) + len(rows)
        assert after[name]["table"].iloc[-1] == table


def test_rows_with_12_clusters_from_the_sweep_of_table_3_stand_in_table_1b(monkeypatch):
    before, read = everything(), results.collected
    of_cnn = read("table3").query("network == 'mnist-cnn' and replicate == 0 and k == 8")
    more = of_cnn.assign(replicate=1, k=12, n_clusters="12")

    def collected_too(name):
        rows = read(name)
        if name != "table3":
            return rows
        rows = rows[(rows["network"] != "mnist-cnn") | (rows["replicate"] != 1) | (rows["k"] != 12)]
        return pd.concat([rows, more])

    monkeypatch.setattr(results, "collected", collected_too)
    after = everything()
    assert set(after["by_k"]["k"]) == {8, 18}
    assert len(after["by_k"]) == len(before["by_k"])
    ours = after["lesions"].query("network == 'mnist-cnn' and replicate == 1")
    np.testing.assert_array_equal(ours["p"], more["p"])
    assert set(ours["n_clusters"]) == {12}


def test_other_numbers_of_clusters_on_imagenet_count_when_all_are_there(
    found, tmp_path, monkeypatch
):
    monkeypatch.setattr(settings, "RESULTS", tmp_path)
    one = collected("imagenet-vgg16", 0.02, [0]).drop(columns="replicate").assign(n_random=20)
    rows = pd.concat([one.assign(n_clusters=k) for k in (8, 18)])
    rows.to_csv(tmp_path / "imagenet-3-vgg16.csv", index=False)
    with_it = on_imagenet.collected("3")
    assert set(with_it["k"]) == {8, 18}
    alone = pd.concat([found["by_k"][found["by_k"]["network"] == "none"], with_it])
    card = scorecard.scorecard(found | {"by_k": alone})
    assert card.loc["Table 3", "networks"] == "1 of 32"
    rows[rows["n_clusters"] < 18].to_csv(tmp_path / "imagenet-3-vgg16.csv", index=False)
    with pytest.raises(
        ValueError, match=r"numbers than the paper's of clusters and twins, \[8, 18\]"
    ):
        on_imagenet.collected("3")


def test_the_scorecard_names_the_command_for_each_network_on_imagenet(found):
    card = scorecard.progress(found).set_index("item")["command"]
    for item, command in {
        "Table 1a": "modularity imagenet resnet50 --table 1a",
        "Table 1b": "modularity imagenet resnet18 --table 1b",
        "Table 3": "modularity imagenet vgg16 --table 3",
        "Figure 5": "modularity imagenet vgg19 --table 1a",
    }.items():
        assert command in card[item]


@pytest.mark.parametrize(
    "item", [each for each in scorecard.ITEMS if each.sweep], ids=lambda item: item.name
)
def test_the_command_for_what_is_missing_makes_all_networks_of_an_item(item):
    runs = points.read(settings.SWEEPS / f"{item.sweep}.yaml")
    swept = {each for run in runs for each in run.networks}
    wanted = {(name, i) for name, n in item.networks.items() for i in range(n)}
    counted = item.results in ("lesions", "by_k", "kinds")
    assert all(counted and lesion_counts.plans(name) for name, _ in wanted - swept)


def test_a_figure_counts_networks_only_that_its_page_draws(monkeypatch):
    monkeypatch.setattr(scorecard, "_drawn", lambda section: ["mnist-rgb-mlp"])
    drawn, other = (
        collected(f"mnist-rgb-{kind}", 0.1, [0], measures=["score"]) for kind in ("mlp", "cnn")
    )
    everything_made = everything() | {"constructed": pd.concat([drawn, other])}
    card = scorecard.scorecard(everything_made)
    assert card.loc["Figure 5", "networks"] == "1 of 6"
    assert card.loc["Table 1a", "networks"] == "2 of 23"


def test_vgg_rows_of_other_numbers_of_clusters_come_from_counts():
    by_k = lesion_counts.by_clusters(["cifar10-vgg"])
    assert set(by_k["protocol"]) == {"paper", "released"}
    assert set(by_k["k"]) <= {8, 18}
    assert {"fisher", "chi2"} <= set(by_k["test"])


def test_the_scorecard_for_programs_is_that_of_the_results_and_says_how_to_go_on(tmp_path):
    collected = everything()
    scorecard.write(collected, tmp_path / "card.csv")
    committed = settings.RESULTS / "scorecard.csv"
    assert (tmp_path / "card.csv").read_text() == committed.read_text()
    card = pd.read_csv(committed, keep_default_na=False).set_index("item")
    assert list(card.index) == [item.name for item in scorecard.ITEMS]
    assert (card["have"] <= card["of"]).all()
    is_full = card["have"] == card["of"]
    assert (card.loc[is_full, "command"] == "").all()
    assert card.loc[~is_full, "command"].str.startswith("modularity ").all()
    assert "train cifar10-vgg" in card.loc["Table 1b", "command"]
    assert "sweep sweeps/table3.yaml --add --keep-stale;" in card.loc["Table 1b", "command"]
    assert "modularity imagenet" in card.loc["Table 1b", "command"]


def test_a_network_counts_once_it_was_run_with_every_number_of_clusters(found):
    assert scorecard.scorecard(found).loc["Table 3", "networks"] == "5 of 32"
    by_k = found["by_k"]
    is_left = (by_k["replicate"] > 0) | (by_k["protocol"] == "released") | (by_k["k"] == 8)
    without_one = found | {"by_k": by_k[is_left]}
    assert scorecard.scorecard(without_one).loc["Table 3", "networks"] == "4 of 32"


def test_every_table_and_figure_of_the_paper_is_on_the_scorecard_once(found):
    items = ", ".join(scorecard.scorecard(found).index)
    for number in ("1a", "1b", *"23456789"):
        assert number in items
    assert len(scorecard.ITEMS) == len({item.name for item in scorecard.ITEMS})


def test_agreement_counts_ranges_that_overlap_and_medians_on_the_same_side():
    p = {"importance": (1e-9, 1e-7), "class_range": (1e-9, 1e-7)}
    ours = pd.concat(
        collected("mnist-mlp", each, [i], measures=[measure])
        for measure, values in p.items()
        for i, each in enumerate(values)
    )
    counts = table1.agreement(table1.table1(ours, ours.iloc[:0], NONE))
    # Published are importances from 2.7e-9 to 3.7e-7, and class-wise ranges around a half.
    assert set(counts.loc["Fisher", "ranges overlap"]) == {"1 of 2"}
    assert set(counts.loc["Fisher", "same side of 0.05"]) == {"1 of 2"}


def test_of_two_networks_the_larger_p_value_stands_for_both():
    table = table1.table1(
        pd.concat([collected("mnist-mlp", p, [i]) for i, p in enumerate((0.01, 0.2))]),
        collected("mnist-rgb-mlp", 0.3, [0], measures=["score"]),
        NONE,
    )
    found = table1.medians(table).set_index(["network", "measure", "test", "source"])["p"]
    assert found["MLP on MNIST", "importance", "fisher", "paper"] == 0.2


def test_what_was_run_without_anything_to_test_has_a_dash(found):
    found["lesions"].loc[found["lesions"]["network"] == "mnist-cnn", "p"] = np.nan
    table = table1.side_by_side(table1.table1(found["lesions"], found["constructed"], NONE))
    assert table.loc["CNN on MNIST", "importance"]["chi²", "RELEASED"] == "–"


def test_accuracies_are_those_of_the_manifests():
    table = scorecard.accuracies().set_index("network")
    assert table.loc["mnist-mlp", "replicates"] >= 5
    assert table.loc["mnist-mlp", "lowest"] <= table.loc["mnist-mlp", "mean"] < 1
    assert np.isclose(table.loc["mnist-mlp", "floor"], 0.97)
    assert "digits-mlp" not in table.index
    assert np.isnan(table.loc["mnist-rgb-mlp", "floor"])  # In Table 1, but not in appendix A.2.


def test_the_other_tables_have_a_row_for_each_kind_of_network_measure_and_number_of_clusters():
    measures = ["importance", "class_range"]
    mlps = collected("mnist-mlp", 0.02, range(5), measures=measures)
    under_one = collected("fashion-mlp", 0.5, [0], measures=measures).query("protocol == 'paper'")
    rows = pd.concat([pd.concat([mlps, under_one]).assign(k=k, effect=float(k)) for k in (18, 8)])
    table = table1.other_table(rows)
    uneven = table.loc[("MLP on MNIST", "k = 18", "class-wise range")]
    assert uneven["mean effect", "PAPER"] == "18 times"  # Of random sets, whatever they cost.
    ks, names = ("k = 8", "k = 18"), ("importance", "class-wise range")
    assert list(table.index) == [
        (network, k, name)
        for network in ("MLP on MNIST", "MLP on Fashion-MNIST")
        for k in ks
        for name in names
    ]
    row = table.loc[("MLP on MNIST", "k = 18", "importance")]
    assert row["networks", ""] == "5"
    assert row["mean effect", "PAPER"] == "18 points"
    assert row["Fisher", "RELEASED"] == row["Fisher", "PAPER"] == "0.02"
    other = table.loc[("MLP on Fashion-MNIST", "k = 8", "importance")]
    assert other["networks", ""] == "0"  # Of one protocol only.
    assert other["Fisher", "RELEASED"] == "–"
    without_k = table1.other_table(rows[rows["k"] == 8].drop(columns=["k", "effect"]))
    assert without_k.loc[("MLP on MNIST", "importance"), ("mean effect", "PAPER")] == "–"


def test_verdicts_on_constructed_inputs_rest_on_the_many_twins_that_there_are():
    few = collected("mnist-rgb-mlp", 0.3, measures=["score"])
    other = collected("cifar10-vgg", 0.2, [0], measures=["score"])
    many = collected("mnist-rgb-mlp", 0.01, protocols=["paper"], measures=["score"])
    rows = _driven(many, pd.concat([few, other]))
    assert rows[rows["network"] == "mnist-rgb-mlp"]["p"].eq(0.01).all()
    assert rows[rows["network"] == "cifar10-vgg"]["p"].eq(0.2).all()


def test_an_effect_on_classes_is_not_read_without_that_of_permuted_partitions():
    rows = pd.concat(
        [collected("mnist-mlp", 0.3, [0], measures=[each]) for each in ("coherence", "importance")]
    ).assign(effect=1.1)
    (measure,) = rows.loc[_readable(rows)["effect"].notna(), "measure"].unique()
    assert measure == "importance"
    assert _readable(rows.assign(by_chance=1.05))["effect"].eq(1.1).all()
    assert _readable(rows.assign(by_chance=np.nan))["effect"].isna().any()


def test_a_kind_of_which_some_networks_only_have_many_twins_is_judged_by_few():
    few = collected("mnist-rgb-cnn", 0.3, measures=["score"])
    some = collected("mnist-rgb-cnn", 0.01, [0, 3], protocols=["paper"], measures=["score"])
    rows = _driven(some, few)
    assert rows["p"].eq(0.3).all()
    assert set(rows["replicate"]) == {0, 1, 2, 3, 4}
