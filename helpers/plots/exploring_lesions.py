"""A picture that one can ask about the sub-clusters of a network."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import numpy.typing as npt
from PIL import Image

from helpers.correlations import Maps, align_signs
from helpers.lesions import LesionProfiles
from helpers.measures import FOUND, Comparison
from helpers.partitions import ISOLATED, SubCluster
from helpers.plots.explorer import Axis, Explorer, Group, Item, choice, explorer, filled_by, points
from helpers.plots.style import coloured

_N_UNITS = 6
"""Units of a sub-cluster whose own pictures are shown."""

_IN_A_ROW = 16
"""Units in a row of the drawing of a layer."""

_CELL = 10
"""Pixels that a unit takes in the drawing of a layer."""

_EDGE = 2
"""Pixels around each picture of the sprite that repeat its edge, so that none shows another's."""

_EXACT = 16
"""Height of pictures up to which a sprite is compressed without loss."""

_WIDTH = 320
_LEFT, _RIGHT = 12, _WIDTH - 16
_BINS = 38
_ROW = 21
_NAMES = 78
_TITLE = '<p class="title">{}</p>'


@dataclass(frozen=True, eq=False)
class Explored:
    """What `lesion_explorer` shows of a network.

    Attributes
    ----------
    profiles : LesionProfiles
        Of `lesions.permutation_profiles`, or of `lesions.lesion_profiles`.
    compared : Comparison
        Of `measures.importance`, for these profiles.
    maps : mapping of str to ndarray of float, shape (units, inputs)
        Of `correlations.correlation_maps`, for the partition's hidden layers.
    image_shape : tuple of int
        Height, width and channels of an image.
    classes : sequence of str
        Names of the classes.
    """

    profiles: LesionProfiles
    compared: Comparison
    maps: Mapping[str, Maps]
    image_shape: tuple[int, int, int]
    classes: Sequence[str]


def lesion_explorer(networks: Mapping[str, Explored]) -> Explorer:
    """Draw the sub-clusters of networks, so that a reader can choose which to look at.

    Parameters
    ----------
    networks : mapping of str to Explored
        By name, at least one. Its first is shown at first, with the sub-cluster that costs most
        beyond random ones.

    Returns
    -------
    Explorer
        Of a sub-cluster: where its units are; what its lesion costs, in percentage points of
        accuracy, beside what those of its random twins cost; the same class by class; and what
        it responds to, as `correlations.pictures` has it, and its units whose maps are longest.

    Raises
    ------
    ValueError
        If there is nothing to show.
    """
    if not networks or not all(each.profiles.subclusters for each in networks.values()):
        raise ValueError("networks: each must have a sub-cluster, and there must be one or more")
    n_classes = max(len(each.classes) for each in networks.values())
    groups = [_group(name, each, n_classes, i) for i, (name, each) in enumerate(networks.items())]
    return explorer(
        "Lesion explorer: a sub-cluster's units, what its lesion costs, which classes lose, "
        "and what its units respond to",
        "Network",
        groups,
        _template(n_classes),
    )


def damage(profiles: LesionProfiles) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return what lesions of sub-clusters (k,) and of their twins (k, n) cost, in points."""
    n = profiles.class_sizes.sum()
    intact = profiles.intact.sum()
    true, random = (
        100 * (intact - each.sum(axis=-1)) / n for each in (profiles.true, profiles.random)
    )
    return np.asarray(true), np.asarray(random)


def _template(n_classes: int) -> str:
    """Return what is around the views, with room for so many classes."""
    height = _ROW * n_classes + 46
    cost = (
        f'<svg viewBox="0 0 {_WIDTH} 160" role="img" aria-label="A histogram of what random sets '
        'cost, with a line for the chosen sub-cluster">'
        + filled_by("bins", "path", "d", class_="others")
        + filled_by("ticks", "path", "d", class_="axis")
        + filled_by("mark", "path", "d", class_="true")
        + filled_by("numbers", "g")
        + f'<text x="{_WIDTH / 2}" y="158">points of accuracy lost</text></svg>'
    )
    by_class = (
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="For each class, a bar for '
        'the chosen sub-cluster and a grey bar for random sets">'
        + filled_by("names", "g")
        + filled_by("ranges", "path", "d", class_="range")
        + filled_by("bars", "path", "d", class_="bars")
        + filled_by("means", "path", "d", class_="mean")
        + filled_by("class_ticks", "path", "d", class_="axis")
        + filled_by("class_numbers", "g")
        + f'<text x="{(_NAMES + _RIGHT) / 2}" y="{height - 2}">points of the '
        "class’s accuracy lost</text></svg>"
    )
    said = filled_by("said", "p", class_="said", **{"aria-live": "polite"})
    respond = filled_by("pictures", "div") + (
        '<p class="note">Correlation of each pixel with a unit, from black (negative) to white '
        "(positive). Large: the mean of the sub-cluster’s units, once their signs agree; small: "
        f"up to {_N_UNITS} units that respond most. All are on one scale.</p>"
    )
    legend = (
        '<p class="note">Orange: this sub-cluster. Grey: as many random units of its layer.</p>'
    )
    most = filled_by("most", "p", class_="note")
    return (
        f'{{drawings}}{said}<div class="panels"><div>{_TITLE.format("What its lesion costs")}'
        f"{cost}{legend}{_TITLE.format('What its units respond to')}{respond}</div>"
        f"<div>{_TITLE.format('Which classes lose')}{by_class}{most}</div></div>"
    )


def _group(name: str, explored: Explored, n_classes: int, number: int) -> Group:
    profiles, compared = explored.profiles, explored.compared
    true, random = damage(profiles)
    is_exact = profiles.fixed is not None
    test = compared.exact() if is_exact else None
    p = compared.p if test is None else test.familywise
    is_found = np.nan_to_num(p, nan=1.0) <= FOUND
    beyond = true - random.mean(axis=1)
    sprite, n_pictures = _sprite(explored)
    items = []
    for i, each in enumerate(profiles.subclusters):
        view = {
            "said": _said(explored, i, true[i], random[i], float(p[i]), is_exact),
            "pictures": f'<div class="pictures s{number}" style="--y:{i}">'
            f"{'<b></b>' * n_pictures[i]}</div>",
        }
        view |= _cost(true[i], random[i]) | _by_class(explored, i, n_classes)
        items.append(Item(view, kin=str(each.cluster)))
    first = int(np.argmax(np.where(is_found, beyond + 1000, beyond)))
    drawing = _style_of(sprite, explored.image_shape, number) + _layers(explored, is_found)
    names = "".join(
        f'<text class="end" x="{_NAMES - 8}" y="{_middle(row) + 5}">{escape(each)}</text>'
        for row, each in enumerate(explored.classes)
    )
    return Group(name, drawing, items, first, {"names": names})


def _said(
    explored: Explored,
    i: int,
    true: float,
    random: npt.NDArray[np.float64],
    p: float,
    is_exact: bool,
) -> str:
    """Return the finding on a sub-cluster in words."""
    each = explored.profiles.subclusters[i]
    width = len(explored.profiles.partition.labels[each.layer])
    n_below, n = int((random < true).sum()), len(random)
    others = "permuted" if is_exact else "random"
    who = (
        f"<b>{escape(each.layer)}, cluster {each.cluster}</b>: {len(each.units)} of {width} units."
    )
    what = (
        f"Its lesion costs <b>{points(true)}</b> points of accuracy; those of as many {others} "
        f"units cost {points(float(random.mean()))} on average ({points(float(random.min()))} to "
        f"{points(float(random.max()))})."
    )
    excluded = explored.compared.excluded[i]
    if excluded or np.isnan(p):
        why = f" ({escape(str(excluded))})" if excluded else ""
        return f"{who} {what} It cannot be tested{why}."
    corrected = "corrected for the number of sub-clusters, " if is_exact else ""
    least = f", and {n} permutations cannot give less" * (is_exact and n_below == n and p > FOUND)
    return f"{who} {what} That is more than {n_below} of {n}; {corrected}p = {p:.2g}{least}."


def _cost(true: float, random: npt.NDArray[np.float64]) -> dict[str, str]:
    """Return the histogram of what twins' lesions cost, and the mark of the true one."""
    axis = Axis.around(min(true, *random), max(true, *random), _LEFT, _RIGHT)
    floor, top = 118, 30
    counts = np.histogram(random, _BINS, (axis.low, axis.high))[0]
    step = (_RIGHT - _LEFT) / _BINS
    bins = ""
    for count, start in zip(counts, range(_BINS), strict=True):
        if count:
            height = max(2, round((floor - top) * count / counts.max()))
            bins += f"M{round(_LEFT + (start + 0.5) * step)} {floor}v-{height}"
    x = axis.at(true)
    return {
        "bins": bins,
        "ticks": axis.marks(floor, 5),
        "numbers": axis.labels(floor + 19)
        + f'<text class="it" x="{min(max(x, 18), _WIDTH - 18)}" y="12">{points(true)}</text>',
        "mark": f"M{x} {floor}V28M{x} 28l-6-10h12z",
    }


def _by_class(explored: Explored, i: int, n_classes: int) -> dict[str, str]:
    """Return what a lesion costs each class, beside the mean and the range of its twins'."""
    profiles = explored.profiles
    sizes = np.maximum(profiles.class_sizes, 1)
    true = 100 * (profiles.intact - profiles.true[i]) / sizes
    random = 100 * (profiles.intact - profiles.random[i]) / sizes
    low, high = np.quantile(random, [0.025, 0.975], axis=0)
    mean = random.mean(axis=0)
    axis = Axis.around(min(*true, *low), max(*true, *high), _NAMES, _RIGHT)
    middle = [_middle(row) for row in range(len(true))]
    floor = _ROW * n_classes + 6
    zero = axis.at(0)
    order = np.argsort(mean - true, kind="stable")[:3]
    most = "; ".join(
        f"{escape(explored.classes[c])} loses {points(true[c])}, {points(mean[c])} on average"
        for c in order
        if true[c] - mean[c] >= 1
    )
    return {
        "ranges": "".join(
            f"M{axis.at(a)} {y}H{axis.at(b)}" for y, a, b in zip(middle, low, high, strict=True)
        ),
        "bars": "".join(f"M{zero} {y}H{axis.at(t)}" for y, t in zip(middle, true, strict=True)),
        "means": "".join(f"M{axis.at(m)} {y - 8}v16" for y, m in zip(middle, mean, strict=True)),
        "class_ticks": axis.marks(floor, 5),
        "class_numbers": axis.labels(floor + 18),
        "most": "Grey: 95 % of the random sets, with their mean. "
        + (f"Most beyond it: {most}." if most else "No class loses a point more than that mean."),
    }


def _middle(row: int) -> int:
    """Return the height of the middle of a class's row."""
    return _ROW * row + _ROW // 2 + 2


def _layers(explored: Explored, is_found: npt.NDArray[np.bool_]) -> str:
    """Return each layer as dots, one per unit, and a choice for each of its sub-clusters."""
    partition = explored.profiles.partition
    of = {(each.layer, each.cluster): i for i, each in enumerate(explored.profiles.subclusters)}
    drawn = []
    for layer in partition.hidden:
        labels = partition.labels[layer]
        clusters = [int(each) for each in np.unique(labels) if each != ISOLATED]
        start, paths, chips = 0, "", ""
        for cluster in [*clusters, ISOLATED]:
            size = int(np.sum(labels == cluster))
            if cluster == ISOLATED:
                paths += f'<path class="idle" d="{_dots(start, size)}"/>' if size else ""
                continue
            i = of[layer, cluster]
            paths += f'<path data-marks="{i}" d="{_dots(start, size)}"/>'
            star = "*" if is_found[i] else ""
            said = f"{layer}, cluster {cluster}" + (", found to be important" if star else "")
            chips += choice(i, f"{cluster}{star}", said)
            start += size
        rows = -(-len(labels) // _IN_A_ROW)
        drawn.append(
            f"<fieldset><legend>{escape(layer)}, {len(labels)} units</legend>"
            f'<svg class="units" viewBox="0 0 {_IN_A_ROW * _CELL} {rows * _CELL}" role="img" '
            f'aria-label="Units of {escape(layer)}, cluster by cluster">{paths}</svg>'
            f'<div class="chips">{chips}</div></fieldset>'
        )
    isolated = any((partition.labels[each] == ISOLATED).any() for each in partition.hidden)
    note = (
        "Choose a sub-cluster by the number of its cluster: its units are orange, those of its "
        "cluster in other layers blue. Each square is a unit."
        + (" Small ones are isolated." if isolated else "")
        + (" * Costs more than chance explains (p at most 0.05)." if is_found.any() else "")
    )
    return f'<div class="layers">{"".join(drawn)}</div><p class="note">{note}</p>'


def _dots(start: int, size: int) -> str:
    """Return consecutive units of a drawing as lines, which are dashed into dots."""
    commands = ""
    while size:
        row, column = divmod(start, _IN_A_ROW)
        n = min(size, _IN_A_ROW - column)
        commands += f"M{_CELL * column} {_CELL * row + _CELL // 2}h{_CELL * n}"
        start, size = start + n, size - n
    return commands


def _sprite(explored: Explored) -> tuple[Image.Image, list[int]]:
    """Return all pictures in one, a row for each sub-cluster, and how many there are in each."""
    rows = [_pictures(each, explored) for each in explored.profiles.subclusters]
    height, width, channels = explored.image_shape
    images = np.full((len(rows), _N_UNITS + 1, height * width * channels), 0.5)
    for row, shown in zip(images, rows, strict=True):
        row[: len(shown)] = shown
    tiles = coloured(images.reshape(*images.shape[:2], *explored.image_shape))
    edges = ((0, 0), (0, 0), (_EDGE, _EDGE), (_EDGE, _EDGE), (0, 0))
    canvas = np.concatenate(np.concatenate(np.pad(tiles, edges, mode="edge"), axis=1), axis=1)
    pixels = np.rint(255 * canvas.reshape(len(rows) * (height + 2 * _EDGE), -1, 3))
    return Image.fromarray(pixels.astype(np.uint8)), [len(each) for each in rows]


def _pictures(subcluster: SubCluster, explored: Explored) -> Maps:
    """Return a sub-cluster's mean map and those of some units, in [0, 1], 0.5 for no correlation.

    Of two channels the absolute correlations, as in `plots.subcluster_pictures`.
    """
    maps = explored.maps[subcluster.layer][subcluster.units]
    aligned = align_signs(maps)
    mean = aligned.mean(axis=0)
    if mean.mean() > 0:
        aligned, mean = -aligned, -mean
    order = np.argsort(-np.linalg.norm(aligned, axis=1).round(6), kind="stable")[:_N_UNITS]
    shown = np.vstack([mean, aligned[order]]) if len(maps) > 1 else mean[np.newaxis]
    largest = np.abs(shown).max() or 1.0
    if explored.image_shape[2] == 2:
        return np.asarray(np.abs(shown) / largest)
    return np.asarray(0.5 + shown / (2 * largest))


def _style_of(sprite: Image.Image, shape: tuple[int, int, int], number: int) -> str:
    """Return the style of a network's pictures, which holds them."""
    written = io.BytesIO()
    is_exact = shape[0] <= _EXACT
    sprite.save(written, "WEBP", quality=60, method=6, lossless=is_exact)
    pixels = base64.b64encode(written.getvalue()).decode()
    height, width = shape[0] + 2 * _EDGE, shape[1] + 2 * _EDGE

    def place(whole: int, shown: int, step: int) -> tuple[float, ...]:
        """Return size, step and offset of a background, in percent of what CSS takes them of."""
        room = max(whole - shown, 1)
        return tuple(round(100 * each, 4) for each in (whole / shown, step / room, _EDGE / room))

    wide, across, left = place(sprite.width, shape[1], width)
    high, down, top = place(sprite.height, shape[0], height)
    return (
        f"<style>.explorer .s{number}{{--sprite:url(data:image/webp;base64,{pixels});"
        f"--aspect:{shape[1]}/{shape[0]};--wide:{wide}%;--high:{high}%;--across:{across}%;"
        f"--down:{down}%;--left:{left}%;--top:{top}%}}</style>"
    )
