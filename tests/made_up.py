"""Taxonomies and dependencies that no network has, to draw and to print."""

import numpy as np
import pandas as pd


def made_kinds(n_layers=4, n_clusters=6, kind="important"):
    """A taxonomy of as many sub-clusters as asked for, close together."""
    rng = np.random.default_rng(0)
    n = n_layers * n_clusters
    return pd.DataFrame(
        {
            "layer": np.repeat([f"dense_{i + 1}" for i in range(n_layers)], n_clusters),
            "cluster": np.tile(np.arange(n_clusters), n_layers),
            "share": 0.2 + 0.01 * rng.random(n),
            "damage": 0.1 + 0.005 * rng.random(n),
            "random_mean": 0.01,
            "random_std": 0.002,
            "p": 1 / 21,
            "kind": kind,
        }
    )


def made_pairs(kinds):
    """Extra losses of all ordered pairs; stars above the diagonal, question marks below."""
    nodes = list(kinds[["layer", "cluster"]].itertuples(index=False, name=None))
    rows = [
        (*a, *b, 0.01 * (i - j), 1 / 51, i < j, i > j, i < j)
        for i, a in enumerate(nodes)
        for j, b in enumerate(nodes)
        if i != j
    ]
    return pd.DataFrame(
        rows,
        columns=[
            *("first_layer", "first_cluster", "second_layer", "second_cluster"),
            *("value", "p", "star", "below_all", "important"),
        ],
    )
