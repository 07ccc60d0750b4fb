"""Style sheets and icon fonts, without what no page of the book uses.

The theme's weigh half a megabyte, of which the book uses a tenth.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from fontTools import subset

from helpers import files

_GROUPS = ("@media", "@supports", "@layer", "@container")


def used_only(css: str, words: set[str]) -> str:
    """Return a style sheet without rules that can apply to no page.

    Parameters
    ----------
    css : str
        A style sheet.
    words : set of str
        All words of the pages and their scripts: whatever a class may be called.

    Returns
    -------
    str
        The same rules in the same order, except those of which every selector asks for a class
        that is none of the words.
    """
    kept = []
    for head, body in _rules(css):
        if head.startswith(_GROUPS) and body is not None:
            inner = used_only(body, words)
            kept += [f"{head}{{{inner}}}"] if inner else []
        elif body is None:
            kept.append(f"{head};")
        elif head.startswith("@") or any(_may_apply(each, words) for each in _selectors(head)):
            kept.append(f"{head}{{{body}}}")
    return "".join(kept)


def icons(css: str) -> set[int]:
    """Return the code points of the icons that a style sheet draws."""
    return {int(code, 16) for code in re.findall(r'"\\([0-9a-f]{3,5})"', css)}


def subset_fonts(sheet: Path, code_points: set[int]) -> None:
    """Cut the fonts of a style sheet down to the icons that it still draws.

    Parameters
    ----------
    sheet : Path
        Style sheet, whose font faces have TrueType files. It is rewritten to have WOFF files with
        the same names, and these are made.
    code_points : set of int
        Of these icons.
    """
    css = sheet.read_text()
    faces = re.compile(
        r'src:url\([^)]*\) format\("woff2"\),'
        r'url\((?P<name>[^)]*)\.ttf\) format\("truetype"\)'
    )
    for name in faces.findall(css):
        source = sheet.parent / f"{name}.ttf"
        options = subset.Options(flavor="woff", notdef_outline=True, layout_features=[])
        font = subset.load_font(source, options)
        subsetter = subset.Subsetter(options)
        subsetter.populate(unicodes=code_points)
        subsetter.subset(font)
        subset.save_font(font, source.with_suffix(".woff"), options)
        source.unlink()
        source.with_suffix(".woff2").unlink()
    with files.written_whole(sheet) as temporary:
        temporary.write_text(faces.sub(r'src:url(\1.woff) format("woff")', css))


def _rules(css: str) -> Iterator[tuple[str, str | None]]:
    """Split a style sheet into rules: what stands before the braces, and what within, if any."""
    css = re.sub(r"/\*.*?\*/", "", css, flags=re.S)
    start = 0
    while match := re.compile(r"[^{};]*[{;]").match(css, start):
        head = match[0][:-1].strip()
        if match[0].endswith(";"):
            start = match.end()
            yield head, None
            continue
        end = _closing(css, match.end())
        yield head, css[match.end() : end].strip()
        start = end + 1


def _closing(css: str, start: int) -> int:
    """Return where the brace closes that was opened before `start`; strings may hold braces."""
    depth = 1
    for token in re.compile(r"""[{}]|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'""").finditer(css, start):
        depth += {"{": 1, "}": -1}.get(token[0], 0)
        if not depth:
            return token.start()
    raise ValueError("css: a brace is not closed")


def _selectors(head: str) -> list[str]:
    """Split a list of selectors at the commas that are not within parentheses."""
    return re.findall(r"(?:[^,()]|\((?:[^()]|\([^()]*\))*\))+", head)


def _may_apply(selector: str, words: set[str]) -> bool:
    """Whether a page may have what a selector asks for; what stands in parentheses is not asked."""
    asked = re.sub(r"\((?:[^()]|\([^()]*\))*\)", "", selector)
    classes = re.findall(r"\.((?:\\.|[\w-])+)", asked)
    return all(re.sub(r"\\(.)", r"\1", each) in words for each in classes)
