"""Clusters of units: spectral clustering, sub-clusters, and their random twins."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse
from scipy.linalg import eigh
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import LinearOperator, eigsh
from sklearn.cluster import SpectralClustering, k_means
from threadpoolctl import threadpool_limits

if TYPE_CHECKING:
    from helpers.graphs import Graph

ISOLATED = -1
"""Label of a unit without any connection, which belongs to no cluster."""

Pool = Literal["live", "all"]

_FACTORISED = 10_000
"""Vertices up to which scikit-learn's factorisation of the Laplacian fits into memory."""

_MANY = 100
"""Clusters above which all eigenvectors are found at once, faster than one after the other."""

_MOST = 500
"""Clusters that a graph of more than `_FACTORISED` vertices can be cut into within minutes."""

_FAINT = 1e-12
"""Share of the largest degree below which a unit's place among clusters is rounding error: it is
divided by the root of its degree. Far less than single precision adds to what other units say."""

_RESTART_COST = 2e7
"""Vertices times the square of clusters above which k-means is started less often."""


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

    Examples
    --------
    >>> import numpy as np
    >>> import helpers
    >>> partition = helpers.Partition.from_labels({"first": [0, 0, 1, -1], "second": [1, 1, 1, 0]})
    >>> [(each.layer, each.cluster, each.units.tolist()) for each in partition.subclusters()]
    [('first', 0, [0, 1]), ('first', 1, [2]), ('second', 0, [3]), ('second', 1, [0, 1, 2])]
    >>> first = partition.subclusters()[0]
    >>> partition.random_twins(first, 5, np.random.default_rng(0)).shape
    (5, 2)
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
            SubCluster(layer, cluster, units)
            for layer in self.hidden
            for cluster, units in _divided(self.labels[layer])
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
        if layer not in strata:
            raise ValueError(f"strata: there are none of {layer!r}")
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


def strata(graph: "Graph", partition: Partition, size: int = 8) -> dict[str, Any]:
    """Group the live units of each layer by how strongly they are connected.

    Parameters
    ----------
    graph : WeightGraph or ActivationGraph
        Of `graphs.weight_graph`.
    partition : Partition
        Of its units.
    size : int
        About how many units to a group, at least 2.

    Returns
    -------
    dict of str to ndarray of int, shape (units,)
        For `Partition.permuted`: groups of similar degree (the sum of a unit's edges), counted
        from the weakest; 0 for isolated units, which have no part in it. In a layer too small to
        be divided, with less than one and a half times as many live units, each is a group of its
        own: permutations leave them where they are.

    Raises
    ------
    ValueError
        If `size` is less than 2, or labels are of other layers or numbers of units than the
        graph's.
    """
    if size < 2:
        raise ValueError(f"size: {size} was given; accepted are integers from 2")
    degrees = np.asarray(graph.adjacency.sum(axis=1)).ravel()
    found = {}
    for layer, labels in partition.labels.items():
        live, ours = partition.live_units(layer), degrees[graph.slice(layer)]
        if len(ours) != len(labels):
            raise ValueError(
                f"partition: {len(labels)} labels were given for {layer!r}, which has {len(ours)} "
                "units"
            )
        found[layer] = np.zeros(len(labels), dtype=np.intp)
        if len(live):
            order = live[np.argsort(ours[live], kind="stable")]
            n_groups = round(len(live) / size)
            for group, units in enumerate(
                np.array_split(order, n_groups if n_groups > 1 else len(live))
            ):
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


def spectral(graph: "Graph", n_clusters: int, seed: int = 0) -> Partition:
    """Partition a graph by normalised spectral clustering (Shi and Malik, 2000; appendix A.1).

    Parameters
    ----------
    graph : WeightGraph or ActivationGraph
        Of `graphs.weight_graph` or `graphs.activation_graph`; sparse or dense.
    n_clusters : int
        Number of clusters, from 1 to the number of units that are connected to any other; in a
        graph of more than 10,000 of them at most 500, because more would take hours. K-means is
        started from 25 random states, or 100 where there are more than 2,000 units, but from
        fewer, down to one, where there are hundreds of clusters.
    seed : int
        Seed of the eigensolver's start and of k-means.

    Returns
    -------
    Partition
        Isolated units have the label -1, see `connected`. In a graph of several components no
        component is cut as long as there are at most as many clusters as components.

    Raises
    ------
    ValueError
        If the adjacency is not finite, non-negative and symmetric, or if there are fewer
        connected units than clusters.

    Examples
    --------
    >>> from helpers import graphs, partitions, zoo
    >>> graph = graphs.weight_graph(zoo.trained("digits-mlp").model)
    >>> partition = partitions.spectral(graph, n_clusters=4, seed=0)
    >>> sorted({each.cluster for each in partition.subclusters()})
    [0, 1, 2, 3]
    """
    adjacency = _checked_adjacency(graph)
    labels = _labels(adjacency, n_clusters, seed)
    return Partition(
        {layer: labels[graph.slice(layer)] for layer in graph.layers}, hidden=graph.hidden
    )


def layerwise(graph: "Graph", n_clusters: int | Partition, seed: int = 0) -> Partition:
    """Partition each hidden layer by itself, into as many clusters as the whole has in it.

    This is the second scope of the authors' later paper (arXiv 2110.08058), as its released code
    has it (`local_clustering.py` and `activations.py`):

    - The whole graph is clustered first. A layer's number of clusters k is how many of the whole's
      clusters have units in it. So both partitions are equally fine, and can be compared.
    - Then a subgraph around each layer is cut into k clusters. Where units of one layer are
      connected (activations), the layer alone is its subgraph. Where they are not (weights), the
      units of a layer are alike if they are connected to the same units before and behind it: the
      subgraph is the layer with all layers that it shares edges with, three in a chain. The first
      and the last layer of feature maps have a single neighbour and so a subgraph of two layers;
      the released code takes the nearest three, which in the small CNN are the whole graph.
    - The layer's own units keep the labels that they get; those of the other layers are dropped.
      Some of the k clusters may have no units in the layer, which then has fewer.

    Parameters
    ----------
    graph : WeightGraph or ActivationGraph
        As for `spectral`.
    n_clusters : int or Partition
        Clusters of the whole, see `spectral`; or a partition of the whole, of which the numbers of
        clusters in each hidden layer are taken.
    seed : int
        As for `spectral`.

    Returns
    -------
    Partition
        Of the hidden layers. Clusters are numbered through: those of different layers have nothing
        in common, so no number is used twice. Units that are isolated in their layer's subgraph
        have the label -1.

    Raises
    ------
    ValueError
        If the partition has no labels, or a wrong number of them, for a hidden layer of the graph;
        or as `spectral`.
    """
    adjacency = _checked_adjacency(graph)
    whole = n_clusters if isinstance(n_clusters, Partition) else spectral(graph, n_clusters, seed)
    labels: dict[str, npt.NDArray[np.intp]] = {}
    n_found = 0
    for layer in graph.hidden:
        units = _vertices(graph, layer)
        given = len(whole.labels.get(layer, ()))
        if given != len(units):
            raise ValueError(
                f"n_clusters: a partition with {given} labels for {layer!r} was given; accepted "
                f"are partitions with {len(units)}, one for each unit"
            )
        around = _around(graph, adjacency, layer)
        subgraph = _among(adjacency, around)
        n_connected = np.count_nonzero(connected(subgraph))
        k = min(len(np.setdiff1d(whole.labels[layer], ISOLATED)), int(n_connected))
        found = _labels(subgraph, k, seed) if k else np.full(len(around), ISOLATED)
        ours = found[np.isin(around, units)]
        clusters, numbers = np.unique(ours[ours != ISOLATED], return_inverse=True)
        ours[ours != ISOLATED] = n_found + numbers
        labels[layer] = ours
        n_found += len(clusters)
    return Partition(labels, graph.hidden)


def by_strength(graph: "Graph", partition: Partition) -> Partition:
    """Cut each hidden layer by its units' strength, into parts of the same sizes as a partition's.

    A control: whether a partition finds more than that some units have larger weights.

    Parameters
    ----------
    graph : WeightGraph or ActivationGraph
        A unit's strength is its degree, the sum of its edges' weights.
    partition : Partition
        Sets the sizes, layer by layer, and which units are isolated.

    Returns
    -------
    Partition
        Of the partition's hidden layers. Its clusters keep their names and sizes: of those in a
        layer, the one whose units have the lowest mean degree gets the weakest units, and so on.

    Raises
    ------
    ValueError
        If a hidden layer of the partition is not in the graph, or not as wide there.
    """
    degrees = np.asarray(graph.adjacency.sum(axis=1))
    labels = {}
    for layer in partition.hidden:
        ours, strength = partition.labels[layer], degrees[graph.slice(layer)]
        if len(ours) != len(strength):
            raise ValueError(
                f"partition: {len(ours)} labels were given for layer {layer!r}, which has "
                f"{len(strength)} units in the graph"
            )
        live = partition.live_units(layer)
        clusters = np.unique(ours[live])
        means = [strength[ours == cluster].mean() for cluster in clusters]
        in_order = clusters[np.argsort(means, kind="stable")]
        labels[layer] = ours.copy()
        labels[layer][live[np.argsort(strength[live], kind="stable")]] = np.repeat(
            in_order, [np.sum(ours == cluster) for cluster in in_order]
        )
    return Partition(labels, partition.hidden)


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

    Examples
    --------
    Two pairs, joined by one weak edge of the four:

    >>> import numpy as np
    >>> from helpers import partitions
    >>> adjacency = np.array([[0, 4, 0, 0], [4, 0, 2, 0], [0, 2, 0, 4], [0, 0, 4, 0]])
    >>> round(partitions.normalized_cut(adjacency, [0, 0, 1, 1]), 3)
    0.2
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
    return float(np.sum(np.maximum(1 - within / volumes, 0)) / 2)


def connected(adjacency: Any) -> npt.NDArray[np.bool_]:
    """Say which units are connected to any other.

    Parameters
    ----------
    adjacency : sparse or dense array, shape (n, n)
        Symmetric, non-negative edge weights.

    Returns
    -------
    ndarray of bool, shape (n,)
        False for units without edges but to themselves, and for those whose edges are so faint
        that they tell nothing: below 1e-12 of the largest degree, as dead units may have that
        training with an L2 penalty has left behind.
    """
    degrees = np.asarray(adjacency.sum(axis=0)) - adjacency.diagonal()
    return np.asarray(degrees > _FAINT * degrees.max(initial=0))


def _labels(adjacency: Any, n_clusters: int, seed: int) -> npt.NDArray[np.intp]:
    """Label the vertices of a graph."""
    vertices = np.flatnonzero(connected(adjacency))
    labels = np.full(adjacency.shape[0], ISOLATED, dtype=np.intp)
    is_whole = isinstance(n_clusters, int | np.integer) and not isinstance(n_clusters, bool)
    if not len(vertices):
        raise ValueError("graph: no unit is connected to any other, so that there is no cluster")
    if not is_whole or not 1 <= n_clusters <= len(vertices):
        raise ValueError(
            f"n_clusters: {n_clusters} was given; accepted are 1 to {len(vertices)}, "
            "the number of units that are connected to any other"
        )
    if len(vertices) > _FACTORISED and n_clusters > _MOST:
        raise ValueError(
            f"n_clusters: {n_clusters} was given; accepted are 1 to {_MOST} for a graph of "
            f"{len(vertices)} connected units: more would take hours"
        )
    if len(vertices) < len(labels):
        adjacency = _among(adjacency, vertices)
    labels[vertices] = _cluster(adjacency, n_clusters, seed)
    return labels


def _cluster(adjacency: Any, n_clusters: int, seed: int) -> Any:
    """Label the vertices of a graph without isolated vertices."""
    n_vertices = adjacency.shape[0]
    if n_clusters == 1:
        return np.zeros(n_vertices, dtype=np.intp)
    if n_clusters == n_vertices:
        return np.arange(n_vertices)
    n_init = _n_init(n_vertices, n_clusters)
    if n_vertices > _FACTORISED or n_clusters > _MANY:
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
    is_sparse = scipy.sparse.issparse(adjacency)
    # One thread: sums in the same order on every machine, and no slower at this size.
    with warnings.catch_warnings(), threadpool_limits(1):
        # On a graph of several components the leading eigenvectors span their indicators: the
        # embedding maps each component to one point, so the warning does not apply.
        warnings.filterwarnings("ignore", message="Graph is not fully connected")
        return clustering.fit_predict(
            scipy.sparse.csr_matrix(adjacency) if is_sparse else adjacency
        )


def _n_init(n_vertices: int, n_clusters: int) -> int:
    """Return how often k-means is started."""
    usual = 25 if n_vertices <= 2000 else 100
    cost = n_vertices * n_clusters**2
    return max(1, min(usual, int(usual * _RESTART_COST / cost)))


def _embedding(adjacency: Any, n_clusters: int, seed: int) -> npt.NDArray[np.float64]:
    """Return what scikit-learn clusters, where its way there takes too much memory or time.

    The leading eigenvectors of the normalised adjacency are those of the normalised Laplacian's
    smallest eigenvalues, which scikit-learn finds by factorising it and iterating. It leaves out
    edges from units to themselves, too.
    """
    n_vertices = adjacency.shape[0]
    adjacency = _without_loops(adjacency)
    roots = np.sqrt(adjacency.sum(axis=1))
    if scipy.sparse.issparse(adjacency):
        sizes = np.diff(adjacency.indptr)
        weights = adjacency.data / np.repeat(roots, sizes)
        weights /= roots[adjacency.indices]
        scaled = scipy.sparse.csr_array((weights, adjacency.indices, adjacency.indptr))
    else:
        scaled = adjacency / roots
        scaled /= roots[:, np.newaxis]
    if n_vertices <= _FACTORISED and n_clusters > _MANY:
        dense = scaled.toarray() if scipy.sparse.issparse(scaled) else scaled
        first = n_vertices - n_clusters
        _, vectors = eigh(dense, subset_by_index=(first, n_vertices - 1), overwrite_a=True)
    else:
        vectors = _leading(scaled, roots, n_clusters, np.random.default_rng(seed))
    return np.asarray(vectors[:, ::-1] / roots[:, np.newaxis])


def _leading(
    scaled: Any, roots: npt.NDArray[np.float64], n: int, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Return the n leading eigenvectors of a normalised adjacency, the first one last.

    Each component has the largest eigenvalue, 1, once. Lanczos's method may miss some of several
    copies, so these are written down, and looked for no more.
    """
    n_vertices = len(roots)
    start = rng.uniform(-1, 1, n_vertices)
    n_components, component = connected_components(scaled, directed=False)
    own = np.sqrt(np.bincount(component, roots**2))
    of_components = scipy.sparse.csr_array(
        (roots / own[component], (np.arange(n_vertices), component))
    )
    if n_components >= n:
        mixed, _ = np.linalg.qr(rng.normal(size=(n_components, n)))
        return np.asarray(of_components @ mixed)

    def others(vector: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.asarray(scaled @ vector - 2 * (of_components @ (of_components.T @ vector)))

    operator = LinearOperator((n_vertices, n_vertices), matvec=others, dtype=float)
    n_vectors = min(max(4 * n, 40), n_vertices)
    _, vectors = eigsh(
        operator, n - n_components, which="LA", v0=others(start), ncv=n_vectors, tol=1e-9
    )
    return np.concatenate([vectors, of_components.toarray()], axis=1)


def _without_loops(adjacency: Any) -> Any:
    """Return a graph without edges from units to themselves, which no cut cuts."""
    loops = adjacency.diagonal()
    if not loops.any():
        return adjacency
    if scipy.sparse.issparse(adjacency):
        return scipy.sparse.csr_array(adjacency - scipy.sparse.diags_array(loops))
    return adjacency - np.diag(loops)


def _vertices(graph: "Graph", layer: str) -> npt.NDArray[np.intp]:
    """Return the vertices that are a layer's units."""
    units = graph.slice(layer)
    return np.arange(units.start, units.stop)


def _among(adjacency: Any, vertices: npt.NDArray[np.intp]) -> Any:
    """Return the graph of some vertices and the edges among them."""
    return adjacency[vertices][:, vertices]


def _around(graph: "Graph", adjacency: Any, layer: str) -> npt.NDArray[np.intp]:
    """Return the vertices of the subgraph that a layer is clustered in, see `layerwise`."""
    reached = np.asarray(adjacency[graph.slice(layer)].sum(axis=0)) > 0
    neighbours = [each for each in graph.layers if reached[graph.slice(each)].any()]
    if layer in neighbours:
        return _vertices(graph, layer)
    chosen = [each for each in graph.layers if each in neighbours or each == layer]
    return np.concatenate([_vertices(graph, each) for each in chosen])


def _checked_adjacency(graph: "Graph") -> Any:
    """Return a graph's adjacency, a sparse one by rows, if it is that of an undirected graph."""
    given: Any = graph.adjacency
    is_sparse = scipy.sparse.issparse(given)
    adjacency = scipy.sparse.csr_array(given) if is_sparse else np.asarray(given, dtype=float)
    weights = np.asarray(adjacency.data if is_sparse else adjacency)
    if not np.isfinite(weights).all():
        raise ValueError("graph: the adjacency has edges that are NaN or infinite")
    if (weights < 0).any():
        raise ValueError("graph: the adjacency has negative edges")
    # A product with a random vector tells, and needs no second matrix of a hundred million edges.
    probe = np.random.default_rng(0).uniform(0.5, 1, adjacency.shape[0])
    there, back = adjacency @ probe, adjacency.T @ probe
    if not np.allclose(there, back, rtol=1e-9, atol=0):
        raise ValueError("graph: the adjacency is not symmetric")
    return adjacency


def _divided(labels: npt.NDArray[np.intp]) -> Iterator[tuple[int, npt.NDArray[np.intp]]]:
    """Yield each label, ascending, and the units that have it, ascending."""
    order = np.argsort(labels, kind="stable")
    ordered = labels[order]
    ends = [*(np.flatnonzero(ordered[1:] != ordered[:-1]) + 1).tolist(), len(order)]
    for start, end in zip([0, *ends[:-1]], ends, strict=True):
        if end > start:
            yield int(ordered[start]), order[start:end]


def _by_unit(layer: str, given: "pd.Series[int]") -> "pd.Series[int]":
    """Return labels in the order of the units that their index names."""
    in_order = given.sort_index()
    if not np.array_equal(in_order.index, np.arange(len(given))):
        raise ValueError(
            f"labels: the Series of {layer!r} has an index that is not the units, 0 to "
            f"{len(given) - 1}"
        )
    return in_order


def _checked_labels(layer: str, given: npt.ArrayLike) -> npt.NDArray[np.intp]:
    if np.ma.is_masked(given):
        raise ValueError(f"labels: a masked array was given for {layer!r}; accepted are whole ones")
    if isinstance(given, pd.Series):
        given = _by_unit(layer, given)
    labels = np.asarray(given)
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"labels: {layer!r} needs one integer from -1 per unit, not {labels.dtype} of shape "
            f"{labels.shape}"
        )
    for label in (labels.min(initial=0), labels.max(initial=0)):
        if not -1 <= label <= np.iinfo(np.intp).max:
            raise ValueError(
                f"labels: {layer!r} needs one integer from -1 per unit, not the label {label}"
            )
    return labels.astype(np.intp)
