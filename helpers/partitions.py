"""Clusters of units: spectral clustering, sub-clusters, and their random twins."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse
from scipy.sparse.linalg import eigsh
from sklearn.cluster import SpectralClustering, k_means
from threadpoolctl import threadpool_limits

if TYPE_CHECKING:
    from helpers.graphs import WeightGraph

ISOLATED = -1
"""Label of a unit without any connection, which belongs to no cluster."""

Pool = Literal["live", "all"]

_FACTORISED = 10_000
"""Vertices up to which scikit-learn's factorisation of the Laplacian fits into memory."""


@dataclass(frozen=True)
class SubCluster:
    """The units of one cluster in one layer.

    Attributes
    ----------
    layer : str
        Name of the layer.
    cluster : int
        Label of the cluster.
    units : ndarray of int, shape (size,)
        Indices of the units within the layer, ascending.
    """

    layer: str
    cluster: int
    units: npt.NDArray[np.intp]


@dataclass(frozen=True)
class Partition:
    """A cluster label for every unit of a network.

    Attributes
    ----------
    labels : dict of str to ndarray of int, shape (units,)
        The clusters of each layer's units, layer by layer in order; -1 for isolated units.
    hidden : tuple of str
        Layers whose sub-clusters are studied: all but inputs and outputs.
    """

    labels: dict[str, npt.NDArray[np.intp]]
    hidden: tuple[str, ...]

    @classmethod
    def from_labels(
        cls,
        labels: Mapping[str, npt.ArrayLike],
        hidden: tuple[str, ...] | None = None,
    ) -> "Partition":
        """Make a partition from one's own labels.

        Parameters
        ----------
        labels : mapping of str to array-like of int, shape (units,)
            For each layer, by its Keras name, the cluster of each unit; -1 for units that
            belong to none.
        hidden : tuple of str, optional
            Layers whose sub-clusters are studied; by default, all that are given.

        Raises
        ------
        ValueError
            If labels are not one-dimensional integers from -1, or `hidden` names another layer.
        """
        arrays = {layer: _checked_labels(layer, given) for layer, given in labels.items()}
        chosen = tuple(arrays) if hidden is None else hidden
        unknown = [layer for layer in chosen if layer not in arrays]
        if unknown:
            raise ValueError(f"hidden: no labels for {', '.join(unknown)}")
        return cls(arrays, chosen)

    def live_units(self, layer: str) -> npt.NDArray[np.intp]:
        """Return the units of a layer that belong to a cluster, ascending."""
        return np.flatnonzero(self.labels[layer] != ISOLATED)

    def subclusters(self, min_size: int = 1, max_fraction: float = 1.0) -> list[SubCluster]:
        """Return the sub-clusters of the hidden layers, layer by layer.

        Parameters
        ----------
        min_size : int
            Least number of units.
        max_fraction : float
            Largest share of the layer's width, inclusive, in (0, 1].
        """
        found = [
            SubCluster(layer, int(cluster), np.flatnonzero(self.labels[layer] == cluster))
            for layer in self.hidden
            for cluster in np.unique(self.labels[layer])
            if cluster != ISOLATED
        ]
        return [
            each
            for each in found
            if len(each.units) >= min_size
            and len(each.units) / len(self.labels[each.layer]) <= max_fraction
        ]

    def is_complete(self, subcluster: SubCluster) -> bool:
        """Say whether a sub-cluster is all live units of its layer, and so equals its twins."""
        return len(subcluster.units) == len(self.live_units(subcluster.layer))

    def describe(self, subclusters: Sequence[SubCluster]) -> pd.DataFrame:
        """Return one row per sub-cluster: where it is and how large.

        Columns: layer, cluster, size, share (of the layer's width, in (0, 1]), complete.
        """
        return pd.DataFrame(
            {
                "layer": [each.layer for each in subclusters],
                "cluster": [each.cluster for each in subclusters],
                "size": [len(each.units) for each in subclusters],
                "share": [len(each.units) / len(self.labels[each.layer]) for each in subclusters],
                "complete": [self.is_complete(each) for each in subclusters],
            }
        )

    def permuted(
        self, rng: np.random.Generator, strata: Mapping[str, npt.ArrayLike] | None = None
    ) -> "Partition":
        """Permute the labels of each layer's live units among themselves.

        Parameters
        ----------
        rng : numpy.random.Generator
            Source of randomness.
        strata : mapping of str to array-like of int, shape (units,), optional
            Of each layer, which group each unit belongs to, see `strata`: labels are permuted
            within groups only. By default, a layer is one group.

        Returns
        -------
        Partition
            With the same sub-clusters, layer by layer and size by size, of other units: the null
            hypothesis that which unit (of a group) is in which cluster does not matter.
        """
        labels = {}
        for layer, ours in self.labels.items():
            labels[layer] = ours.copy()
            for units in self._groups(layer, strata):
                labels[layer][units] = rng.permutation(ours[units])
        return Partition(labels, self.hidden)

    def can_change(
        self, subcluster: SubCluster, strata: Mapping[str, npt.ArrayLike] | None = None
    ) -> bool:
        """Say whether any permutation (within groups) changes the units of a sub-cluster.

        None does if the sub-cluster is all live units of each group that it is in, as a complete
        one is.
        """
        ours = np.isin(np.arange(len(self.labels[subcluster.layer])), subcluster.units)
        groups = self._groups(subcluster.layer, strata)
        return any(0 < ours[units].sum() < len(units) for units in groups)

    def _groups(
        self, layer: str, strata: Mapping[str, npt.ArrayLike] | None
    ) -> list[npt.NDArray[np.intp]]:
        """Return the live units of a layer, group by group."""
        live = self.live_units(layer)
        if strata is None:
            return [live]
        group = np.asarray(strata[layer])
        if group.shape != self.labels[layer].shape:
            raise ValueError(
                f"strata: shape {group.shape} was given for the {len(self.labels[layer])} units "
                f"of {layer!r}"
            )
        return [live[group[live] == each] for each in np.unique(group[live])]

    def random_twins(
        self,
        subcluster: SubCluster,
        n: int,
        rng: np.random.Generator,
        pool: Pool = "live",
        outside: Sequence[int] | npt.NDArray[np.intp] = (),
    ) -> npt.NDArray[np.intp]:
        """Draw random sets of units to compare a sub-cluster with.

        Parameters
        ----------
        subcluster : SubCluster
            Sets its layer and size.
        n : int
            Number of sets.
        rng : numpy.random.Generator
            Source of randomness.
        pool : {"live", "all"}
            Whether units are drawn from those of the layer that belong to a cluster, or from all.
        outside : array-like of int, optional
            Units of the layer that are not drawn, such as those of another sub-cluster that is
            lesioned at the same time.

        Returns
        -------
        ndarray of int, shape (n, size)
            Each row a set drawn uniformly and without replacement from the pool, the
            sub-cluster's own units included; ascending.

        Raises
        ------
        ValueError
            If there is no such pool, or if fewer units are left in it than the sub-cluster has.
        """
        if pool not in ("live", "all"):
            raise ValueError(f"pool: {pool!r} was given; accepted are live, all")
        layer = subcluster.layer
        units = self.live_units(layer) if pool == "live" else np.arange(len(self.labels[layer]))
        units = np.setdiff1d(units, np.asarray(outside, dtype=np.intp), assume_unique=True)
        if len(units) < len(subcluster.units):
            raise ValueError(
                f"outside: {len(units)} units of {layer!r} are left to draw "
                f"{len(subcluster.units)} from"
            )
        shuffled = rng.permuted(np.tile(units, (n, 1)), axis=1)
        return np.sort(shuffled[:, : len(subcluster.units)], axis=1)


def strata(graph: "WeightGraph", partition: Partition, size: int = 8) -> dict[str, Any]:
    """Group the live units of each layer by how strongly they are connected.

    Parameters
    ----------
    graph : WeightGraph
        Of `graphs.weight_graph`.
    partition : Partition
        Of its units.
    size : int
        About how many units to a group, at least 2.

    Returns
    -------
    dict of str to ndarray of int, shape (units,)
        For `Partition.permuted`: groups of similar degree (the sum of a unit's edges), counted
        from the weakest; 0 for isolated units, which have no part in it.

    Raises
    ------
    ValueError
        If `size` is less than 2.
    """
    if size < 2:
        raise ValueError(f"size: {size} was given; accepted are integers from 2")
    degrees = np.asarray(graph.adjacency.sum(axis=1)).ravel()
    found = {}
    for layer, labels in partition.labels.items():
        live = partition.live_units(layer)
        found[layer] = np.zeros(len(labels), dtype=np.intp)
        if len(live):
            order = live[np.argsort(degrees[graph.slice(layer)][live], kind="stable")]
            n_groups = max(round(len(live) / size), 1)
            for group, units in enumerate(np.array_split(order, n_groups)):
                found[layer][units] = group
    return found


def as_partition(given: Partition | Mapping[str, npt.ArrayLike]) -> Partition:
    """Return a partition, made from a mapping of labels if that is what is given.

    Raises
    ------
    ValueError
        If it is neither, or as `Partition.from_labels`.
    """
    if isinstance(given, Partition):
        return given
    if not isinstance(given, Mapping):
        raise ValueError(
            f"partition: {type(given).__name__} was given; accepted are a Partition and a mapping "
            "of layer names to labels"
        )
    return Partition.from_labels(given)


def spectral(graph: "WeightGraph", n_clusters: int, seed: int = 0) -> Partition:
    """Partition a graph by normalised spectral clustering (Shi and Malik, 2000; appendix A.1).

    Parameters
    ----------
    graph : WeightGraph
        Of `graphs.weight_graph`.
    n_clusters : int
        Number of clusters, from 1 to the number of units that are connected to any other.
    seed : int
        Seed of the eigensolver's start and of k-means.

    Returns
    -------
    Partition
        Isolated units have the label -1. In a graph of several components no component is cut
        as long as there are at most as many clusters as components.

    Raises
    ------
    ValueError
        If the adjacency is not finite, non-negative and symmetric, or if there are fewer
        connected units than clusters.
    """
    adjacency = scipy.sparse.csr_array(graph.adjacency)
    _check_adjacency(adjacency)
    connected = np.flatnonzero(adjacency.sum(axis=0) > 0)
    if not 1 <= n_clusters <= len(connected):
        raise ValueError(
            f"n_clusters: {n_clusters} was given; accepted are 1 to {len(connected)}, "
            "the number of units that are connected to any other"
        )
    labels = np.full(adjacency.shape[0], ISOLATED, dtype=np.intp)
    if len(connected) < len(labels):
        adjacency = adjacency[connected][:, connected]
    labels[connected] = _cluster(adjacency, n_clusters, seed)
    return Partition(
        {layer: labels[graph.slice(layer)] for layer in graph.layers}, hidden=graph.hidden
    )


def normalized_cut(adjacency: Any, labels: npt.ArrayLike) -> float:
    """Return the n-cut of a partition of a graph (appendix A.1, after von Luxburg, 2007).

    Half the sum, over the clusters, of the weight of the edges that leave a cluster divided by
    the cluster's volume.

    Parameters
    ----------
    adjacency : sparse or dense array, shape (n, n)
        Symmetric, non-negative edge weights.
    labels : array-like of int, shape (n,)
        Cluster of each vertex; vertices with label -1 belong to none.

    Returns
    -------
    float
        In [0, n_clusters / 2].

    Raises
    ------
    ValueError
        If there is not one label per vertex, or if a cluster has no edges (its n-cut is 0/0).
    """
    weights = scipy.sparse.csr_array(adjacency)
    clusters = np.asarray(labels)
    if clusters.shape != weights.shape[:1]:
        raise ValueError(f"labels: {clusters.shape} was given for {weights.shape[0]} vertices")
    members = (np.unique(clusters[clusters != ISOLATED])[:, np.newaxis] == clusters).astype(float)
    volumes = members @ weights.sum(axis=1)
    if not np.all(volumes > 0):
        raise ValueError("labels: a cluster without any edge has no n-cut; label its units -1")
    within = np.sum(members * (weights @ members.T).T, axis=1)
    return float(np.sum(1 - within / volumes) / 2)


def _cluster(adjacency: scipy.sparse.csr_array, n_clusters: int, seed: int) -> Any:
    """Label the vertices of a graph without isolated vertices."""
    n_vertices = adjacency.shape[0]
    if n_clusters == 1:
        return np.zeros(n_vertices, dtype=np.intp)
    if n_clusters == n_vertices:
        return np.arange(n_vertices)
    n_init = 25 if n_vertices <= 2000 else 100
    if n_vertices > _FACTORISED:
        with threadpool_limits(1):
            _, labels, _ = k_means(
                _embedding(adjacency, n_clusters, seed),
                n_clusters,
                n_init=n_init,
                random_state=seed,
            )
        return labels
    clustering = SpectralClustering(
        n_clusters,
        affinity="precomputed",
        eigen_solver="arpack",
        assign_labels="kmeans",
        n_init=n_init,
        random_state=seed,
    )
    # One thread: sums in the same order on every machine, and no slower at this size.
    with warnings.catch_warnings(), threadpool_limits(1):
        # On a graph of several components the leading eigenvectors span their indicators: the
        # embedding maps each component to one point, so the warning does not apply.
        warnings.filterwarnings("ignore", message="Graph is not fully connected")
        return clustering.fit_predict(scipy.sparse.csr_matrix(adjacency))


def _embedding(
    adjacency: scipy.sparse.csr_array, n_clusters: int, seed: int
) -> npt.NDArray[np.float64]:
    """Return what scikit-learn clusters, without the factorisation that large graphs do not allow.

    The leading eigenvectors of the normalised adjacency are those of the normalised Laplacian's
    smallest eigenvalues, which scikit-learn finds by inverting it.
    """
    n_vertices = adjacency.shape[0]
    roots = np.sqrt(adjacency.sum(axis=1))
    sizes = np.diff(adjacency.indptr)
    weights = adjacency.data / np.repeat(roots, sizes)
    weights /= roots[adjacency.indices]
    scaled = scipy.sparse.csr_array((weights, adjacency.indices, adjacency.indptr))
    start = np.random.default_rng(seed).uniform(-1, 1, n_vertices)
    n_vectors = min(max(4 * n_clusters, 40), n_vertices)
    _, vectors = eigsh(scaled, n_clusters, which="LA", v0=start, ncv=n_vectors, tol=1e-9)
    return np.asarray(vectors[:, ::-1] / roots[:, np.newaxis])


def _check_adjacency(adjacency: scipy.sparse.csr_array) -> None:
    if not np.isfinite(adjacency.data).all():
        raise ValueError("graph: the adjacency has edges that are NaN or infinite")
    if (adjacency.data < 0).any():
        raise ValueError("graph: the adjacency has negative edges")
    # A product with a random vector tells, and needs no second matrix of a hundred million edges.
    probe = np.random.default_rng(0).uniform(0.5, 1, adjacency.shape[0])
    there, back = adjacency @ probe, adjacency.T @ probe
    if not np.allclose(there, back, rtol=1e-9, atol=0):
        raise ValueError("graph: the adjacency is not symmetric")


def _checked_labels(layer: str, given: npt.ArrayLike) -> npt.NDArray[np.intp]:
    labels = np.asarray(given)
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer) or (labels < -1).any():
        raise ValueError(
            f"labels: {layer!r} needs one integer from -1 per unit, not {labels.dtype} of shape "
            f"{labels.shape}"
        )
    return labels.astype(np.intp)
