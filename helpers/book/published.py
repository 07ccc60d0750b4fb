"""Published numbers, for comparison: accuracies, and the p values behind the paper's Table 1."""

import pandas as pd

from helpers import settings, statistics, zoo
from helpers.book import results
from helpers.zoo import Recipe

_DATASETS = {
    "mnist": "MNIST",
    **dict.fromkeys(("fashion", "fashion_mnist"), "Fashion-MNIST"),
    "cifar10": "CIFAR-10",
    "imagenet": "ImageNet",
}
_KINDS = {"": "", "rgb": " in three channels", "regularized": ", with dropout"}

_TABLE_1 = (
    *("mlp", "mlp-rgb", "cnn", "cnn-rgb", "vgg", "vgg-regularized"),
    *("resnet18", "resnet50", "vgg16", "vgg19"),
)
"""Order of the rows."""


def accuracies(recipe: Recipe) -> dict[str, float]:
    """Return how well the paper's networks of a recipe did on their test sets.

    Parameters
    ----------
    recipe : Recipe
        How the networks were trained.

    Returns
    -------
    dict of str to float
        floor, in [0, 1], from appendix A.2: what the paper says of all networks on a base data
        set but those on diff tasks, and what it says of those (for CNNs it writes "halves-diff",
        which must mean stack-diff); logged_min and logged_mean, of the five networks in the
        released repository's ``clustering_factors`` tables. NaN where there is none.
    """
    table = pd.read_csv(settings.PUBLISHED / "published_accuracies.csv")
    rows = table[
        (table["dataset"] == recipe.dataset)
        & (table["architecture"] == recipe.architecture)
        & (table["dropout"] == bool(recipe.dropout))
        & (table["pruned"] == bool(recipe.pruning_epochs))
    ]
    numbers = rows[["floor", "logged_min", "logged_mean"]]
    return {
        str(name): float(numbers[name].iloc[0]) if len(numbers) else float("nan")
        for name in numbers
    }


def table1() -> pd.DataFrame:
    """Return the paper's Table 1: p values of all its networks.

    Returns
    -------
    pandas.DataFrame
        One row per network, measure and test: network, such as "VGG on CIFAR-10"; measure
        (importance, class_range, score, entropy); test (fisher, chi2); n_networks; p, the median
        over the networks, as the paper prints it; bound, a valid p value made from it, see
        `statistics.median_bound`.
    """
    groups = each_p_value().groupby(["network", "measure", "test"], sort=False)["p"]
    rows = [
        (*key, len(group), statistics.median_p_value(group), statistics.median_bound(group))
        for key, group in groups
    ]
    return pd.DataFrame(rows, columns=["network", "measure", "test", "n_networks", "p", "bound"])


def each_p_value() -> pd.DataFrame:
    """Return what Table 1 was made of.

    Returns
    -------
    pandas.DataFrame
        One row per trained network, measure and test: network, such as "VGG on CIFAR-10", in the
        order of the paper's rows; measure, test, replicate, p.
    """
    table = pd.read_csv(settings.PUBLISHED / "published_table1.csv")
    position = {name: i for i, name in enumerate(_TABLE_1)}
    table = table.sort_values("network", key=lambda names: names.map(position), kind="stable")
    names = map(_published_in_words, table["network"], table["dataset"])
    named = table.assign(network=list(names), p=table["p_value"])
    return named[["network", "measure", "test", "replicate", "p"]]


def label(recipe: Recipe) -> str | None:
    """Return the name in Table 1 of networks of a recipe, None if it has none such."""
    is_vgg, is_mlp = recipe.architecture == "vgg", recipe.architecture == "mlp"
    is_published = recipe.epochs and (is_vgg or not recipe.dropout)
    is_published = is_published and bool(recipe.pruning_epochs) == is_mlp
    name = _in_words(recipe)
    return name if is_published and name in set(each_p_value()["network"]) else None


def label_of(name: str) -> str | None:
    """Return the same by a network's name, of the zoo or ``imagenet-`` and that on ImageNet."""
    is_on_imagenet = name.startswith(results.ON_IMAGENET)
    return in_words(name) if is_on_imagenet else label(zoo.recipe(name))


def in_words(name: str) -> str:
    """Return what people call networks of a name, as for `label_of`: ``MLP on MNIST``."""
    if name.startswith(results.ON_IMAGENET):
        return _published_in_words(name.removeprefix(results.ON_IMAGENET), "imagenet")
    return _in_words(zoo.recipe(name))


def _in_words(recipe: Recipe) -> str:
    pairs, _, base = recipe.dataset.removesuffix("-rgb").rpartition("-")
    images = f"{pairs} {_DATASETS.get(base, base)}".strip()
    channels = _KINDS["rgb"] * recipe.dataset.endswith("-rgb")
    training = _KINDS["regularized"] * bool(recipe.dropout) + ", untrained" * (not recipe.epochs)
    return f"{recipe.architecture.upper()} on {images}{channels}{training}"


def _published_in_words(network: str, dataset: str) -> str:
    """Return what people call networks of the published table."""
    architecture, _, kind = network.partition("-")
    said = architecture if dataset == "imagenet" else architecture.upper()
    return f"{said} on {_DATASETS[dataset]}{_KINDS[kind]}"


def p_values(recipe: Recipe) -> dict[tuple[str, str], list[float]]:
    """Return what Table 1 was made of for networks of a recipe.

    Parameters
    ----------
    recipe : Recipe
        How the networks were trained.

    Returns
    -------
    dict of (str, str) to list of float
        For each measure (importance, class_range; of networks on three channels score, entropy)
        and test (fisher, chi2), the p values of the published networks, ascending. Empty if the
        paper's table has no such networks.
    """
    table = each_p_value()
    rows = table[table["network"] == label(recipe)]
    return {
        (str(measure), str(test)): sorted(float(p) for p in group)
        for (measure, test), group in rows.groupby(["measure", "test"])["p"]
    }
