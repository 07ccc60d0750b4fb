"""Pictures that one can ask: HTML, SVG and a little script in one piece that needs nothing else.

A template holds slots, and each thing that can be chosen has a view: what stands in the slots.
Without the script the first view is there, as a figure like any other.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from html import escape
from pathlib import Path

from matplotlib.ticker import MaxNLocator

from helpers.fingerprints import fingerprint


@dataclass(frozen=True)
class Item:
    """Something that can be chosen.

    Attributes
    ----------
    view : dict of str to str
        What stands in each slot when it is chosen, as HTML; in an attribute, without quotes and
        without anything that HTML would escape.
    kin : str
        Items with the same are marked as akin.
    """

    view: dict[str, str]
    kin: str = ""


@dataclass(frozen=True)
class Group:
    """Items that are drawn together, such as the sub-clusters of a network.

    Attributes
    ----------
    name : str
        What to call it.
    drawing : str
        HTML with a `choice` for each item, in which all that has `marks` changes its looks.
    items : sequence of Item
        At least one.
    first : int
        Which of them is shown at first.
    shared : dict of str to str
        Slots that are the same for all its items.
    """

    name: str
    drawing: str
    items: Sequence[Item]
    first: int = 0
    shared: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Explorer:
    """What a notebook shows: `html`, which stands for itself."""

    html: str = field(repr=False)

    def _repr_html_(self) -> str:
        return self.html


def explorer(label: str, choice_of: str, groups: Sequence[Group], template: str) -> Explorer:
    """Put a picture together.

    Parameters
    ----------
    label : str
        What it shows, for those who do not see it.
    choice_of : str
        What the groups are, such as "network".
    groups : sequence of Group
        At least one, all with the same slots.
    template : str
        HTML with a `slot` or an `attribute` for each of them, and ``{drawings}`` where the
        groups' drawings are to stand.
    """
    slots = list(groups[0].items[0].view)
    key = fingerprint(*(each.name for each in groups), template)[:8]
    drawings = "".join(_group(i, each, key) for i, each in enumerate(groups))
    shared = list(groups[0].shared)
    first = groups[0].shared | groups[0].items[groups[0].first].view
    filled = re.sub(r"\{\{(\w+)\}\}", lambda it: first[it[1]], template)
    data = {
        "slots": slots,
        "shared": shared,
        "groups": [
            {
                "first": each.first,
                "same": [each.shared[slot] for slot in shared],
                "kin": [item.kin for item in each.items],
                "views": [[item.view[slot] for slot in slots] for item in each.items],
            }
            for each in groups
        ],
    }
    # A script ends at its end tag, wherever that stands.
    written = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/")
    return Explorer(
        f'<div class="explorer" role="group" aria-label="{escape(label)}">'
        f"<style>{_part('css')}</style>{_choices(choice_of, groups, key)}"
        f"{filled.replace('{drawings}', drawings)}"
        f'<script type="application/json">{written}</script><script>{_part("js")}</script></div>'
    )


def slot(name: str) -> str:
    """Return what to write between an element's tags, after `data-slot`."""
    return f"{{{{{name}}}}}"


def filled_by(name: str, tag: str, attribute: str = "", **attributes: str) -> str:
    """Return an element that holds a slot, or has it as an attribute."""
    said = "".join(f' {key.rstrip("_")}="{value}"' for key, value in attributes.items())
    if attribute:
        return (
            f'<{tag}{said} data-slot="{name}" data-attribute="{attribute}" '
            f'{attribute}="{slot(name)}"></{tag}>'
        )
    return f'<{tag}{said} data-slot="{name}">{slot(name)}</{tag}>'


def choice(item: int, text: str, label: str, style: str = "") -> str:
    """Return what an item is chosen with; `explorer` completes it.

    Parameters
    ----------
    item : int
        Its number.
    text, label : str
        What is read on it, and what is said of it.
    style : str
        CSS, such as where it stands.
    """
    styled = f' style="{style}"' if style else ""
    return (
        f'<label data-marks="{item}"{styled}><input type="radio" data-item="{item}" '
        f'aria-label="{escape(label)}" disabled><span>{escape(text)}</span></label>'
    )


@dataclass(frozen=True)
class Axis:
    """A horizontal axis, from `left` to `right` in pixels, that holds some values.

    Attributes
    ----------
    low, high : float
        Its ends.
    ticks : tuple of float
        Round numbers between them, at least two, of which one is zero.
    """

    low: float
    high: float
    ticks: tuple[float, ...]
    left: float
    right: float

    @classmethod
    def around(cls, low: float, high: float, left: float, right: float) -> "Axis":
        """Return an axis that holds zero and all from `low` to `high`."""
        low, high = min(low, 0.0), max(high, 0.0)
        if low == high:
            high = 1.0
        ticks = MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
        inside = tuple(float(each) for each in ticks if low <= each <= high)
        return cls(low, high, inside, left, right)

    def at(self, value: float) -> int:
        """Return where a value lies, in whole pixels."""
        share = (value - self.low) / (self.high - self.low)
        return round(self.left + share * (self.right - self.left))

    def labels(self, y: int) -> str:
        """Return the numbers at the ticks as SVG."""
        return "".join(
            f'<text x="{self.at(tick)}" y="{y}">{_number(tick)}</text>' for tick in self.ticks
        )

    def marks(self, y: int, length: int) -> str:
        """Return the ticks and their line as commands of a path."""
        strokes = "".join(f"M{self.at(tick)} {y}v{length}" for tick in self.ticks)
        return f"M{self.at(self.low)} {y}H{self.at(self.high)}{strokes}"


def points(value: float) -> str:
    """Return percentage points as they are read: with one digit, and without a negative zero."""
    return f"{round(value, 1) + 0.0:.1f}".replace("-", "−")


def _number(tick: float) -> str:
    return f"{tick:.6g}".replace("-", "−")


def _group(number: int, group: Group, key: str) -> str:
    """Return a group's drawing with its first item chosen; hidden, if another group is shown."""
    hidden = "" if number == 0 else " hidden"
    drawing = group.drawing.replace(
        '<input type="radio"', f'<input type="radio" name="{key}-{number}" data-of="{number}"'
    )
    drawing = drawing.replace(f'data-item="{group.first}"', f'data-item="{group.first}" checked', 1)
    drawing = re.sub(
        r'(?: class="([^"]*)")?( data-marks="([\d ]+)")',
        lambda it: _classes(it[1], _looks(it[3], group)) + it[2],
        drawing,
    )
    return f'<div data-group="{number}"{hidden}>{drawing}</div>'


def _looks(marks: str, group: Group) -> str:
    """Return the class of what belongs to some items while the first one is chosen."""
    numbers = [int(mark) for mark in marks.split()]
    if group.first in numbers:
        return "chosen"
    kin = group.items[group.first].kin
    return "kin" if all(group.items[each].kin == kin for each in numbers) else ""


def _classes(*names: str | None) -> str:
    said = " ".join(filter(None, names))
    return f' class="{said}"' if said else ""


def _choices(choice_of: str, groups: Sequence[Group], key: str) -> str:
    """Return what a group is chosen with, if there are several."""
    if len(groups) == 1:
        return ""
    labels = "".join(
        f'<label><input type="radio" name="{key}" data-choice="{i}" disabled'
        f"{' checked' if i == 0 else ''}><span>{escape(each.name)}</span></label>"
        for i, each in enumerate(groups)
    )
    return (
        f'<fieldset class="choices"><legend>{escape(choice_of)}</legend>'
        f'<div class="chips">{labels}</div></fieldset>'
    )


@cache
def _part(kind: str) -> str:
    """Return the style or the script that all explorers share, without indentation."""
    text = Path(__file__).with_suffix(f".{kind}").read_text()
    return "\n".join(filter(None, (line.strip() for line in text.splitlines())))
