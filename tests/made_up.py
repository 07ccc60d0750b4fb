"""Taxonomies and dependencies that no network has, to draw and to print."""

from itertools import permutations

import numpy as np
import pandas as pd

from helpers.measures import INTERACTIONS


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


def made_interactions(kinds):
    """Interactions of all pairs of sub-clusters in different layers, of every kind in turn."""
    nodes = list(kinds[["layer", "cluster"]].itertuples(index=False, name=None))
    layers = list(kinds["layer"].unique())
    rows = []
    for x, y in permutations(nodes, 2):
        if (steps := layers.index(y[0]) - layers.index(x[0])) > 0:
            kind = list(INTERACTIONS)[len(rows) % 4]
            why = "X loses nothing" if kind == "not comparable" else ""
            value = 0.1 * (len(rows) % 7)
            rows.append((*x, *y, x[1] == y[1], steps, value, why, kind))
    table = pd.DataFrame(
        rows,
        columns=[
            *("x_layer", "x_cluster", "y_layer", "y_cluster", "within", "steps"),
            *("interaction", "excluded", "kind"),
        ],
    )
    numbers = {"loss_x": 0.5, "loss_y": 0.25, "loss_both": 0.75, "familywise": 0.04}
    numbers |= {"matched_low": -0.1, "matched_median": 0.2, "matched_high": 0.4}
    return table.assign(**numbers, p=0.01, p_low=0.0003, p_high=0.04)
