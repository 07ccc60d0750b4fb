"""The command ``modularity``: evaluate and train networks, sweep notebooks, collect tables.

Each sub-command loads what it needs when it is called, so that ``--help`` is quick.
"""

import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from helpers import settings

if TYPE_CHECKING:
    from helpers.book.collecting import Collected
    from helpers.book.points import Run
    from helpers.book.store import Store
    from helpers.evaluation import Edges, Scope

_STORE = click.option(
    "--store",
    type=click.Path(path_type=Path),
    default=settings.runs_folder,
    help="Folder of runs (default: $MODULARITY_RUNS, or _build/runs).",
)
_SWEEP = click.argument("sweep", type=click.Path(path_type=Path))
_FROM_1 = click.IntRange(min=1)

_PER_CLASS, _STEPS = 10, 256
"""Photographs of each class, and steps for each constructed image, in the paper."""


def _integers(_: click.Context, option: click.Parameter, said: str) -> list[int]:
    """Read numbers from 0, separated by commas."""
    words = said.split(",")
    if not all(word.isdecimal() for word in words):
        raise click.BadParameter(
            f"{said!r} was given; accepted are integers from 0, separated by commas", param=option
        )
    return [int(word) for word in words]


@contextmanager
def _extra() -> Iterator[None]:
    """Say how to get what only the book needs, where it is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"{error.name} is not installed; pip install 'importance-and-coherence[book]'"
        ) from error


@click.group()
def main() -> None:
    """Evaluate modularity in neural networks: Importance and Coherence."""


class _BadInput(click.ClickException):
    """What was given is not accepted: one sentence on stderr, and exit code 2."""

    exit_code = 2


@main.command(
    epilog="\b\nExample:\n  modularity evaluate model.keras data.npz --out report/\n"
    "  modularity evaluate model.keras data.npz --partition labels.csv --budget 300 --out report/"
)
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "--partition",
    type=click.Path(path_type=Path),
    help="A CSV with the columns layer, unit, label (default: spectral clustering).",
)
@click.option("--clusters", type=int, default=12, help="Clusters to make (default: 12).")
@click.option(
    "--edges",
    type=click.Choice(["weights", "activations"]),
    default="weights",
    help="What connects units that are clustered (default: weights).",
)
@click.option(
    "--scope",
    type=click.Choice(["global", "layerwise"]),
    default="global",
    help="Cluster the whole network or layer by layer (default: global).",
)
@click.option(
    "--permutations", type=int, default=999, help="Of the exact test (default: 999, at least 19)."
)
@click.option(
    "--within",
    type=int,
    default=99,
    help="Permutations among units of similar strength (default: 99; 0 for none, at least 19, no "
    "more than --permutations).",
)
@click.option("--random", type=int, default=20, help="Twins in the paper's tests (default: 20).")
@click.option(
    "--protocol", type=click.Choice(["paper", "released"]), default="paper", help="Default: paper."
)
@click.option("--seed", type=int, default=0, help="Of all draws (default: 0).")
@click.option("--budget", type=float, metavar="SECONDS", help="Fewer permutations if need be.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder for the report: index.html, tables, and all that was measured.",
)
@click.option("--quiet", is_flag=True, help="Show no progress.")
def evaluate(
    model: Path,
    data: Path,
    partition: Path | None,
    clusters: int,
    edges: "Edges",
    scope: "Scope",
    permutations: int,
    within: int,
    random: int,
    protocol: str,
    seed: int,
    budget: float | None,
    out: Path,
    quiet: bool,
) -> None:
    """Say whether a partition of your network is important, and matters for some classes.

    MODEL is a .keras file, from which nothing is executed. DATA is an .npz file with images and
    their classes: x and y, or x_test and y_test.
    """
    import helpers
    from helpers.report import subject

    new = [each for each in (out, *out.parents) if not each.exists()]
    try:
        # Before anything is computed: what takes an hour must have where to go.
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _BadInput(f"--out: no folder {out} can be made ({error.strerror})") from error
    try:
        x, y = subject.load_data(data)
        report = helpers.evaluate(
            model,
            x,
            y,
            partition,
            n_clusters=clusters,
            edges=edges,
            scope=scope,
            n_permutations=permutations,
            n_within=within,
            n_random=random,
            protocol=protocol,
            random_state=seed,
            budget=budget,
            progress=not quiet,
        )
        report.save(out)
    except (ValueError, OSError) as error:
        for folder in new:
            if any(folder.iterdir()):
                break
            folder.rmdir()
        raise _BadInput(str(error)) from error
    click.echo(report.summary())
    click.echo(f"\n{out / 'index.html'}")


@main.command(
    epilog="\b\nExamples:\n  modularity train mnist-mlp --replicates 0,1,2,3,4\n"
    "  nice -n 10 modularity train >> training.log 2>&1 &"
)
@click.argument("names", nargs=-1)
@click.option(
    "--replicates", metavar="0,1,...", default="0", callback=_integers, help="Seeds (default: 0)."
)
@click.option("--commit", is_flag=True, help="Commit each result to git.")
def train(names: tuple[str, ...], replicates: list[int], commit: bool) -> None:
    """Train networks that are not there yet, and count their lesions.

    NAMES are recipes; without any, all that the book still lacks are trained, which takes many
    hours. It goes on from the last whole epoch when it is started again.
    """
    import logging

    from helpers import zoo
    from helpers.book import queue

    if replicates != [0] and not names:
        raise click.UsageError("--replicates: needs NAMES, which it is about")
    if commit and not (settings.ROOT / ".git").exists():
        raise click.UsageError(f"--commit: {settings.ROOT} is no git repository")
    asked = [(name, replicate) for replicate in replicates for name in names]
    try:
        for name in names:
            zoo.recipe(name)
        logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
        for results in queue.work_alone(asked or queue.NETWORKS):
            if commit and results:
                queue.commit(results)
    except (ValueError, OSError, queue.BusyError) as error:
        raise click.ClickException(str(error)) from error


@main.command(
    epilog="\b\nExample:\n  IMAGENET_DIR=~/ILSVRC2012_img_val modularity imagenet resnet18\n"
    "  modularity imagenet vgg16 --images val/ --weights vgg16.h5 --into vgg16.csv\n"
    "  modularity imagenet vgg19 --table 1a"
)
@click.argument("name", type=click.Choice(["vgg16", "vgg19", "resnet18", "resnet50"]))
@click.option(
    "--table",
    type=click.Choice(["1a", "1b", "3"]),
    default="1b",
    help="Constructed inputs (1a, and Table 6), lesions (1b, the default), or lesions with other "
    "numbers of clusters (3).",
)
@click.option(
    "--images",
    type=click.Path(path_type=Path),
    help="Folder of the validation images (default: $IMAGENET_DIR).",
)
@click.option(
    "--weights",
    type=click.Path(path_type=Path),
    help="A local file of weights (default: downloaded once, up to 575 MB).",
)
@click.option(
    "--per-class", type=_FROM_1, default=_PER_CLASS, help=f"Images of a class ({_PER_CLASS})."
)
@click.option("--clusters", type=_FROM_1, multiple=True, help="Clusters (default: the paper's).")
@click.option("--random", type=_FROM_1, help="Twins per sub-cluster (default: the paper's).")
@click.option("--steps", type=_FROM_1, default=_STEPS, help=f"Of constructing inputs ({_STEPS}).")
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Of all draws (default: 0).")
@click.option(
    "--into",
    type=click.Path(path_type=Path),
    help="A .csv file (default: results/imagenet-TABLE-NAME.csv, for the paper's numbers only).",
)
def imagenet(
    name: Any,
    table: str,
    images: Path | None,
    weights: Path | None,
    per_class: int,
    clusters: tuple[int, ...],
    random: int | None,
    steps: int,
    seed: int,
    into: Path | None,
) -> None:
    """Make a table's rows of a network on ImageNet: NAME, under both protocols.

    Constructing inputs needs no images, only weights.
    """
    from dataclasses import replace

    from helpers import files, networks, plots
    from helpers import imagenet as photographs
    from helpers.book import on_imagenet, results

    target = into or settings.RESULTS / f"{results.ON_IMAGENET}{table}-{name}.csv"
    if target.suffix != ".csv":
        raise click.UsageError(f"--into: {target} was given; accepted are .csv files")
    papers = on_imagenet.PLANS[table]
    plan = replace(
        papers, n_clusters=clusters or papers.n_clusters, n_random=random or papers.n_random
    )
    if table != "3" and len(plan.n_clusters) > 1:
        raise click.UsageError(f"--clusters: {clusters} was given; Table {table} has one number")
    is_papers = plan == papers and per_class == _PER_CLASS and steps == _STEPS
    if not is_papers and into is None:
        raise click.UsageError("--into: other numbers than the paper's need a file of their own")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)  # Now: what follows may take hours.
        if plan.needs_images:
            x: Any  # Read slice by slice where an array is asked for.
            x, y = photographs.validation_images(images, per_class, seed)
            model = networks.imagenet(name, weights or "imagenet")
            n_found, n_classes = len(set(y)), model.output_shape[-1]
            if n_found != n_classes:
                # Classes are counted in the order of their names, so that none may be missing.
                raise click.ClickException(
                    f"--images: {n_found} classes were found, but {name} has {n_classes}"
                )
            rows = on_imagenet.lesioned(model, x, y, plan, seed)
            made_of = f"{len(y)} images, accuracy {rows['accuracy'].iloc[0]:.4f}"
        else:
            model = networks.imagenet(name, weights or "imagenet")
            rows, made = on_imagenet.constructed(model, plan, seed, n_steps=steps)
            picture = target.with_suffix(".png")
            with files.written_whole(picture) as temporary:
                plots.constructed_images({name: made}).savefig(temporary)
            made_of = f"images of {steps} steps, drawn in {picture}"
        rows.insert(0, "network", f"{results.ON_IMAGENET}{name}")
        with files.written_whole(target) as temporary:
            rows.to_csv(temporary, index=False)
    except (OSError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(rows.to_string(index=False))
    click.echo(f"{target}: {made_of}")


@main.command(epilog="\b\nExample:\n  modularity sweep sweeps/table1b.yaml --dry-run")
@_SWEEP
@click.option("--dry-run", is_flag=True, help="Only list the runs.")
@click.option("--add", is_flag=True, help="Only runs that the table in results/ lacks.")
@click.option("--keep-stale", is_flag=True, help="Leave alone results that are stale.")
@click.option("--retry-failed", is_flag=True, help="Try again what failed.")
@click.option(
    "--workers", type=_FROM_1, help="Runs at a time here (default: a core each, up to 4)."
)
@click.option("--cores", type=_FROM_1, help="Cores per run (default: a fair share).")
@click.option("--dask", metavar="tcp://...", help="A running Dask scheduler to use.")
@_STORE
@_extra()
def sweep(
    sweep: Path,
    dry_run: bool,
    add: bool,
    keep_stale: bool,
    retry_failed: bool,
    workers: int | None,
    cores: int | None,
    dask: str | None,
    store: Path,
) -> None:
    """Execute the runs of a SWEEP that are not in the store yet, or are stale there."""
    from helpers.book import sweeps
    from helpers.book.store import Store

    if dask and workers:
        raise click.UsageError(
            "--workers is for this machine; with --dask the scheduler has its workers"
        )
    asked, kept = _points(sweep), Store(store)
    if add:
        target = _table_of(sweep)
        before = _collected(target)
        held = [
            run for run in asked if before.record(run) and (keep_stale or not before.stale(run))
        ]
        click.echo(f"{target}: has {len(held)} of {len(asked)} runs")
        asked = [run for run in asked if run not in held]
    if dry_run:
        _list(asked, kept)
        return
    what = "STALE, KEPT" if keep_stale else "stale, executed anew"
    for run, stale in kept.all_stale(asked):
        click.echo(f"{what}: {run} ({', '.join(stale)} changed)")
    options = {"keep_stale": keep_stale, "retry_failed": retry_failed}
    try:
        if dask:
            report = _sweep_on_dask(asked, kept, dask, cores, options)
        else:
            report = sweeps.sweep_here(asked, kept, workers or 0, cores or 0, **options)
    except KeyboardInterrupt:
        # As if killed: what is running ends with this process, and what is done is kept.
        print("interrupted; finished runs are kept", flush=True)
        os._exit(130)
    for name, error in report.errors.items():
        click.echo(f"FAILED {name}: {error}")
    click.echo(report)
    sys.exit(1 if report.errors else 0)


@main.command(epilog="\b\nExample:\n  modularity collect sweeps/table1b.yaml")
@_SWEEP
@click.option("--table", help="Which table (default: as the file says).")
@click.option("--partial", is_flag=True, help="Leave out the runs that are not finished.")
@click.option("--add", is_flag=True, help="Keep the runs that the file has and the store has not.")
@click.option("--keep-stale", is_flag=True, help="Gather results that are stale, too.")
@click.option(
    "--into", type=click.Path(path_type=Path), help="A .csv or .parquet file (default: results/)."
)
@_STORE
@_extra()
def collect(
    sweep: Path,
    table: str | None,
    partial: bool,
    add: bool,
    keep_stale: bool,
    into: Path | None,
    store: Path,
) -> None:
    """Gather a table that the runs of a SWEEP kept into one file."""
    from helpers.book import collecting, points
    from helpers.book.store import Store

    asked, kept = _points(sweep), Store(store)
    target = into or _table_of(sweep)
    if target.suffix not in (".csv", ".parquet"):
        raise click.UsageError(f"--into: {target} was given; accepted are .csv and .parquet files")
    before = _collected(target if add else None)
    added = [run for run in asked if not kept.finished(run) and before.record(run)]
    n_found = sum(kept.finished(run) is not None for run in asked) + len(added)
    if n_found < len(asked) and not partial:
        where = f"{kept.folder} or {target}" if add else kept.folder
        raise click.UsageError(
            f"{n_found} of {len(asked)} runs are finished in {where}; run the sweep, or "
            "gather what there is with --partial"
        )
    changed = [*kept.all_stale(asked)]
    changed += [(run, what) for run in added if (what := before.stale(run))]
    stale = [f"{run} ({', '.join(what)} changed)" for run, what in changed]
    if stale and not keep_stale:
        raise click.UsageError(
            f"stale: {'; '.join(stale)}; run the sweep again, or gather this as it is with "
            "--keep-stale"
        )
    try:
        collected = collecting.collect(asked, kept, table or points.table_of(sweep), before)
        collecting.write(collected, target, asked, kept, before)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    for each in stale:
        click.echo(f"STALE, KEPT: {each}")
    click.echo(
        f"{target}: {n_found} of {len(asked)} runs, {len(stale)} of them stale, "
        f"{sum(map(before.is_of_other_code, added))} by earlier code of the notebook"
    )


def _table_of(sweep: Path) -> Path:
    return settings.RESULTS / f"{sweep.stem}.csv"


def _collected(target: Path | None) -> "Collected":
    from helpers.book.collecting import Collected

    try:
        return Collected(target)
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _points(sweep: Path) -> "list[Run]":
    import yaml

    from helpers.book import points

    try:
        return points.read(sweep)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise click.UsageError(str(error)) from error


def _sweep_on_dask(
    asked: "list[Run]", store: "Store", address: str, cores: int | None, options: dict[str, bool]
) -> Any:
    from distributed import Client

    from helpers.book import sweeps

    try:
        client = Client(address)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as reason:
        raise click.UsageError(f"--dask: no scheduler answers at {address} ({reason})") from reason
    with client:
        executor = client.get_executor()  # type: ignore[no-untyped-call]
        return sweeps.sweep(asked, store, executor, cores, **options)


def _list(asked: "list[Run]", store: "Store") -> None:
    """Print what is done, stale, failed, and to do."""
    counts: Counter[str] = Counter()
    for run in asked:
        state = store.state(run)
        counts[state.partition(":")[0].partition(",")[0]] += 1
        click.echo(f"{run}: {state}")
    click.echo(f"{len(asked)} runs: " + ", ".join(f"{n} {state}" for state, n in counts.items()))
