"""The first instrument: what inputs the units of a sub-cluster respond to (section 3.1.1).

A unit's map is its Spearman correlation with every input over a set of images. The picture of a
sub-cluster is the mean of its units' maps, once their signs are aligned; the pictures of random
twins are what it must be compared with.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from helpers import forward, settings, validation
from helpers.backend import keras
from helpers.fingerprints import fingerprint
from helpers.partitions import ISOLATED, Partition, SubCluster, as_partition

Floats = npt.NDArray[np.float64]

Maps = Floats
"""Correlations with the inputs, shape (..., inputs): images flattened row by row, channels last."""

_BLOCK = 64
"""Columns that a thread ranks at a time, so that they stay in the processor's cache."""

_ROUNDING = 1e-9
"""A sum of cosines above minus this is not negative: rounding must not flip orthogonal maps."""


@dataclass(frozen=True, eq=False)
class Pictures:
    """What sub-clusters and their random twins respond to.

    Attributes
    ----------
    partition : Partition
        Units that respond to nothing have the label -1 in it.
    subclusters : list of SubCluster
        Those that are within the size rule, of responsive units only.
    true : ndarray of float, shape (subclusters, inputs)
        Picture of each sub-cluster.
    random : ndarray of float, shape (subclusters, n_random, inputs)
        Pictures of its random twins.
    true_strength : ndarray of float, shape (subclusters,)
        Mean length of the maps that each sub-cluster's picture was made of.
    random_strength : ndarray of float, shape (subclusters, n_random)
        The same of its random twins.
    fingerprint : str
        Of the maps.
    """

    partition: Partition
    subclusters: list[SubCluster]
    true: Maps
    random: Maps
    true_strength: Floats
    random_strength: Floats
    fingerprint: str


def side_by_side(pictures: Mapping[str, Pictures]) -> Pictures:
    """Return pictures of several networks as if they were of layers of one, to draw them in a row.

    Parameters
    ----------
    pictures : mapping of str to Pictures
        What to call each network, and its pictures, all with as many random twins and inputs.

    Raises
    ------
    ValueError
        If there are none.
    """
    if not pictures:
        raise ValueError("pictures: none were given; accepted is at least one network's")
    all_of_them = list(pictures.values())
    return Pictures(
        partition=Partition(
            {
                name: np.concatenate(list(each.partition.labels.values()))
                for name, each in pictures.items()
            },
            tuple(pictures),
        ),
        subclusters=[
            replace(one, layer=name) for name, each in pictures.items() for one in each.subclusters
        ],
        true=np.concatenate([each.true for each in all_of_them]),
        random=np.concatenate([each.random for each in all_of_them]),
        true_strength=np.concatenate([each.true_strength for each in all_of_them]),
        random_strength=np.concatenate([each.random_strength for each in all_of_them]),
        fingerprint=fingerprint(*(each.true for each in all_of_them)),
    )


def unit_input_correlations(model: keras.Model, x: npt.NDArray[np.float32], layer: str) -> Maps:
    """Correlate every unit of one layer with every input.

    Parameters
    ----------
    model, x
        As for `correlation_maps`.
    layer : str
        Name of a layer of the model.

    Returns
    -------
    ndarray of float, shape (units, inputs)
        As of `correlation_maps`.

    Raises
    ------
    ValueError
        As `correlation_maps`.

    Examples
    --------
    >>> from helpers import correlations, zoo
    >>> net = zoo.trained("digits-mlp")
    >>> correlations.unit_input_correlations(net.model, net.dataset.x_test[:100], "dense_1").shape
    (256, 64)
    """
    return correlation_maps(model, x, (layer,))[layer]


def correlation_maps(
    model: keras.Model, x: npt.NDArray[np.float32], layers: Sequence[str]
) -> dict[str, Maps]:
    """Correlate every unit of several layers with every input, ranking the inputs once.

    Parameters
    ----------
    model : keras.Model
        Any built Keras model.
    x : ndarray of float32, shape (n, ...)
        Images, at least two; the paper uses the test set.
    layers : sequence of str
        Names of layers of the model.

    Returns
    -------
    dict of str to ndarray of float, shape (units, inputs)
        For each layer, Spearman's correlation of each unit's activation with each input over the
        images, in [-1, 1]. Ties share their mean rank. A unit or an input that is constant has
        no ranks to correlate: its correlations are 0.

    Raises
    ------
    ValueError
        If the model has no such layer or takes images of another shape, if there are fewer than
        two images, or if an activation or an input is NaN.
    """
    _check_several(x)
    activities = responses(model, x, layers)
    ranks = _centred_ranks(x[:].reshape(len(x), -1), "x")  # Of files, too.
    return {
        layer: _correlations(_centred_ranks(activity, layer), ranks)
        for layer, activity in activities.items()
    }


def unit_correlations(
    model: keras.Model,
    x: npt.NDArray[np.float32],
    layers: Sequence[str],
    batch_size: int = 100,
) -> Floats:
    """Correlate every unit of several layers with every other over the images.

    Parameters
    ----------
    model, x, layers
        As for `correlation_maps`.
    batch_size : int
        Images per forward pass, which bounds the memory that all feature maps take.

    Returns
    -------
    ndarray of float, shape (units, units)
        Spearman's correlation of each pair of units, layer after layer in the order given, in
        [-1, 1]. Ties share their mean rank. A unit that is constant has no ranks to correlate:
        its correlations are 0, also that with itself, which is 1 of all other units.

    Raises
    ------
    ValueError
        As `correlation_maps`.
    """
    _check_several(x)
    return correlations_among(responses(model, x, layers, batch_size))


def correlations_among(activities: dict[str, npt.NDArray[np.float32]]) -> Floats:
    """Correlate columns with one another, by ranks and one product of matrices.

    Parameters
    ----------
    activities : dict of str to ndarray of float32, shape (n, units)
        Of `responses`. Emptied on the way: ranks of many units take the memory.

    Returns
    -------
    ndarray of float, shape (units, units)
        As of `unit_correlations`; exactly symmetric.

    Raises
    ------
    ValueError
        If there are NaNs; names the layer.
    """
    ends = np.cumsum([each.shape[1] for each in activities.values()], dtype=int)
    ranks = np.empty((ends[-1], len(next(iter(activities.values())))))
    for layer, end in zip(list(activities), ends, strict=True):
        activity = activities.pop(layer)
        ranks[end - activity.shape[1] : end] = _centred_ranks(activity, layer)
    products = np.asarray(ranks @ ranks.T)
    squares = np.diag(products).copy()
    squares[squares == 0] = 1
    for row, square in zip(products, squares, strict=True):
        row /= np.sqrt(square * squares)
    return products


def responses(
    model: keras.Model,
    x: npt.NDArray[np.float32],
    layers: Sequence[str],
    batch_size: int = 1000,
) -> dict[str, npt.NDArray[np.float32]]:
    """Return one number per unit and image: how strongly the unit responds.

    Parameters
    ----------
    model, x, layers
        As for `correlation_maps`.
    batch_size : int
        Images per forward pass.

    Returns
    -------
    dict of str to ndarray of float32, shape (n, units)
        Activations of neurons, after the layer's activation function; of a feature map, the L1
        norm of its activations (section 3.1.1; the released code took the spectral norm).

    Raises
    ------
    ValueError
        If there are no images, or as `forward.activations`.
    """
    if not len(x):
        raise ValueError("x: no images were given")
    found: dict[str, npt.NDArray[np.float32]] = {}
    start = 0
    for batch in forward.batches_of_activations(model, x, layers, batch_size):
        for layer, activity in batch.items():
            rows = _l1_norm(activity)
            if layer not in found:  # Small arrays, joined at the end, would take twice the memory.
                found[layer] = np.empty((len(x), rows.shape[1]), rows.dtype)
            found[layer][start : start + len(rows)] = rows
        start += batch_size
    return found


def align_signs(maps: npt.ArrayLike, n_iterations: int = 20) -> Maps:
    """Flip maps until they agree (algorithm 2 in appendix A.3, after Watanabe, 2019).

    One after the other, each map is flipped if the sum of its cosines with all other maps is
    negative. Every flip makes the sum of all cosines larger.

    Parameters
    ----------
    maps : array-like of float, shape (units, inputs)
        Maps to align. Cosines with a map that is zero everywhere count as 0.
    n_iterations : int
        Passes over the maps, at least 0; passes after one without a flip are skipped, as they
        would change nothing.

    Returns
    -------
    ndarray of float, shape (units, inputs)
        Each map or its negative.

    Raises
    ------
    ValueError
        If `maps` is not two-dimensional or not finite, or `n_iterations` is negative.

    Notes
    -----
    The released code visits all maps at once and therefore aligns nothing.

    Examples
    --------
    >>> from helpers import correlations
    >>> correlations.align_signs([[1.0, 2.0], [-1.0, -2.0], [1.0, 1.0]]).tolist()
    [[-1.0, -2.0], [-1.0, -2.0], [-1.0, -1.0]]
    """
    array = np.asarray(maps, dtype=float)
    if array.ndim != 2 or not np.isfinite(array).all():
        raise ValueError("maps: a finite array of shape (units, inputs) is needed")
    _check_iterations(n_iterations)
    return np.asarray(_aligning_signs(_cosines(array), n_iterations)[:, np.newaxis] * array)


def responsive(partition: Partition, maps: dict[str, Maps]) -> Partition:
    """Return a partition without the units that respond to nothing.

    Parameters
    ----------
    partition : Partition
        Of the network.
    maps : dict of str to ndarray of float, shape (units, inputs)
        Of `correlation_maps`, for the partition's hidden layers.

    Returns
    -------
    Partition
        Of the hidden layers. Units whose map is zero everywhere, because their activation never
        changes, have the label -1: they are in no sub-cluster and in no random twin.

    Raises
    ------
    ValueError
        If a hidden layer has no maps, or not one for each of its units.
    """
    labels = {}
    for layer in partition.hidden:
        given = len(maps.get(layer, ()))
        if given != len(partition.labels[layer]):
            raise ValueError(
                f"maps: {given} for the {len(partition.labels[layer])} units of {layer!r}"
            )
        labels[layer] = np.where(maps[layer].any(axis=1), partition.labels[layer], ISOLATED)
    return Partition(labels, partition.hidden)


def pictures(
    partition: Partition | Mapping[str, npt.ArrayLike],
    maps: dict[str, Maps],
    n_random: int = 20,
    n_iterations: int = 20,
    min_size: int = 4,
    max_fraction: float = 0.8,
    seed: int = 0,
) -> Pictures:
    """Make the pictures of sub-clusters and of their random twins (Figures 1 and 4).

    Parameters
    ----------
    partition : Partition
        Of the network.
    maps : dict of str to ndarray of float, shape (units, inputs)
        Of `correlation_maps`, for the partition's hidden layers.
    n_random : int
        Twins per sub-cluster, drawn from the responsive units of its layer.
    n_iterations : int
        Of `align_signs`; 0 leaves the signs as they are, as the released code does.
    min_size, max_fraction : int, float
        Size rule of `Partition.subclusters`, applied to responsive units. The defaults are the
        released code's; the paper states none.
    seed : int
        Seed of the twins.

    Returns
    -------
    Pictures
        Each is the mean of the units' aligned maps. Its sign means nothing, and is chosen so
        that its mean is not positive.

    Raises
    ------
    ValueError
        If `n_random` is less than 1 or `n_iterations` is negative, or as `responsive`.
    """
    validation.check_number("n_random", n_random)
    partition = as_partition(partition)
    _check_iterations(n_iterations)
    rng = np.random.default_rng(seed)
    alive = responsive(partition, maps)
    cosines = {layer: _cosines(maps[layer]) for layer in alive.hidden}
    subclusters = alive.subclusters(min_size, max_fraction)
    sets = [
        np.vstack([each.units, alive.random_twins(each, n_random, rng)]) for each in subclusters
    ]
    drawn = [
        [_picture(maps[each.layer], cosines[each.layer], units, n_iterations) for units in rows]
        for each, rows in zip(subclusters, sets, strict=True)
    ]
    lengths = {layer: np.linalg.norm(maps[layer], axis=1) for layer in alive.hidden}
    strengths = [
        lengths[each.layer][rows].mean(axis=1) for each, rows in zip(subclusters, sets, strict=True)
    ]
    n_inputs = next(iter(maps.values())).shape[1]
    together = np.reshape(drawn, (len(subclusters), 1 + n_random, n_inputs))
    strength = np.reshape(strengths, (len(subclusters), 1 + n_random))
    return Pictures(
        partition=alive,
        subclusters=subclusters,
        true=together[:, 0],
        random=together[:, 1:],
        true_strength=strength[:, 0],
        random_strength=strength[:, 1:],
        fingerprint=fingerprint(*maps.values()),
    )


def _check_several(x: npt.NDArray[np.float32]) -> None:
    if len(x) < 2:
        raise ValueError(f"x: {len(x)} images were given; correlations need two or more")


def _check_iterations(n_iterations: int) -> None:
    if n_iterations < 0:
        raise ValueError(f"n_iterations: {n_iterations} was given; accepted are 0 and more")


def _l1_norm(activity: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Reduce what a unit does on an image to one number; a neuron's activation stays as it is."""
    if activity.ndim == 2:
        return activity
    # In double precision sums are the same in any order, and equal maps stay tied.
    places = tuple(range(1, activity.ndim - 1))
    norms = np.abs(activity).sum(axis=places, dtype=np.float64)
    return np.asarray(norms, dtype=activity.dtype)


def _centred_ranks(columns: npt.NDArray[np.float32], name: str) -> Floats:
    """Return twice each column's ranks, ties at their mean, as a row of mean 0.

    These are integers: products of fewer than 200,000 of them are exact, in whatever order the
    machine sums them up.
    """
    if np.isnan(columns).any():
        raise ValueError(f"{name}: holds NaN, which has no rank")

    ranks = np.empty(columns.T.shape)

    def centre(block: slice) -> None:
        ranks[block] = 2 * rankdata(columns.T[block], axis=1) - (len(columns) + 1)

    blocks = [slice(start, start + _BLOCK) for start in range(0, len(ranks), _BLOCK)]
    with ThreadPoolExecutor(settings.n_cores()) as executor:
        list(executor.map(centre, blocks))
    return ranks


def _correlations(rows: Floats, columns: Floats) -> Maps:
    """Return Pearson's correlation of each row with each column, 0 for constant ones."""
    squares = np.outer(np.sum(rows**2, axis=1), np.sum(columns**2, axis=1))
    products = rows @ columns.T
    return np.divide(products, np.sqrt(squares), out=products, where=squares > 0)


def _cosines(maps: Maps) -> Floats:
    """Return the cosine of each pair of maps, 0 for a map with itself or with one that is 0."""
    lengths = np.linalg.norm(maps, axis=1, keepdims=True)
    unit_maps = np.divide(maps, lengths, out=np.zeros_like(maps), where=lengths > 0)
    cosines = np.asarray(unit_maps @ unit_maps.T)
    np.fill_diagonal(cosines, 0)
    return cosines


def _aligning_signs(cosines: Floats, n_iterations: int) -> Floats:
    """Return the sign of each map that algorithm 2 ends with, from cosines alone."""
    signs = np.ones(len(cosines))
    agreement = cosines.sum(axis=1)
    for _ in range(n_iterations):
        position = 0
        has_flipped = False
        while (negative := np.flatnonzero(agreement[position:] < -_ROUNDING)).size:
            unit = position + negative[0]
            agreement -= 2 * signs * signs[unit] * cosines[unit]
            agreement[unit] *= -1
            signs[unit] *= -1
            position, has_flipped = unit + 1, True
        if not has_flipped:
            break
    return signs


def _picture(maps: Maps, cosines: Floats, units: npt.NDArray[np.intp], n_iterations: int) -> Maps:
    """Return the mean of some units' aligned maps, turned so that its mean is not positive."""
    signs = _aligning_signs(cosines[np.ix_(units, units)], n_iterations)
    picture = np.asarray(signs @ maps[units] / len(units))
    return -picture if picture.mean() > 0 else picture
