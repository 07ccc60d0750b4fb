"""Are the tests honest? How often they find what is not there, and how often what is.

Random partitions say how often a test finds something in nothing, networks with planted parts how
often it finds what is known to be there. For whoever doubts a p value, of any network.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.stats

from helpers import forward, measures, networks, statistics
from helpers.backend import keras
from helpers.lesions import LesionProfiles, Orderings, correct_counts, matched_pairs
from helpers.lesions.matched import PAIR
from helpers.measures import TESTS, Comparison, at_equal_damage, class_wise_range, compare
from helpers.partitions import Partition, SubCluster
from helpers.protocols import PAPER, Protocol
from helpers.statistics import Side

Floats = npt.NDArray[np.float64]

LEVELS = (0.05, 0.001)


def null_p_values(
    profiles: LesionProfiles,
    n_random: int = 20,
    protocol: Protocol = PAPER,
    n_draws: int = 999,
    seed: int = 0,
) -> pd.DataFrame:
    """Test random partitions as the paper tests true ones.

    Parameters
    ----------
    profiles : LesionProfiles
        Of `lesions.permutation_profiles`: a matrix whose rows are permuted partitions.
    n_random : int
        Random twins of each sub-cluster, from 1 to one less than there are rows.
    protocol : Protocol
        As for `measures.importance` and `measures.class_range`.
    n_draws : int
        Of the exchangeable tests.
    seed : int
        Seed of twins and draws.

    Returns
    -------
    pandas.DataFrame
        One row per row of the matrix, measure (importance, class_range) and test
        (`measures.TESTS`): measure, test, partition, p; NaN where nothing could be tested.

    Raises
    ------
    ValueError
        If there are not enough rows.

    Notes
    -----
    Each row in turn is taken as the true partition. The twins of each of its sub-clusters are that
    sub-cluster's counterparts in other rows, drawn for each sub-cluster by itself, so that no
    lesions are needed beside those of the matrix. Of class-wise ranges, the first that are defined
    are taken, which is to draw undefined twins again. Rows share twins, so p values of different
    rows depend on each other, if little.
    """
    n_rows = profiles.n_random
    _check_twins(n_random, n_rows)
    rng = np.random.default_rng(seed)
    description, k = profiles.describe(), len(profiles.subclusters)
    ranges = class_wise_range(
        profiles.random, profiles.intact, profiles.class_sizes, protocol.keeps_undefined
    )
    accuracies = measures.importance(profiles, protocol).random
    found = []
    for row in range(n_rows):
        drawn = _others(n_rows, row, n_rows - 1, rng, k)
        by_accuracy = np.take_along_axis(accuracies, drawn[:, :n_random], axis=1)
        others = np.take_along_axis(ranges, drawn, axis=1)
        if not protocol.keeps_undefined:
            # Those that are defined come first, in the order in which they were drawn.
            order = np.argsort(np.isnan(others), axis=1, kind="stable")
            others = np.take_along_axis(others, order, axis=1)
        sides: list[tuple[str, Side, Floats, Floats]] = [
            ("importance", "left", accuracies[:, row], by_accuracy),
            ("class_range", "right", ranges[:, row], others[:, :n_random]),
        ]
        for measure, side, true, random in sides:
            compared = compare(measure, side, protocol, description, true, random, "")
            found += [
                {"measure": measure, "test": test, "partition": row, "p": p}
                for test, p in _combined(compared, n_draws, rng).items()
            ]
    return pd.DataFrame(found)


def shares(
    p_values: pd.DataFrame,
    levels: Sequence[float] = LEVELS,
    by: Sequence[str] = ("measure", "test"),
) -> pd.DataFrame:
    """Return how often p values are small: the size of a test, or its power.

    Parameters
    ----------
    p_values : pandas.DataFrame
        With a column p, and those of `by`.
    levels : sequence of float
        What counts as small, in (0, 1).
    by : sequence of str
        What to count apart.

    Returns
    -------
    pandas.DataFrame
        One row per group and level: the columns of `by`; level; n, how many p values there are
        that are not NaN; share, of those at or below the level; low and high, its exact 95 %
        interval (`statistics.share_interval`). NaN where there is none.
    """
    rows = []
    for names, group in p_values.groupby(list(by), sort=False):
        p = group["p"].dropna().to_numpy()
        for level in levels:
            # Levels that p values can have must not be missed by rounding.
            n_hits, n = int((p <= level * (1 + 1e-9)).sum()), len(p)
            low, high = statistics.share_interval(n_hits, n) if n else (np.nan, np.nan)
            said = {"level": level, "n": n, "share": n_hits / n if n else np.nan}
            rows.append(dict(zip(by, names, strict=True)) | said | {"low": low, "high": high})
    return pd.DataFrame(rows)


def exact_p_values(values: npt.ArrayLike, n_permutations: int, side: Side) -> Floats:
    """Run the exact test on many random partitions, each with permuted ones of its own.

    Parameters
    ----------
    values : array-like of float, shape (n_rows, S)
        Of independent permuted partitions (`lesions.permutation_profiles`).
    n_permutations : int
        Permuted partitions of each test, B; each test takes the next B + 1 rows, the first of
        which it takes for the true one.
    side : {"right", "left"}
        Which values are extreme.

    Returns
    -------
    ndarray of float, shape (n_rows // (B + 1),)
        Independent p values: no row is used twice.

    Raises
    ------
    ValueError
        If there are not enough rows for a single test.
    """
    runs = _runs(values, n_permutations)
    return np.array([statistics.permutation_test(one[0], one[1:], side).p for one in runs])


def effect_p_values(effects: npt.ArrayLike, n_permutations: int) -> Floats:
    """Run the exact test of the mean effect on many random partitions.

    Parameters
    ----------
    effects : array-like of float, shape (n_rows, S)
        Of the sub-clusters of independent permuted partitions; NaN where it cannot be said.
    n_permutations : int
        As for `exact_p_values`.

    Returns
    -------
    ndarray of float, shape (n_rows // (B + 1),)
        Of `statistics.mean_effect_p`; NaN where no effect of the one taken for true is known.

    Raises
    ------
    ValueError
        If there are not enough rows for a single test.
    """
    return np.array([statistics.mean_effect_p(one.T) for one in _runs(effects, n_permutations)])


def interaction_p_values(
    model: keras.Model,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    n_tests: int,
    n_matched: int = 39,
    seed: int = 0,
) -> Floats:
    """Test whether random halves of the last two hidden layers interact.

    Parameters
    ----------
    model, x, y
        As for `lesions.correct`; a network of at least two hidden layers.
    n_tests : int
        Random pairs, at least 1: half of the units of the one layer, and half of the other's.
    n_matched : int
        As for `lesions.matched_pairs`: sets that are missed as much, of each pair's own.
    seed : int
        Seed of pairs and sets.

    Returns
    -------
    ndarray of float, shape (n_tests,)
        Independent p values, of `measures.interaction_test`; NaN where a half loses nothing, or too
        few sets were found that are missed as much.

    Raises
    ------
    ValueError
        If there are not two hidden layers, or less than one test is asked for.

    Notes
    -----
    Matched sets may have any size, so that a random half is not exchangeable with them: this test
    is not exact by construction, and its size has to be seen.
    """
    hidden = hidden_layers(model)
    if len(hidden) < 2 or n_tests < 1:
        raise ValueError(
            f"model and n_tests: {len(hidden)} hidden layers and {n_tests} were given; accepted "
            "are two or more, and integers from 1"
        )
    widths = {layer: forward.n_units(model, layer) for layer in hidden[-2:]}
    halves = Partition.from_labels({layer: np.arange(n) % 2 for layer, n in widths.items()})
    pair = pd.DataFrame([(hidden[-2], 0, hidden[-1], 0)], columns=list(PAIR))
    rng = np.random.default_rng(seed)
    found = []
    for index in range(n_tests):
        drawn = halves.permuted(rng)
        pairs = matched_pairs(model, x, y, drawn, pair, n_matched, seed + index)
        found.append(measures.interaction_test(pairs).p)
    return np.array(found)


def set_p_values(profiles: LesionProfiles, random: Orderings) -> pd.DataFrame:
    """Ask of each random set of units by itself whether it is coherent at equal damage.

    Parameters
    ----------
    profiles : LesionProfiles
        Of `lesions.permutation_profiles`.
    random : Orderings
        Of `lesions.orderings`, on the same network and images. Sub-clusters of layers without
        orderings are left out.

    Returns
    -------
    pandas.DataFrame
        One row per sub-cluster of a permuted partition: layer, cluster, size, partition, damage
        (images), comparable and p, which is 1 where not comparable. Sets overlap and are compared
        with the same orderings, so their p values depend on each other.

    Raises
    ------
    ValueError
        If there are no orderings of any layer.
    """
    parts = []
    for each, counts in zip(profiles.subclusters, profiles.random, strict=True):
        if each.layer in random.sets:
            found = at_equal_damage(counts, each.layer, random)
            part = {"layer": each.layer, "cluster": each.cluster, "size": len(each.units)}
            part |= {"partition": np.arange(len(counts)), "damage": found.damage}
            parts.append(pd.DataFrame(part | {"comparable": found.is_comparable, "p": found.p}))
    if not parts:
        raise ValueError("random: it has orderings of none of the layers of the profiles")
    return pd.concat(parts, ignore_index=True)


def last_layer(
    activations: npt.ArrayLike,
    kernel: npt.ArrayLike,
    bias: npt.ArrayLike,
    classes: npt.ArrayLike,
    batch_size: int = 500,
) -> "Callable[[Sequence[Any]], npt.NDArray[np.bool_]]":
    """Lesion the last hidden layer alone, where a lesion is one product of matrices.

    Faster than `lesions.correct`, but it does not look twice where the two best scores are equal
    but for rounding: good for experiments with tests, not for results.

    Parameters
    ----------
    activations : array-like of float, shape (n_images, units)
        Of the last hidden layer, rectified, so that a silent unit gives 0.
    kernel, bias : array-like of float, shapes (units, n_classes) and (n_classes,)
        Of the layer of scores.
    classes : array-like of int, shape (n_images,)
        Of the images.
    batch_size : int
        Lesions at a time.

    Returns
    -------
    callable
        For `lesions.profiles_of_permutations`: from lesions, whose only layer this is, to an array
        of bool, shape (n_lesions, n_images).
    """
    outgoing = np.asarray(kernel, dtype=np.float32)
    terms = np.asarray(activations, np.float32)[:, :, np.newaxis] * outgoing
    n_images, n_units, n_classes = terms.shape
    # One row per unit: what it adds to each score of each image.
    terms = terms.transpose(1, 0, 2).reshape(n_units, -1)
    right, offset = np.asarray(classes), np.asarray(bias, np.float32)

    def correct(lesions: Sequence[Any]) -> npt.NDArray[np.bool_]:
        found = []
        for start in range(0, len(lesions), batch_size):
            chosen = lesions[start : start + batch_size]
            kept = np.ones((len(chosen), n_units), np.float32)
            for row, lesion in zip(kept, chosen, strict=True):
                for units in lesion.values():
                    row[units] = 0
            scores = (kept @ terms).reshape(len(chosen), n_images, n_classes) + offset
            found.append(scores.argmax(axis=2) == right)
        return np.concatenate(found)

    return correct


def glued(model: keras.Model, classes: Sequence[int]) -> keras.Model:
    """Glue two copies of a network into one, each of which answers for some classes.

    Parameters
    ----------
    model : keras.Model
        Of `networks.mlp` or `networks.cnn`, or one that works alike.
    classes : sequence of int
        Those whose scores come from the first copy; the others' come from the second. With all of
        them, nothing of the second copy ever matters: it is disconnected.

    Returns
    -------
    keras.Model
        Twice as wide as the given one in every hidden layer, and with the same logits. The first
        copy's units come first, and nothing connects them to the second copy's, see `copies`.

    Raises
    ------
    ValueError
        If the model is of another kind, or has no such class.
    """
    weights = model.get_weights()
    n_classes = int(model.output_shape[-1])
    if not set(classes) <= set(range(n_classes)):
        raise ValueError(f"classes: {list(classes)} was given; accepted are 0 to {n_classes - 1}")
    made = _twice_as_wide(model, weights)
    is_first = np.isin(np.arange(n_classes), classes)
    n_before, new = 0, []
    for index, shape in enumerate(each.shape for each in made.get_weights()):
        old, is_output = weights[index], index >= len(weights) - 2
        if index % 2:
            new.append(old if is_output else np.tile(old, 2))
            continue
        # Where layers are flattened between two kernels, channels still vary fastest.
        inner = old.reshape(-1, n_before or old.shape[-2], old.shape[-1])
        nothing = np.zeros_like(inner)
        first, second = (
            (inner * is_first, inner * ~is_first)
            if is_output
            else (np.concatenate([inner, nothing], 2), np.concatenate([nothing, inner], 2))
        )
        both = np.concatenate([first, second], axis=1) if n_before else first + second
        new.append(both.reshape(shape))
        n_before = old.shape[-1]
    made.set_weights(new)
    probe = np.random.default_rng(0).normal(size=(32, *model.input_shape[1:])).astype(np.float32)
    logits = forward.logits(model, probe)
    if not np.allclose(forward.logits(made, probe), logits, rtol=0, atol=1e-3 * np.ptp(logits)):
        raise ValueError(
            f"model: {model.name!r} works otherwise than those of networks.mlp and networks.cnn "
            "with its weights; only these can be glued"
        )
    return made


def hidden_layers(model: keras.Model) -> list[str]:
    """Name the layers of units between the inputs and the scores, in order."""
    return [*forward.read(model).layers][:-1]


def copies(model: keras.Model, layers: Sequence[str]) -> Partition:
    """Return the true partition of some layers of a `glued` network: 0 and 1 for the copies."""
    halves = {layer: forward.n_units(model, layer) // 2 for layer in layers}
    return Partition.from_labels({layer: np.repeat([0, 1], n) for layer, n in halves.items()})


def blurred(partition: Partition, share: float, rng: np.random.Generator) -> Partition:
    """Permute the labels of a share of each layer's units, to make the truth harder to find.

    Parameters
    ----------
    partition : Partition
        That is true.
    share : float
        Of each layer's live units, drawn at random, whose labels are permuted among themselves; 0
        leaves all as it is, 1 is `Partition.permuted`.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    Partition
        Of the same sizes.

    Raises
    ------
    ValueError
        If the share is not from 0 to 1.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share: {share} was given; accepted are numbers from 0 to 1")
    groups = {}
    for layer, labels in partition.labels.items():
        live = partition.live_units(layer)
        # A group of its own for each unit that stays.
        groups[layer] = np.arange(1, len(labels) + 1)
        groups[layer][rng.choice(live, round(share * len(live)), replace=False)] = 0
    return partition.permuted(rng, groups)


def detectors(
    activations: npt.ArrayLike, outgoing: npt.ArrayLike, classes: npt.ArrayLike, size: int
) -> npt.NDArray[np.intp]:
    """Return the units that contribute most to each class: detectors of it, if any are.

    Parameters
    ----------
    activations : array-like of float, shape (n_images, units)
        Of the layer before the scores.
    outgoing : array-like of float, shape (units, n_classes)
        Weights from it to the scores.
    classes : array-like of int, shape (n_images,)
        Of the images.
    size : int
        Units of each set, from 1 to all.

    Returns
    -------
    ndarray of int, shape (n_classes, size)
        For each class, the units with the largest mean, over the images of the class, of
        activation times weight to the class less the mean weight to all classes; ascending. Sets of
        different classes may overlap.

    Raises
    ------
    ValueError
        If there are not so many units, or if a class has no images.

    Notes
    -----
    What a unit adds to all scores alike speaks for no class: predictions stay the same.
    """
    active, weights = np.asarray(activations, float), np.asarray(outgoing, float)
    n_units, n_classes = weights.shape
    if not 1 <= size <= n_units:
        raise ValueError(f"size: {size} was given; accepted are 1 to {n_units}")
    belongs = np.asarray(classes)[:, np.newaxis] == np.arange(n_classes)
    if not belongs.any(axis=0).all():
        missing = np.flatnonzero(~belongs.any(axis=0))
        raise ValueError(f"classes: there is no image of class {missing[0]}")
    means = (belongs.T @ active) / belongs.sum(axis=0)[:, np.newaxis]
    apart = weights - weights.mean(axis=1, keepdims=True)
    order = np.argsort(-means * apart.T, axis=1, kind="stable")
    return np.sort(order[:, :size], axis=1)


def detector_tests(
    model: keras.Model,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    sets: npt.ArrayLike,
    partition: Partition,
    random: Orderings,
    n_random: int = 20,
    seed: int = 0,
    n_permutations: int = 99,
) -> pd.DataFrame:
    """Test planted detectors, alone and together: at equal damage, and by their class-wise range.

    Parameters
    ----------
    model, x, y
        As for `lesions.correct`.
    sets : array-like of int, shape (n_sets, size)
        Of `detectors`.
    partition : Partition
        Of the one layer that they are in; twins are drawn from its live units.
    random : Orderings
        Of `lesions.orderings`, of the same network, images and partition.
    n_random : int
        Random twins of each set, for its class-wise range.
    seed : int
        Seed of twins and permutations.
    n_permutations : int
        How often the layer's live units are permuted, all sets at once.

    Returns
    -------
    pandas.DataFrame
        One row per set: class, size, damage (images), comparable, p_equal_damage (1 where not
        comparable), range and p_range (NaN where the set's class-wise range, or all of its twins',
        is undefined); and p_exact, of all sets together and the same for each: the exact test of
        their p values at equal damage beside those of the same sets of permuted units.

    Raises
    ------
    ValueError
        If the partition is of several layers.
    """
    if len(partition.hidden) != 1:
        raise ValueError(f"partition: {len(partition.hidden)} layers were given; accepted is one")
    (layer,) = partition.hidden
    rng = np.random.default_rng(seed)
    chosen = [SubCluster(layer, i, units) for i, units in enumerate(np.asarray(sets))]
    lesions = [
        {layer: units}
        for each in chosen
        for units in (each.units, *partition.random_twins(each, n_random, rng))
    ]
    live = partition.live_units(layer)
    image = np.arange(len(partition.labels[layer]))
    for _ in range(n_permutations):
        image[live] = rng.permutation(live)
        lesions += [{layer: image[each.units]} for each in chosen]
    counts = correct_counts(model, x, y, lesions)
    counts, permuted = np.split(counts, [len(chosen) * (n_random + 1)])
    counts = counts.reshape(len(chosen), n_random + 1, -1)
    at_damage = at_equal_damage(counts[:, 0], layer, random)
    beside = at_equal_damage(permuted, layer, random).p.reshape(n_permutations, len(chosen))
    ranges = class_wise_range(counts, random.intact, random.class_sizes)
    return pd.DataFrame(
        {
            "class": [each.cluster for each in chosen],
            "size": [len(each.units) for each in chosen],
            "damage": at_damage.damage,
            "comparable": at_damage.is_comparable,
            "p_equal_damage": at_damage.p,
            "range": ranges[:, 0],
            "p_range": [_defined_p(one[0], one[1:]) for one in ranges],
            "p_exact": statistics.permutation_test(at_damage.p, beside, "left").p,
        }
    )


def detector_summary(table: pd.DataFrame) -> pd.DataFrame:
    """Combine the tests of planted detectors of each size, exactly and by Fisher's method.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `detector_tests`, of one or several sizes.

    Returns
    -------
    pandas.DataFrame
        One row per size: size, sets, comparable (at equal damage), damage (the median, in images);
        p_exact; and p_equal_damage and p_range, combined by Fisher's method without those that are
        NaN. As sets overlap, and the p value of a single set that costs much is too small if
        anything (`set_p_values`), the exact one is what to go by.
    """
    rows = [
        {
            "size": size,
            "sets": len(group),
            "comparable": int(group["comparable"].sum()),
            "damage": float(group["damage"].median()),
            "p_exact": float(group["p_exact"].iloc[0]),
            "p_equal_damage": _fisher(group["p_equal_damage"]),
            "p_range": _fisher(group["p_range"]),
        }
        for size, group in table.groupby("size")
    ]
    return pd.DataFrame(rows)


def accuracies(
    correct: "Callable[[Sequence[Any]], npt.NDArray[np.bool_]]",
    partitions: Sequence[Partition],
    n_images: Sequence[int],
) -> Floats:
    """Return the accuracies under lesions of many partitions, on ever more images.

    Parameters
    ----------
    correct : callable
        From lesions to an array of bool, shape (n_lesions, all images), as `lesions.correct`.
    partitions : sequence of Partition
        With the same number of sub-clusters each.
    n_images : sequence of int
        How many first images to count.

    Returns
    -------
    ndarray of float, shape (len(n_images), n_partitions, S)

    Raises
    ------
    ValueError
        If there are not so many images.
    """
    subclusters = [each.subclusters() for each in partitions]
    right = correct([{each.layer: each.units} for row in subclusters for each in row])
    if not 1 <= min(n_images) <= max(n_images) <= right.shape[1]:
        raise ValueError(
            f"n_images: {list(n_images)} was given; accepted are 1 to {right.shape[1]}"
        )
    shape = (len(partitions), -1)
    return np.array([right[:, :n].mean(axis=1).reshape(shape) for n in n_images])


def powers(
    true: npt.ArrayLike,
    permuted: npt.ArrayLike,
    n_random: Sequence[int],
    side: Side,
    n_draws: int = 999,
    seed: int = 0,
) -> pd.DataFrame:
    """Test partitions of which something is true, with more and more twins.

    Parameters
    ----------
    true : array-like of float, shape (R, S)
        Values of the sub-clusters of R partitions.
    permuted : array-like of float, shape (M, S)
        The same of permuted partitions.
    n_random : sequence of int
        How many of these, drawn anew for each partition, are its twins: whole rows in the exact
        test, drawn for each sub-cluster by itself in the paper's tests.
    side : {"right", "left"}
        Which values are extreme.
    n_draws, seed
        As for `null_p_values`.

    Returns
    -------
    pandas.DataFrame
        One row per number of twins, test and partition: n_random, test ("exact" and those of
        `measures.TESTS`), partition, p.

    Raises
    ------
    ValueError
        If there are not enough rows.
    """
    ours, rows = np.asarray(true, float), np.asarray(permuted, float)
    rng = np.random.default_rng(seed)
    found = []
    for n in n_random:
        _check_twins(n, len(rows) + 1)
        for index, values in enumerate(ours):
            chosen = rng.permutation(len(rows))[:n]
            p = {"exact": statistics.permutation_test(values, rows[chosen], side).p}
            drawn = _others(len(rows), None, n, rng, len(values))
            p |= _tests(values, np.take_along_axis(rows.T, drawn, axis=1), side, n_draws, rng)
            found += [
                {"n_random": n, "test": test, "partition": index, "p": each}
                for test, each in p.items()
            ]
    return pd.DataFrame(found)


def redrawn_twins(
    true: npt.ArrayLike,
    permuted: npt.ArrayLike,
    n_random: Sequence[int],
    side: Side,
    n_redraws: int = 100,
    n_draws: int = 999,
    seed: int = 0,
) -> pd.DataFrame:
    """Draw nothing anew but the twins of one partition, and see how far its p values move.

    Parameters
    ----------
    true : array-like of float, shape (S,)
        Values of the sub-clusters.
    permuted : array-like of float, shape (M, S)
        The same of permuted partitions.
    n_random : sequence of int
        Numbers of twins.
    side : {"right", "left"}
        Which values are extreme.
    n_redraws : int
        How often twins are drawn, with replacement and for each sub-cluster by itself, so that
        they vary as much as fresh ones would, however few rows there are.
    n_draws, seed
        As for `null_p_values`.

    Returns
    -------
    pandas.DataFrame
        One row per number of twins, redraw and test: n_random, test (of `measures.TESTS`),
        redraw, p.
    """
    ours, rows = np.asarray(true, float), np.asarray(permuted, float)
    rng = np.random.default_rng(seed)
    found = []
    for n in n_random:
        for redraw in range(n_redraws):
            drawn = rng.integers(len(rows), size=(len(ours), n))
            p = _tests(ours, np.take_along_axis(rows.T, drawn, axis=1), side, n_draws, rng)
            found += [
                {"n_random": n, "test": test, "redraw": redraw, "p": each}
                for test, each in p.items()
            ]
    return pd.DataFrame(found)


def sequential(
    permuted: npt.ArrayLike,
    side: Side,
    true: npt.ArrayLike | None = None,
    n_reference: int = 99,
    max_permutations: int = 199,
    seed: int = 0,
    **options: Any,
) -> pd.DataFrame:
    """Compare the sequential test with the exact test that always draws all permutations.

    Parameters
    ----------
    permuted : array-like of float, shape (M, S)
        Values of permuted partitions, at least one more than `n_reference` and `max_permutations`
        together.
    side : {"right", "left"}
        Which values are extreme.
    true : array-like of float, shape (R, S), optional
        Of the partitions to test; by default each row of `permuted` in turn, for which the null
        hypothesis holds.
    n_reference, max_permutations : int
        Rows to rank among, and further rows to draw at most; the exact test has as many as the
        latter.
    seed : int
        Seed of which rows these are.
    **options
        As for `statistics.sequential_permutation_test`.

    Returns
    -------
    pandas.DataFrame
        One row per partition and test ("exact", "sequential"): partition, test, p, and
        permutations, how many permuted partitions were lesioned, the reference included.

    Raises
    ------
    ValueError
        If there are not enough rows.
    """
    rows = np.asarray(permuted, float)
    _check_twins(n_reference + max_permutations, len(rows), "n_reference + max_permutations")
    ours = rows if true is None else np.asarray(true, float)
    rng = np.random.default_rng(seed)
    found = []
    for index, values in enumerate(ours):
        n = n_reference + max_permutations
        chosen = rows[_others(len(rows), index if true is None else None, n, rng)[0]]
        reference, draws = chosen[:n_reference], chosen[n_reference:]
        fixed = statistics.permutation_test(values, draws, side).p
        stopped = statistics.sequential_permutation_test(
            values, reference, draws, side, max_permutations=max_permutations, **options
        )
        for test, p, n_drawn in (
            ("exact", fixed, max_permutations),
            ("sequential", stopped.p, n_reference + stopped.n_permutations),
        ):
            found.append({"partition": index, "test": test, "p": p, "permutations": n_drawn})
    return pd.DataFrame(found)


def _runs(values: npt.ArrayLike, n_permutations: int) -> list[Floats]:
    """Split rows into independent tests of 1 + n_permutations; what is left over is not used."""
    rows = np.asarray(values, dtype=float)
    n_tests = len(rows) // (n_permutations + 1) if n_permutations > 0 else 0
    if not n_tests:
        raise ValueError(
            f"n_permutations: {n_permutations} was given for {len(rows)} rows; accepted are 1 to "
            f"{len(rows) - 1}"
        )
    return np.split(rows[: n_tests * (n_permutations + 1)], n_tests)


def _tests(
    true: Floats, random: Floats, side: Side, n_draws: int, rng: np.random.Generator
) -> dict[str, float]:
    """Return the paper's combined p values of values that are all tested."""
    description = pd.DataFrame({"complete": np.zeros(len(true), bool)})
    compared = compare("", side, PAPER, description, true, random, "")
    return _combined(compared, n_draws, rng)


def _combined(compared: Comparison, n_draws: int, rng: np.random.Generator) -> dict[str, float]:
    """Return the paper's p values as `Comparison.combine` does, by fewer draws."""
    p, tested = dict.fromkeys(TESTS, np.nan), compared.is_tested
    if not tested.any():
        return p
    p["fisher"] = statistics.fisher(compared.p[tested], compared.n_random)
    p["chi2"] = statistics.chi2(compared.p[tested], compared.n_random)
    values = compared.true[tested], compared.random[tested]
    if compared.protocol.ties == "inclusive" and not np.isnan(values[1]).any():
        for statistic in ("fisher", "chi2"):
            p[f"exchangeable_{statistic}"] = statistics.exchangeable(
                *values, compared.side, statistic, n_draws, rng
            )
    return p


def _others(
    n_rows: int, row: int | None, n: int, rng: np.random.Generator, k: int = 1
) -> npt.NDArray[np.intp]:
    """Draw n rows but one, for each of k sub-clusters by itself, shape (k, n)."""
    rest = np.arange(n_rows) if row is None else np.delete(np.arange(n_rows), row)
    return rng.permuted(np.tile(rest, (k, 1)), axis=1)[:, :n]


def _fisher(p_values: "pd.Series[float]") -> float:
    """Combine what is defined by Fisher's method as it is, without any centring."""
    p = p_values.dropna().to_numpy(dtype=float)
    return float(scipy.stats.combine_pvalues(p, method="fisher").pvalue) if len(p) else np.nan


def _defined_p(true: float, random: Floats) -> float:
    """Return a p value among the twins that are defined, NaN if there is nothing to rank."""
    defined = random[~np.isnan(random)]
    return statistics.p_value(true, defined) if len(defined) and not np.isnan(true) else np.nan


def _check_twins(n: int, n_rows: int, argument: str = "n_random") -> None:
    if not 1 <= n < n_rows:
        raise ValueError(
            f"{argument}: {n} was given; of {n_rows} permuted partitions, accepted are 1 to "
            f"{n_rows - 1}"
        )


def _twice_as_wide(model: keras.Model, weights: list[npt.NDArray[Any]]) -> keras.Model:
    """Build the network that two copies fit into."""
    shape, n_classes = model.input_shape[1:], int(model.output_shape[-1])
    hidden = [each.shape[-1] for each in weights[:-2:2]]
    is_known = len(weights) % 2 == 0 and len(weights) >= 4
    if is_known and weights[0].ndim == 2:
        made = networks.mlp(shape, n_classes, width=2 * hidden[0], depth=len(hidden))
    elif is_known and len(weights) == 10:
        made = networks.cnn(shape, n_classes, 2 * hidden[0], 2 * hidden[-1])
    else:
        raise ValueError(
            f"model: {model.name!r} was given; accepted are those of networks.mlp and networks.cnn"
        )
    wide = [each.shape[-1] for each in made.get_weights()[:-2:2]]
    if wide != [2 * n for n in hidden]:
        raise ValueError(
            f"model: hidden layers of {hidden} units were given; accepted are those of "
            "networks.mlp and networks.cnn"
        )
    return made
