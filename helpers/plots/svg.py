"""SVG as matplotlib writes it, made as short as it can be without looking otherwise."""

import base64
import io
import re
from itertools import count
from string import ascii_letters, digits

from PIL import Image

_LETTERS = ascii_letters + digits

_NUMBER = re.compile(r"-?\d+\.\d+")

_MOST_EXACT = 4096
"""Pixels of a picture whose colours must not run into each other: cells of a table, or a scale."""


def shortened(svg: str) -> str:
    """Return an SVG without what nobody sees.

    Parameters
    ----------
    svg : str
        A figure that matplotlib has saved.

    Returns
    -------
    str
        The same figure: no preamble, no names that nothing refers to and short ones otherwise,
        two digits after the point (of 1/72 inch), level lines as such, and pixels as WebP.
    """
    svg = svg[svg.index("<svg") :].replace("\n", " ")
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", svg)
    svg = re.sub(r' (?:d|x|y|width|height)="[^"]*"', lambda it: _rounded(it[0]), svg)
    svg = re.sub(r"(?<=translate\()[^)]*(?=\))", lambda it: _rounded(it[0]), svg)
    svg = re.sub(r' d="([^"]*)"', lambda it: f' d="{_path(it[1])}"', svg)
    svg = re.sub(r'(?<=href="data:image/png;base64,)[^"]*', lambda it: _smaller(it[0]), svg)
    svg = svg.replace("data:image/png;base64,", "data:image/webp;base64,")
    svg = _renamed(_said_once(svg.replace(' xlink:href="', ' href="')))
    return re.sub(r">\s+<", "><", re.sub(r"\s{2,}", " ", svg)).strip()


def _rounded(text: str) -> str:
    """Round the numbers in a text to two digits, without zeros at the end."""
    return _NUMBER.sub(lambda it: f"{float(it[0]):.2f}".rstrip("0").rstrip("."), text)


def _path(commands: str) -> str:
    """Shorten the commands of a path; a line to a point at the same height needs no height."""
    level = r"M ([-\d.]+) ([-\d.]+) L ([-\d.]+) \2(?![\d.])"
    commands = re.sub(level, r"M \1 \2 H \3", commands)
    return re.sub(r" ?([A-Za-z]) ?", r"\1", commands).strip()


def _said_once(svg: str) -> str:
    """Leave out the style of what uses a path that has this style itself."""
    styles = dict(re.findall(r'<path id="([^"]+)"[^>]*( style="[^"]*")', svg))
    return re.sub(
        r'(<use href="#([^"]+)"[^>]*?)( style="[^"]*")',
        lambda it: it[1] if styles.get(it[2]) == it[3] else it[0],
        svg,
    )


def _smaller(png: str) -> str:
    """Return a PNG in base64 as WebP in base64; one of few pixels keeps the colour of each."""
    written = io.BytesIO()
    with Image.open(io.BytesIO(base64.b64decode(png))) as picture:
        is_small = picture.width * picture.height <= _MOST_EXACT
        picture.save(written, "WEBP", quality=75, method=6, lossless=is_small)
    return base64.b64encode(written.getvalue()).decode()


def _renamed(svg: str) -> str:
    """Give short names to what is referred to, in the order of appearance; none to all else."""
    referred = set(re.findall(r'(?:href="#|url\(#)([^")]+)', svg))
    names: dict[str, str] = {}
    short = (_name(i) for i in count())

    def named(it: re.Match[str]) -> str:
        if it[1] not in referred:
            return ""
        return f' id="{names.setdefault(it[1], next(short))}"'

    svg = re.sub(r' id="([^"]+)"', named, svg)
    return re.sub(r'(href="#|url\(#)([^")]+)', lambda it: it[1] + names[it[2]], svg)


def _name(number: int) -> str:
    """Return the name of a number: a letter, then letters and digits."""
    rest, first = divmod(number, len(ascii_letters))
    return ascii_letters[first] + (_tail(rest) if rest else "")


def _tail(number: int) -> str:
    rest, last = divmod(number - 1, len(_LETTERS))
    return (_tail(rest) if rest else "") + _LETTERS[last]
