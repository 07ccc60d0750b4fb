"""How much of the paper's tables and figures has been run here."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from helpers import files, settings, zoo
from helpers.book import points, published, results, sources

_MLPS_AND_CNNS = dict.fromkeys(("mnist-mlp", "fashion-mlp", "mnist-cnn", "fashion-cnn"), 5)
_ON_RGB = dict.fromkeys(("mnist-rgb-mlp", "mnist-rgb-cnn"), 5)
_VGGS = dict.fromkeys(("cifar10-vgg", "cifar10-vgg-dropout"), 5)
_FIGURE_1 = (
    *("mnist-mlp-dropout", "fashion-mlp-dropout"),
    *("halves-same-mnist-mlp-dropout", "halves-diff-mnist-mlp"),
)

_CONSTRUCTED_FOR = ("resnet50", "vgg16", "vgg19")
_LESIONED = ("resnet18", "vgg16")

SECTIONS = {
    2: "02-halves-and-stacks",
    3: "03-correlation-visualization",
    4: "04-input-construction",
    5: "05-lesion-tests",
    6: "06-k-robustness",
    7: "07-multiple-comparisons",
    8: "08-double-lesions",
    9: "09-reproduction",
}
"""The notebook of each section."""


@dataclass(frozen=True)
class Item:
    """A table or a figure of the paper.

    Attributes
    ----------
    name, what : str
        Its number, and what it shows.
    section : int
        The section of the book that shows it.
    results : str
        Which of the collected results it needs, "" if none.
    networks : dict of str to int
        Of which trained networks, and how many of each.
    on_imagenet : tuple of str
        Which networks trained on ImageNet besides.
    sweep : str
        The file in ``sweeps/`` that makes its results, or what is left of them, "" if a page makes
        it alone.
    """

    name: str
    what: str
    section: int
    results: str = ""
    networks: Mapping[str, int] = field(default_factory=dict)
    on_imagenet: tuple[str, ...] = ()
    sweep: str = ""

    @property
    def n_wanted(self) -> int:
        """How many networks the paper has."""
        return sum(self.networks.values()) + len(self.on_imagenet)


_TABLES = {"constructed": "1a", "lesions": "1b", "by_k": "3"}
"""Which tables on ImageNet have the results that an item needs, see `on_imagenet.PLANS`."""

ITEMS = (
    Item(
        "Table 1a",
        "score, output entropy",
        9,
        "constructed",
        _ON_RGB | _VGGS,
        _CONSTRUCTED_FOR,
        "table1a",
    ),
    Item(
        "Table 1b",
        "importance, class-wise range",
        9,
        "lesions",
        _MLPS_AND_CNNS | _VGGS,
        _LESIONED,
        "table3",
    ),
    Item(
        "Table 2",
        "score and output entropy, untrained VGGs",
        9,
        "constructed",
        {"cifar10-vgg-untrained": 5},
        (),
        "table1a",
    ),
    Item(
        "Table 3",
        "other numbers of clusters",
        9,
        "by_k",
        _MLPS_AND_CNNS | _VGGS,
        _LESIONED,
        "table3",
    ),
    Item("Tables 4, 5", "many tests at once", 7),
    Item(
        "Table 6",
        "activation variance",
        9,
        "constructed",
        _ON_RGB | _VGGS,
        _CONSTRUCTED_FOR,
        "table1a",
    ),
    Item("Table 7", "kinds of sub-clusters, MLP", 5, "kinds", {"fashion-mlp": 1}, (), "table7"),
    Item("Table 8", "kinds of sub-clusters, VGG", 5, "kinds", {"cifar10-vgg": 1}, (), "table7"),
    Item("Table 9", "dependencies", 8, "pairs", {"fashion-mlp-dropout": 1}, (), "table9"),
    Item(
        "Figure 1",
        "correlation pictures, MLPs",
        3,
        "pictures",
        dict.fromkeys(_FIGURE_1, 1),
        (),
        "figures_1_and_4",
    ),
    Item(
        "Figure 2",
        "kinds of sub-clusters",
        5,
        "kinds",
        {"fashion-mlp": 1, "cifar10-vgg": 1},
        (),
        "table7",
    ),
    Item("Figure 3", "samples of halves and stacks", 2),
    Item(
        "Figure 4",
        "correlation pictures, CNNs",
        3,
        "pictures",
        dict.fromkeys(
            ("stack-same-mnist-cnn", "stack-diff-mnist-cnn", "stack-same-fashion-cnn"), 1
        ),
        (),
        "figures_1_and_4",
    ),
    Item(
        "Figure 5",
        "constructed inputs",
        4,
        "constructed",
        dict.fromkeys((*_ON_RGB, "cifar10-vgg"), 1),
        _CONSTRUCTED_FOR,
        "table1a",
    ),
    Item(
        "Figure 6",
        "accuracy profiles",
        5,
        "kinds",
        {"fashion-mlp": 1, "fashion-cnn": 1},
        (),
        "table7",
    ),
    Item("Figure 7", "cases of dependency", 8),
    Item("Figures 8, 9", "double lesions", 8, "pairs", {"fashion-mlp-dropout": 1}, (), "table9"),
)
"""Each table and figure of the paper. The runs behind Table 7 draw accuracy profiles, too."""


def scorecard(found: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Say of each table and figure of the paper how much of it has been run.

    A network counts if it was run under both protocols, with every number of clusters, and for a
    figure if its page draws it. Whether the numbers agree is another question, see `claims.judged`.

    Parameters
    ----------
    found : mapping of str to pandas.DataFrame
        Collected results by the names that `ITEMS` uses; with columns network, replicate and
        protocol.

    Returns
    -------
    pandas.DataFrame of str
        One row per item: what; status, "run in full", "in part" or "not run here"; networks,
        ours of the paper's; scale; page, its title; and what is still to be run.
    """
    return pd.DataFrame.from_dict({item.name: _row(item, found) for item in ITEMS}, orient="index")


def _row(item: Item, found: Mapping[str, pd.DataFrame]) -> dict[str, str]:
    done, not_done, begun = _done(item, found)
    n_wanted, lacking = item.n_wanted, _trained_here(not_done)
    n_imagenet = len(not_done) - len(lacking)
    of_imagenet = f"modularity imagenet NAME --table {_TABLES.get(item.results, '')}"
    to_run = [f"{n_imagenet} on ImageNet: ready, weights needed ({of_imagenet})"] * bool(n_imagenet)
    partly = [name for name in lacking if name in begun]
    to_run += [", ".join(name for name in lacking if name not in begun)]
    to_run += [f"some of {', '.join(partly)}"] * bool(partly)
    state = "in part" if done else "not run here"
    return {
        "what": item.what,
        "status": "run in full" if done == n_wanted else state,
        "networks": f"{done} of {n_wanted}" if n_wanted else "–",
        "scale": "paper" if done or not n_wanted else "–",
        "page": sources.title(settings.NOTEBOOKS / f"{SECTIONS[item.section]}.ipynb"),
        "still to run": "; ".join(filter(None, to_run)) or "–",
    }


def progress(found: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Say the same for programs, with how to go on.

    Parameters
    ----------
    found : mapping of str to pandas.DataFrame
        As for `scorecard`.

    Returns
    -------
    pandas.DataFrame
        One row per item: item, have and of (networks), scale, and command, what makes more of it,
        "" if there is no more.
    """
    rows = []
    for item in ITEMS:
        done, not_done, _ = _done(item, found)
        lacking = _trained_here(not_done)
        commands = [f"modularity train {' '.join(lacking)} --replicates 0,1,2,3,4"] * bool(lacking)
        commands += [
            f"modularity {verb} sweeps/{item.sweep}.yaml --add --keep-stale"
            for verb in ("sweep", "collect")
            if lacking
        ]
        commands += [
            f"modularity imagenet {name.removeprefix(results.ON_IMAGENET)}"
            f" --table {_TABLES[item.results]}"
            for name in not_done
            if name not in lacking
        ]
        scale = "paper" if done or not item.n_wanted else ""
        rows.append((item.name, done, item.n_wanted, scale, "; ".join(commands)))
    return pd.DataFrame(rows, columns=["item", "have", "of", "scale", "command"])


def write(found: Mapping[str, pd.DataFrame], path: Path) -> None:
    """Write `progress` where it is kept, as CSV."""
    with files.written_whole(path) as temporary:
        progress(found).to_csv(temporary, index=False)


def _done(item: Item, found: Mapping[str, pd.DataFrame]) -> tuple[int, list[str], set[str]]:
    """Say how many networks of an item have been run, which lack some, and which have any."""
    networks = {(name, i) for name, n in item.networks.items() for i in range(n)}
    networks |= {(f"{results.ON_IMAGENET}{name}", 0) for name in item.on_imagenet}
    done = networks & (_under_both(found[item.results]) if item.results else set())
    begun: set[str] = set()
    if item.name.startswith("Figure"):
        drawn = _drawn(SECTIONS[item.section])
        done = {(name, i) for name, i in done if name in drawn}
    elif item.results:
        begun = set(found[item.results]["network"])
    lacking = sorted({name for name, _ in networks - done})
    return len(done), lacking, begun | {name for name, _ in done}


def _trained_here(networks: Sequence[str]) -> list[str]:
    """Return the networks that are not on ImageNet."""
    return [name for name in networks if not name.startswith(results.ON_IMAGENET)]


def _drawn(section: str) -> list[str]:
    """Return the networks of which a page of the book shows something, among other words."""
    page = points.point(settings.NOTEBOOKS / f"{section}.ipynb", points.of_pages().get(section, {}))
    return " ".join(map(str, page.parameters.values())).split()


def _under_both(table: pd.DataFrame) -> set[tuple[str, int]]:
    """Return the networks and replicates with results under both protocols, for every k if any."""
    points = ["protocol", *table.columns.intersection(["k"])]
    runs = table[["network", "replicate", *points]].drop_duplicates()
    n_runs = runs.groupby(["network", "replicate"]).size()
    n_wanted = 2 * (table["k"].nunique() if "k" in table else 1)
    return {(str(name), int(i)) for name, i in n_runs.index[n_runs == n_wanted]}


def accuracies() -> pd.DataFrame:
    """Return the accuracies of the networks in ``zoo/`` beside the paper's and those in its logs.

    Returns
    -------
    pandas.DataFrame
        One row per recipe that the paper has: network; replicates, how many there are; lowest and
        mean, of their test accuracies; epochs, the fewest that one was trained for; floor,
        logged_min and logged_mean as of
        `published.accuracies`, which has none for networks on three channels.
    """
    manifests = [json.loads(path.read_text()) for path in sorted(settings.ZOO.glob("*.json"))]
    stored = pd.DataFrame(
        [(each["recipe"]["name"], each["epochs"], each["accuracy"]["test"]) for each in manifests],
        columns=["network", "epochs", "accuracy"],
    )
    rows = [
        {
            "network": name,
            "replicates": len(group),
            "lowest": group["accuracy"].min(),
            "mean": group["accuracy"].mean(),
            "epochs": group["epochs"].min(),
            **published.accuracies(zoo.recipe(str(name))),
        }
        for name, group in stored.groupby("network")
    ]
    table = pd.DataFrame(rows)
    has_row = table["network"].map(lambda name: published.label(zoo.recipe(name)) is not None)
    return table[table["floor"].notna() | has_row].reset_index(drop=True)
