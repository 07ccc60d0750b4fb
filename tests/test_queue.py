"""The queue of networks that train in the background, and what it leaves in git."""

import dataclasses
import json
import subprocess
from pathlib import Path

import filelock
import numpy as np
import pandas as pd
import pytest

import brute_force
from helpers import cli, measures, protocols, settings, statistics, zoo
from helpers.book import lesion_counts, queue
from helpers.lesions import LesionProfiles
from helpers.partitions import Partition


@pytest.fixture
def folders(tmp_path, monkeypatch):
    for name in ("ZOO", "RESULTS"):
        monkeypatch.setattr(settings, name, tmp_path / name.lower())
    monkeypatch.setenv("MODULARITY_CACHE", str(tmp_path / "cache"))
    return tmp_path


def trained_at_once(monkeypatch, accuracy):
    """Networks that are there as soon as they are asked for."""

    def train_once(name, replicate, folder):
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}-{replicate}.npz"
        known = {"recipe": name, "replicate": replicate, "data": "", "sha256": "", "epochs": 20}
        path.with_suffix(".json").write_text(json.dumps(known | {"accuracy": {"test": accuracy}}))
        return path

    monkeypatch.setattr(zoo, "train_once", train_once)


def test_the_queue_completes_the_papers_five_of_each_kind():
    in_git = {path.stem for path in (settings.ROOT / "zoo").glob("*.json")}
    there = in_git | {f"{name}-{replicate}" for name, replicate in queue.NETWORKS}
    kinds = ["mnist-cnn", "fashion-cnn", "mnist-rgb-cnn", "cifar10-vgg", "cifar10-vgg-dropout"]
    assert {f"{kind}-{i}" for kind in kinds for i in range(5)} <= there
    assert "stack-same-fashion-cnn-0" in there


def test_the_first_of_all_is_a_vgg_and_those_with_dropout_come_last():
    names = [name for name, _ in queue.NETWORKS]
    assert queue.NETWORKS[0] == ("cifar10-vgg", 0)
    assert names[-4:] == ["cifar10-vgg-dropout"] * 4
    assert len(set(queue.NETWORKS)) == len(queue.NETWORKS)


def test_git_has_all_but_the_other_vggs(folders):
    cache = settings.cache_folder() / "zoo"
    homes = {each: queue.home(*each) for each in queue.NETWORKS}
    assert {each for each, home in homes.items() if home == cache} == {
        *((name, i) for name in ("cifar10-vgg", "cifar10-vgg-dropout") for i in range(1, 5)),
        *(("cifar10-vgg-untrained", i) for i in range(5)),
    }
    assert set(homes.values()) == {cache, settings.ZOO}


def test_a_vgg_is_counted_by_each_plan_and_the_first_also_after_early_epochs(folders, monkeypatch):
    trained_at_once(monkeypatch, accuracy=0.9)
    asked = []

    def measure(name, replicate, plan, epoch=None):
        asked.append((name, replicate, plan.protocol, plan.n_clusters, plan.n_images, epoch))
        return Path("counts.npz")

    monkeypatch.setattr(lesion_counts, "measure", measure)
    names = [("cifar10-vgg", 0), ("mnist-cnn", 1), ("cifar10-vgg", 3), ("cifar10-vgg-untrained", 2)]
    results = list(queue.work(names))
    kinds = ("released", "paper")
    at_the_end = [(kind, k, n) for k, n in ((12, 2000), (8, 1000), (18, 1000)) for kind in kinds]
    assert asked == [
        *(("cifar10-vgg", 0, *plan, None) for plan in at_the_end),
        *(("cifar10-vgg", 0, kind, 12, 1000, epoch) for epoch in (4, 8) for kind in kinds),
        *(("cifar10-vgg", 3, *plan, None) for plan in at_the_end),
        *(("cifar10-vgg-untrained", 2, kind, 12, 100, None) for kind in kinds),
    ]
    assert [path.name for path in results[0]] == ["cifar10-vgg-0.npz", "cifar10-vgg-0.json"]
    assert results[1] == [Path("counts.npz")]
    assert results[-10] == []


def test_a_network_below_its_floor_is_left_out_and_said(folders, monkeypatch, caplog):
    trained_at_once(monkeypatch, accuracy=0.86)
    monkeypatch.setattr(lesion_counts, "measure", lambda *_: pytest.fail("it was counted"))
    assert len(list(queue.work([("cifar10-vgg", 1)]))) == 1
    assert "cifar10-vgg-1: below 0.87, not used" in caplog.text


def test_a_second_copy_leaves_and_says_why(folders, monkeypatch, capsys):
    monkeypatch.setattr(queue, "work", lambda networks: pytest.fail("it trained"))
    with (
        filelock.FileLock(settings.cache_folder() / "queue.lock"),
        pytest.raises(SystemExit) as left,
    ):
        cli.main(["train", "mnist-cnn"])
    assert left.value.code == 1
    assert "another copy of this command is at work" in capsys.readouterr().err


def test_the_command_trains_what_it_is_asked_for_or_all_that_the_book_lacks(folders, monkeypatch):
    asked = []
    monkeypatch.setattr(queue, "work", lambda networks: asked.append(networks) or iter([]))
    for arguments in (["mnist-cnn", "mnist-mlp", "--replicates", "0,3"], []):
        with pytest.raises(SystemExit):
            cli.main(["train", *arguments])
    ours = [(name, i) for i in (0, 3) for name in ("mnist-cnn", "mnist-mlp")]
    assert asked == [ours, queue.NETWORKS]


@pytest.mark.parametrize("arguments", [["mnist-vgg9"], ["mnist-cnn", "--replicates", "0,-1"]])
def test_recipes_and_seeds_that_there_are_not_are_refused(arguments, folders, monkeypatch, capsys):
    monkeypatch.setattr(queue, "work", lambda networks: pytest.fail("it trained"))
    with pytest.raises(SystemExit):
        cli.main(["train", *arguments])
    assert "accepted are" in capsys.readouterr().err


def test_replicates_without_names_are_refused_as_is_a_commit_without_a_repository(
    folders, monkeypatch, capsys, tmp_path
):
    monkeypatch.setattr(queue, "work", lambda networks: pytest.fail("it trained"))
    monkeypatch.setattr(settings, "ROOT", tmp_path)
    for arguments, message in (
        (["--replicates", "7"], "--replicates: needs NAMES"),
        (["mnist-cnn", "--commit"], "is no git repository"),
    ):
        with pytest.raises(SystemExit):
            cli.main(["train", *arguments])
        assert message in capsys.readouterr().err


def test_data_that_cannot_be_had_are_told_in_a_sentence(folders, monkeypatch, capsys):
    def lacking(networks):
        raise FileNotFoundError("mnist: there is no such file")

    monkeypatch.setattr(queue, "work", lacking)
    with pytest.raises(SystemExit) as left:
        cli.main(["train", "mnist-cnn"])
    assert left.value.code == 1
    assert "Error: mnist: there is no such file" in capsys.readouterr().err


def test_commits_hold_what_is_new_and_nothing_else_that_is_staged(tmp_path, monkeypatch):
    def git(*arguments):
        done = subprocess.run(
            ["git", "-C", str(tmp_path), *arguments], check=True, capture_output=True, text=True
        )
        return done.stdout.split()

    git("init", "-q")
    for key, value in (("user.name", "n"), ("user.email", "e@x")):
        git("config", key, value)
    monkeypatch.setattr(settings, "ROOT", tmp_path)
    for name in ("new.npz", "staged.py", "other.py"):
        (tmp_path / name).write_text(name)
    git("add", "staged.py")
    for _ in range(2):
        queue.commit([tmp_path / "new.npz"])
    assert git("show", "--name-only", "--format=", "HEAD") == ["new.npz"]
    assert git("rev-list", "--count", "HEAD") == ["1"]
    assert git("diff", "--cached", "--name-only") == ["staged.py"]


@pytest.mark.slow
def test_counts_are_those_of_lesions_and_are_made_once(folders, monkeypatch):
    monkeypatch.setattr(settings, "ZOO", settings.ROOT / "zoo")
    plan = lesion_counts.Plan("paper", 4, n_images=100, n_random=2, n_permutations=3, seed=5)
    path = lesion_counts.measure("digits-cnn", 0, plan)
    assert path == settings.RESULTS / "lesions" / "digits-cnn-0-paper-k4.npz"
    read = lesion_counts.read(path)
    network = zoo.trained("digits-cnn")
    x, y = network.dataset.x_test[read.images], network.dataset.y_test[read.images]
    assert np.bincount(y).tolist() == read.profiles.class_sizes.tolist() == [10] * 10

    partition = read.profiles.partition
    rng = np.random.default_rng([5, 1])
    permuted = [partition.permuted(rng).subclusters() for _ in range(3)]
    lesions = [{}, *({each.layer: each.units} for each in read.profiles.subclusters)]
    lesions += [{each.layer: each.units} for subclusters in permuted for each in subclusters]
    right = brute_force.correct(network.model, x, y, lesions)
    counts = np.array([np.bincount(y[row], minlength=10) for row in right])
    k = len(read.profiles.subclusters)
    np.testing.assert_array_equal(read.profiles.intact, counts[0])
    np.testing.assert_array_equal(read.profiles.true, counts[1 : 1 + k])
    np.testing.assert_array_equal(read.permuted, counts[1 + k :].reshape(3, k, 10))
    assert read.origin["sha256"] == network.manifest["sha256"]
    assert read.origin["plan"]["n_random"] == 2

    monkeypatch.setattr(zoo, "trained", lambda *_: pytest.fail("it was counted again"))
    assert lesion_counts.measure("digits-cnn", 0, plan) == path


def test_counting_goes_on_where_it_stopped_and_counts_no_lesion_twice(tmp_path):
    made = []

    def lesioned(chosen):
        made.extend(chosen)
        return np.array([[len(units) for units in each.values()] for each in chosen])

    def dies_at_the_second_part(chosen):
        if made:
            raise KeyboardInterrupt
        return lesioned(chosen)

    chosen = [{"a": range(i)} for i in range(1, 101)]
    chosen += [{"a": list(range(i))[::-1]} for i in range(1, 101)]
    path = tmp_path / "begun.npz"
    with pytest.raises(KeyboardInterrupt):
        lesion_counts.written_down(dies_at_the_second_part, path)(chosen)
    counts = lesion_counts.written_down(lesioned, path)(chosen)
    assert counts.ravel().tolist() == [*range(1, 101), *range(1, 101)]
    assert [len(each["a"]) for each in made] == list(range(1, 101))


def test_without_permutations_there_are_counts_of_none():
    partition = Partition.from_labels({"a": [0] * 6 + [1] * 6})
    plan = lesion_counts.Plan("paper", 2, n_images=9, n_random=3, n_permutations=0)
    ours, permuted = lesion_counts.count(
        lambda chosen: np.ones((len(chosen), 3), int), np.arange(9) % 3, partition, plan
    )
    assert ours.random.shape == (2, 3, 3)
    assert permuted.shape == (0, 2, 3)


def test_counts_that_are_not_there_say_how_to_make_them(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"not counted yet; modularity train"):
        lesion_counts.read(tmp_path / "none.npz")


def counts_of(name="cifar10-vgg", protocol="released", epochs=20):
    """Counts as of a VGG, of which one layer has a complete sub-cluster."""
    rng = np.random.default_rng(0)
    partition = Partition.from_labels({"a": [0] * 6, "b": [0] * 4 + [1] * 4})
    subclusters = tuple(partition.subclusters())
    intact = np.full(5, 20)
    lost = rng.integers(0, 4, (3, 25, 5))
    lost[0] = lost[0, 0]  # What complete sub-clusters cost, their twins do, too.
    lost[2, 0] += 10
    random = intact - lost
    profiles = LesionProfiles(
        partition, subclusters, intact, intact, random[:, 0], random[:, 1:6], ""
    )
    plan = {"protocol": protocol, "n_clusters": 12}
    origin = {"plan": plan, "network": name, "replicate": 0, "epochs": epochs, "accuracy": 0.9}
    return lesion_counts.LesionCounts(
        profiles, random[:, 6:].swapaxes(0, 1), np.arange(100), origin
    )


def test_counts_are_audited_and_tested_exactly_without_what_is_complete(monkeypatch):
    counts = counts_of()
    monkeypatch.setattr(lesion_counts, "counted", lambda *_: [counts])
    table = lesion_counts.audits(["cifar10-vgg"])
    p = table.set_index(["choice", "measure", "test"])["p"]
    assert p["as released", "importance", "fisher"] < p["ties count", "importance", "fisher"]
    assert (table["subclusters"].eq(3) & table["complete"].eq(1)).all()
    by_measure = lesion_counts.p_values(table, "cifar10-vgg", "as released")
    assert by_measure["importance"].to_list() == [p["as released", "importance", "fisher"]]
    exact = table[table["choice"] == "exact test"].set_index("measure")
    assert exact["tested"].to_list() == [2, 2]

    ours = counts.against_permuted
    lost = [counts.profiles.true[1:].sum(axis=1), counts.permuted[:, 1:].sum(axis=2)]
    expected = statistics.permutation_test(*lost, "left").p
    assert exact.loc["importance", "p"] == expected == 1 / 20
    assert ours.fixed.tolist() == [True, False, False]


def test_class_wise_ranges_that_are_undefined_in_all_partitions_are_not_tested(monkeypatch):
    counts = counts_of()
    profiles = counts.profiles
    true, random, permuted = (
        np.broadcast_to(profiles.intact, each.shape)
        for each in (profiles.true, profiles.random, counts.permuted)
    )
    nothing_lost = dataclasses.replace(
        counts,
        profiles=dataclasses.replace(profiles, true=true, random=random),
        permuted=permuted,
    )
    monkeypatch.setattr(lesion_counts, "counted", lambda *_: [nothing_lost])
    table = lesion_counts.audits(["cifar10-vgg"])
    exact = table[table["choice"] == "exact test"].set_index("measure")
    assert exact["tested"].to_dict() == {"importance": 2, "class_range": 0}
    assert exact["p"].isna().to_dict() == {"importance": False, "class_range": True}


def test_networks_counted_early_stand_beside_themselves_at_the_end(monkeypatch):
    later = dataclasses.replace(counts_of(), images=np.arange(100, 400))
    other = dataclasses.replace(later, origin=later.origin | {"replicate": 1})

    def counted(names, n_clusters=12, epoch=None):
        assert names == ["cifar10-vgg"]
        return {None: [later, other], 4: [counts_of(epochs=4)], 8: []}[epoch]

    monkeypatch.setattr(lesion_counts, "counted", counted)
    table = lesion_counts.while_training(["cifar10-vgg"])
    rows = table[["replicate", "epochs", "images"]].drop_duplicates()
    assert rows.to_numpy().tolist() == [[0, 4, 100], [0, 20, 300]]
    p = table.query("measure == 'importance' and test == 'fisher'")["p"]
    assert (p == p.iloc[0]).all()
    monkeypatch.setattr(lesion_counts, "counted", lambda *_, **__: [])
    assert lesion_counts.while_training(["cifar10-vgg"]).empty


def test_early_counts_are_read_from_where_they_are_kept(monkeypatch, tmp_path):
    monkeypatch.setattr(settings, "RESULTS", tmp_path)
    plan = lesion_counts.EARLY_PLANS[0]
    path = lesion_counts.path_of("cifar10-vgg", 0, plan, 4)
    path.parent.mkdir()
    path.touch()
    monkeypatch.setattr(lesion_counts, "read", lambda found: found)
    assert lesion_counts.counted(["cifar10-vgg"], epoch=4) == [path]
    assert lesion_counts.counted(["cifar10-vgg"]) == []


def test_counted_networks_stand_in_tables_like_swept_ones(monkeypatch):
    monkeypatch.setattr(lesion_counts, "counted", lambda *_: [counts_of(protocol="paper")])
    table = lesion_counts.combined(["cifar10-vgg"])
    assert set(table["test"]) >= {"fisher", "chi2", "exact"}
    rows = table[["network", "replicate", "protocol"]].drop_duplicates()
    assert rows.to_numpy().tolist() == [["cifar10-vgg", 0, "paper"]]
    swept = pd.DataFrame({"network": ["a"], "measure": ["importance"], "test": ["exact"]})
    both = lesion_counts.beside(swept, table)
    assert both["network"].to_list() == ["a", "cifar10-vgg"]
    assert set(both["measure"]) == {"importance"}
    monkeypatch.setattr(lesion_counts, "counted", lambda *_: [])
    nothing = lesion_counts.combined(["cifar10-vgg"])
    assert nothing.empty
    assert lesion_counts.beside(swept, nothing) is swept


def test_sub_clusters_of_few_clusters_are_sorted_into_kinds(monkeypatch):
    asked = []

    def counted(names, n_clusters):
        asked.append((names, n_clusters))
        return [counts_of(protocol=each) for each in ("released", "paper")]

    monkeypatch.setattr(lesion_counts, "counted", counted)
    table = lesion_counts.kinds(["cifar10-vgg"])
    assert asked == [(["cifar10-vgg"], 8)]
    for each in counted(None, 8):
        protocol = each.origin["plan"]["protocol"]
        of_one = table[table["protocol"] == protocol]
        expected = measures.taxonomy(each.profiles, protocols.protocol(protocol))
        assert of_one["kind"].to_list() == expected["kind"].to_list()
        assert (of_one["kind"] == "complete").sum() == 1
    monkeypatch.setattr(lesion_counts, "counted", lambda *_: [])
    assert lesion_counts.kinds(["cifar10-vgg"]).empty
