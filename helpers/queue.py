"""Train what the book still lacks, in the background: ``nice -n 10 python -m helpers.queue``.

Networks take from a quarter of an hour to hours. Each goes on from its newest checkpoint when the
command is started again, and each is counted (`lesion_counts`) as soon as it is trained. One line
an epoch says how far it is.
"""

import argparse
import json
import logging
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import filelock

from helpers import lesion_counts, settings, zoo

NETWORKS = (
    ("cifar10-vgg", 0),
    *(("mnist-cnn", replicate) for replicate in range(1, 5)),
    *(("fashion-cnn", replicate) for replicate in range(1, 5)),
    *(("cifar10-vgg", replicate) for replicate in range(1, 5)),
    *(("mnist-rgb-cnn", replicate) for replicate in range(1, 5)),
    ("cifar10-vgg-dropout", 0),
    ("stack-same-fashion-cnn", 0),
    *(("cifar10-vgg-dropout", replicate) for replicate in range(1, 5)),
)
"""Networks that the book needs and that take long to train, the most needed first."""

_log = logging.getLogger(__name__)


def home(name: str, replicate: int) -> Path:
    """Return where a network of the book belongs: VGGs are large, so git has only the first."""
    is_large = zoo.recipe(name).architecture == "vgg" and replicate > 0
    return settings.cache_folder() / "zoo" if is_large else settings.ZOO


def work(networks: Sequence[tuple[str, int]]) -> Iterator[list[Path]]:
    """Train networks one after the other and count their lesions, whatever is there already.

    Parameters
    ----------
    networks : sequence of (str, int)
        Names and replicates, as for `zoo.trained`.

    Yields
    ------
    list of Path
        What belongs into git: first of a network, then of its counts, one by one.

    Raises
    ------
    ValueError
        As `zoo.trained`, but for a network that is less accurate than the paper's: that one is
        logged and left out.
    """
    for name, replicate in networks:
        folder = home(name, replicate)
        path = zoo.train_once(name, replicate, folder)
        manifest = json.loads(path.with_suffix(".json").read_text())
        accuracy, epochs = manifest["accuracy"]["test"], manifest["epochs"]
        _log.info("%s: accuracy %.4f after %d epochs", path.stem, accuracy, epochs)
        yield [path, path.with_suffix(".json")] if folder == settings.ZOO else []
        if accuracy < zoo.floor(name):
            _log.warning("%s: below %.2f, not used", path.stem, zoo.floor(name))
            continue
        plans = lesion_counts.PLANS.get(zoo.recipe(name).architecture, ())
        for epoch in (None, *zoo.EARLY_EPOCHS.get((name, replicate), ())):
            for plan in plans:
                yield [lesion_counts.measure(name, replicate, plan, epoch)]


def main() -> None:
    """Train networks that are not there yet, and count their lesions."""
    parser = argparse.ArgumentParser(prog="python -m helpers.queue", description=main.__doc__)
    parser.add_argument("names", nargs="*", help="recipes (default: all that the book lacks)")
    parser.add_argument("--replicates", nargs="+", type=int, default=[0], help="seeds")
    parser.add_argument("--commit", action="store_true", help="commit each result to git")
    arguments = parser.parse_args()
    asked = [(name, replicate) for replicate in arguments.replicates for name in arguments.names]
    for name, _ in asked:
        zoo.recipe(name)
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
    try:
        with filelock.FileLock(settings.cache_folder() / "queue.lock", timeout=0):
            for results in work(asked or NETWORKS):
                if arguments.commit and results:
                    commit(results)
    except filelock.Timeout:
        sys.exit("another copy of this command is at work: its log says how far it is")


def commit(paths: Sequence[Path]) -> None:
    """Commit new files to git, and nothing else that may be staged there."""
    names = [str(path) for path in paths]
    git = ["git", "-C", str(settings.ROOT)]
    subprocess.run([*git, "add", "--", *names], check=True)
    changed = subprocess.run([*git, "diff", "--cached", "--quiet", "--", *names], check=False)
    if changed.returncode:
        message = f"{paths[0].stem}, by python -m helpers.queue"
        subprocess.run([*git, "commit", "-q", "-m", message, "--only", "--", *names], check=True)


if __name__ == "__main__":
    main()
