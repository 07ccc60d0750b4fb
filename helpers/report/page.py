"""A report as one page of HTML that needs nothing else, and as what a notebook shows."""

import io
import re
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from helpers import plots
from helpers.fingerprints import fingerprint
from helpers.plots.headings import MEASURES, TESTS
from helpers.report import words

if TYPE_CHECKING:
    from helpers.report.reports import Report

_MOST_LAYERS = 24
"""Layers that are drawn one by one; those with the largest effects, if there are more."""

_UNITS = {
    "importance": words.points,
    "within_strata": words.points,
    "class_range": "{:.2f}".format,
    "class_variance": "{:.2f}".format,
}

_STYLE = """
.modularity-report { font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", sans-serif;
  color: #1b1b1b; background: #fff; max-width: 70rem; margin: 0 auto; padding: 1rem;
  overflow-wrap: break-word; }
.modularity-report h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .75rem; }
.modularity-report h2 { font-size: 1.2rem; margin: 2rem 0 .5rem; border-top: 1px solid #d0d0d0;
  padding-top: 1rem; }
.modularity-report h3 { font-size: 1rem; margin: 0; font-weight: 600; }
.modularity-report p, .modularity-report ul { margin: .5rem 0; max-width: 46rem; }
.modularity-report .verdict { font-size: 1.15rem; border-left: .3rem solid #0072b2;
  padding: .25rem 0 .25rem .9rem; max-width: 50rem; }
.modularity-report .facts { color: #4a4a4a; }
.modularity-report .figures { display: grid; gap: 1.25rem; margin: 1rem 0;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); }
.modularity-report figure { margin: 0; min-width: 0; max-width: 30rem; }
.modularity-report svg { display: block; width: 100%; height: auto; }
.modularity-report .pair { display: flex; flex-wrap: wrap; gap: 0 3rem; align-items: start; }
.modularity-report .pair > div { min-width: 0; max-width: 100%; }
.modularity-report .scroll { overflow-x: auto; margin: .75rem 0; max-width: 100%; }
.modularity-report .scroll:focus-visible { outline: 3px solid #0072b2; outline-offset: 2px; }
.modularity-report table { border-collapse: collapse; font-size: .875rem;
  font-variant-numeric: tabular-nums; }
.modularity-report .caption { color: #4a4a4a; font-size: .875rem; margin: 1rem 0 0; }
.modularity-report th, .modularity-report td { padding: .25rem .6rem; text-align: right;
  border-bottom: 1px solid #e2e2e2; background: none; white-space: nowrap; }
.modularity-report tbody th { font-weight: 400; white-space: normal; overflow-wrap: anywhere;
  min-width: 6rem; }
.modularity-report thead th { border-bottom: 2px solid #8a8a8a; vertical-align: bottom;
  white-space: normal; }
.modularity-report th[scope=row], .modularity-report .text { text-align: left; }
.modularity-report tr.found td, .modularity-report tr.found th { font-weight: 600; }
.modularity-report summary { cursor: pointer; padding: .35rem 0; color: #00528a; }
.modularity-report summary:focus-visible, .modularity-report a:focus-visible {
  outline: 3px solid #0072b2; outline-offset: 2px; }
@media (max-width: 40rem) { .modularity-report th, .modularity-report td {
  padding: .25rem .35rem; } .modularity-report table { font-size: .8125rem; } }
@media print { .modularity-report .scroll { overflow: visible; } }
"""


def page(report: "Report") -> str:
    """Return a report as one page: no scripts, nothing that is loaded, all names escaped."""
    title = escape(f"Report on {report.name}")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'; img-src data:\">\n"
        f"<title>{title}</title>\n<style>body {{ margin: 0; }}</style>\n</head>\n<body>\n"
        f"<main>{fragment(report)}</main>\n</body>\n</html>\n"
    )


def fragment(report: "Report") -> str:
    """Return a report as a part of a page, as notebooks show it."""
    sections = [_head(report), _costs(report), _classes(report), _partition(report)]
    sections += [_tables(report), _words(report)]
    return (
        f'<div class="modularity-report"><style>{_STYLE}</style>\n'
        + "\n".join(sections)
        + "\n</div>"
    )


def _head(report: "Report") -> str:
    measured = report.measured
    facts = (
        f"{len(measured.classes):,} images, of which the intact network gets "
        f"{words.percent(measured.intact.mean())} right; "
        f"{words.count(len(measured.partition.hidden), 'hidden layer')}; "
        f"{words.count(measured.n_permutations, 'permutation')}. A part is what a cluster has in a "
        f"layer; a point is one percent of the images{words.weighed(report)}."
    )
    return (
        f"<h1>Report on {escape(report.name)}</h1>\n"
        f'<p class="verdict">{escape(report.verdict)}</p>\n<p class="facts">{escape(facts)}</p>\n'
        + _effects_tables(report)
    )


def _effects_tables(report: "Report") -> str:
    units = {"importance": "points of accuracy", "class_range": "times as uneven as random units"}
    effects = report.effects.assign(whole=~report.effects["measure"].duplicated())
    tested = effects[(effects["tested"] > 0) | effects["whole"]]
    tables = "".join(
        f"<div>{_effects_table(measure, f'{MEASURES[measure].capitalize()}: {unit}', table)}</div>"
        for measure, unit in units.items()
        for table in [tested[tested["measure"] == measure]]
    )
    return f'<div class="pair">{tables}</div>' + (
        '<p class="caption">Effects are means over parts: points beyond random parts of the same '
        "size, and times as uneven as random units that cost as much. Parts found have "
        "a p of at most .05 after correction for their number; rows in bold an exact p of at most "
        ".05. Layers without a testable part are not listed.</p>"
    )


def _effects_table(measure: str, caption: str, table: pd.DataFrame) -> str:
    unit = _UNITS[measure]
    rows = [
        (
            ["all layers" if row.whole else row.layer],
            [
                _number(row.effect, unit),
                _interval(row.low, row.high, unit),
                _p(row.p),
                f"{row.found} of {row.tested}",
            ],
            row.p <= words.ALPHA,
        )
        for row in _rows(table)
    ]
    return _table(caption, ["layers", "effect", "95 % interval", "exact p", "parts found"], rows, 1)


def _costs(report: "Report") -> str:
    true, permuted = (100 * each for each in report._damages)
    table, key = report.subclusters, _key(report)

    def figures() -> Iterator[str]:
        for layer in _drawn_layers(report):
            rows = np.flatnonzero((table["layer"] == layer) & (table["excluded"] == ""))
            chosen = table.iloc[rows]
            found = (chosen["familywise"] <= words.ALPHA).to_numpy()
            drawn = plots.damages_beside_permuted(
                _names(chosen), true[rows], permuted[:, rows], found
            )
            said = "; ".join(
                f"cluster {each.cluster} costs {words.points(each.damage)} points, random parts "
                f"{words.points(each.random_damage)}"
                for each in _rows(chosen)
            )
            yield _figure(drawn, f"{key}-cost-{rows[0]}", layer, said)

    return _section(
        "What lesions cost",
        "A circle is the lesion of a part (cluster: units), filled if it costs more than random "
        "parts of the same size, all parts taken into account. Grey: random parts, the bar their "
        "middle 95 %, the tick their median.",
        f'<div class="figures">{"".join(figures())}</div>' + _omitted(report),
    )


def _classes(report: "Report") -> str:
    table, measured, key = report.subclusters, report.measured, _key(report)
    sizes = np.where(measured.class_sizes > 0, measured.class_sizes, np.nan)
    beyond = 100 * (measured.permuted.mean(axis=0) - report._counts[1]) / sizes
    bound = max(float(np.nanmax(np.abs(beyond))), 1.0)

    def figures() -> Iterator[str]:
        for layer in _drawn_layers(report):
            rows = np.flatnonzero((table["layer"] == layer) & (table["excluded"] == ""))
            names = _names(table.iloc[rows])
            worst = np.nanargmax(beyond[rows], axis=1)
            said = "; ".join(
                f"beyond random parts, cluster {cluster} costs class {label} most, "
                f"{words.points(value)} points"
                for cluster, label, value in zip(
                    table["cluster"].iloc[rows], worst, beyond[rows, worst], strict=True
                )
            )
            drawn = plots.class_losses(names, beyond[rows], bound)
            yield _figure(drawn, f"{key}-classes-{rows[0]}", layer, said)

    return _section(
        "Which classes lose",
        "Points that each class loses under the lesion of a part beyond what it loses, on average, "
        "under lesions of random parts of the same size: orange more, blue less.",
        f'<div class="figures">{"".join(figures())}</div>',
    )


def _partition(report: "Report") -> str:
    partition = report.measured.partition
    clusters = sorted({each.cluster for each in report.measured.parts})
    sizes = {
        layer: [int(np.sum(labels == cluster)) for cluster in clusters]
        for layer, labels in partition.labels.items()
    }
    said = f"{len(clusters)} clusters in {len(sizes)} layers; the table has the numbers of units."
    bars = plots.partition_bars(partition)
    drawn = _figure(bars, f"{_key(report)}-partition", "Shares of the layers", said)
    rows = [
        (
            [str(cluster)],
            [str(sizes[layer][i] or "·") for layer in sizes]
            + [str(sum(sizes[layer][i] for layer in sizes))],
            False,
        )
        for i, cluster in enumerate(clusters)
    ]
    table = _table(
        "Where the units of each cluster sit: numbers of units by layer.",
        ["cluster", *sizes, "all"],
        rows,
        1,
    )
    return _section(
        "The partition", f"{report.source}.", f'<div class="figures">{drawn}</div>{table}'
    )


def _tables(report: "Report") -> str:
    tests = [
        (
            [_question(row.measure, row.test), TESTS.get(row.test, "exact, by permutation")],
            [
                _p_with_interval(row.p, row.p_low, row.p_high),
                str(row.tested),
                str(row.excluded),
                _number(row.effect, _UNITS[row.measure]),
                _interval(row.low, row.high, _UNITS[row.measure]),
            ],
            row.test == "permutation",
        )
        for row in _rows(report.tests)
    ]
    first = _table(
        "The exact tests, which the verdict rests on, in bold, with what their p may be with all "
        "permutations there are, and the paper's own beside them. Effects: points, and times as "
        "uneven as random units that cost as much.",
        ["question", "test", "p", "parts tested", "left out", "effect", "95 % interval"],
        tests,
        2,
    )
    parts = [
        (
            [row.layer, str(row.cluster)],
            [
                str(row.size),
                _number(row.damage, words.points),
                _number(row.random_damage, words.points),
                _number(row.effect, words.points),
                _interval(row.low, row.high, words.points),
                _number(row.log_ratio, "{:.2f}".format),
                _number(row.relative, "{:.2f}".format),
                _number(row.relative_se, "{:.2f}".format),
                _p(row.p),
                _p(row.familywise),
                _number(row.within_effect, words.points),
                _p(row.within_p),
                _number(row.class_range, "{:.2f}".format),
                _number(row.random_class_range, "{:.2f}".format),
                _p(row.class_p),
                _p(row.class_familywise),
                _number(row.class_variance, "{:.2f}".format),
                _number(row.random_class_variance, "{:.2f}".format),
                _p(row.class_variance_p),
            ],
            row.familywise <= words.ALPHA,
        )
        for row in _rows(report.subclusters)
    ]
    head = ["layer", "cluster", "units", "costs", "random cost", "effect", "95 % interval"]
    head += ["log ratio", "2x/(x+random)", "its standard error", "p", "familywise p"]
    head += ["effect, similar strength", "p, similar strength"]
    head += ["class range", "random range", "p", "familywise p"]
    head += ["class variance", "random variance", "p"]
    second = _table(
        "Costs and effects in points, the log ratio of costs in images. A dash: complete, so that "
        "it cannot be tested, or undefined.",
        head,
        parts,
        2,
    )
    return _section(
        "Tests and parts",
        "",
        first
        + f"<details><summary>Every part in a table ({len(parts)})</summary>{second}</details>",
    )


def _words(report: "Report") -> str:
    found = words.remarks(report) or ["Nothing was left out."]
    return _section("Left out, and to be noted", "", _list(found)) + _section(
        "How this was done", "", _list(words.how(report))
    )


def _key(report: "Report") -> str:
    """Return what identifiers begin with: two reports in one notebook must not share any."""
    labels = report.measured.partition.labels.values()
    return f"r{fingerprint(*labels, report.measured.permuted)}"


def _tested_layers(report: "Report") -> list[str]:
    """Return the layers that have a part to test, in order."""
    table = report.subclusters
    return list(dict.fromkeys(table.loc[table["excluded"] == "", "layer"]))


def _drawn_layers(report: "Report") -> list[str]:
    """Return the layers that are drawn, in order: if there are too many, the largest effects."""
    effects = report.subclusters.groupby("layer")["effect"].max().sort_values(ascending=False)
    return [each for each in _tested_layers(report) if each in effects.index[:_MOST_LAYERS]]


def _omitted(report: "Report") -> str:
    n = len(_tested_layers(report))
    if n <= _MOST_LAYERS:
        return ""
    return f"<p>Drawn are {_MOST_LAYERS} of {n} layers, those with the largest effects.</p>"


def _rows(table: pd.DataFrame) -> Iterator[Any]:
    """Yield rows as named tuples."""
    yield from table.itertuples()


def _names(table: pd.DataFrame) -> list[str]:
    return [
        f"{cluster}: {size}" for cluster, size in zip(table["cluster"], table["size"], strict=True)
    ]


def _number(value: float, unit: Any) -> str:
    return "–" if np.isnan(value) else unit(value).replace("-", "−")


def _interval(low: float, high: float, unit: Any) -> str:
    return "–" if np.isnan(low) else f"{unit(low)} to {unit(high)}".replace("-", "−")


def _p(value: float) -> str:
    return "–" if np.isnan(value) else words.p_text(value)


def _question(measure: str, test: str) -> str:
    """Return what is tested: the paper tests the bare range, the exact test at equal damage."""
    is_at_equal_damage = test == "permutation" and measure.startswith("class")
    return MEASURES[measure] + " at equal damage" * is_at_equal_damage


def _p_with_interval(p: float, low: float, high: float) -> str:
    return _p(p) if np.isnan(low) else f"{_p(p)} ({_p(low)} to {_p(high)})"


def _section(title: str, intro: str, body: str) -> str:
    said = f"<p>{escape(intro)}</p>" if intro else ""
    return f"<section><h2>{escape(title)}</h2>{said}\n{body}</section>"


def _list(sentences: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(each)}</li>" for each in sentences) + "</ul>"


def _table(
    caption: str,
    head: Sequence[str],
    rows: Sequence[tuple[list[str], list[str], bool]],
    n_names: int,
) -> str:
    """Return a table that scrolls by itself where the screen is narrow, also by keyboard."""
    columns = "".join(
        f'<th scope="col"{" class=text" if i < n_names else ""}>{escape(each)}</th>'
        for i, each in enumerate(head)
    )
    body = "".join(
        f"<tr{' class=found' if is_found else ''}>"
        + "".join(f'<th scope="row">{escape(each)}</th>' for each in names)
        + "".join(f"<td>{escape(each)}</td>" for each in cells)
        + "</tr>\n"
        for names, cells, is_found in rows
    )
    said = escape(caption, quote=True)
    return (
        f'<p class="caption">{escape(caption)}</p>'
        f'<div class="scroll" role="region" tabindex="0" aria-label="{said}">'
        f'<table aria-label="{said}"><thead><tr>{columns}</tr></thead>\n'
        f"<tbody>{body}</tbody></table></div>"
    )


def _figure(figure: Figure, key: str, title: str, said: str) -> str:
    """Return a figure with its title, and what a screen reader says of it."""
    label = escape(f"{title}: {said}", quote=True)
    heading = f"<figcaption><h3>{escape(title)}</h3></figcaption>"
    return f"<figure>{heading}{_svg(figure, key, label)}</figure>"


def _svg(figure: Figure, key: str, label: str) -> str:
    """Return a figure as inline SVG, the same each time, whose identifiers are its own."""
    buffer = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": key}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{key}-', text)
    text = re.sub(r'href="#', f'href="#{key}-', text).replace("url(#", f"url(#{key}-")
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    return text.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)
