"""Train what the book still lacks, in the background: ``nice -n 10 modularity train``.

Networks take from a quarter of an hour to hours. Each goes on from its newest checkpoint when the
command is started again, and each is counted (`lesion_counts`) as soon as it is trained. One line
an epoch says how far it is.
"""

import logging
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import filelock

from helpers import settings, stored, zoo
from helpers.book import lesion_counts

NETWORKS = (
    ("cifar10-vgg", 0),
    *(("cifar10-vgg-untrained", replicate) for replicate in range(5)),
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
    """Return where a network belongs: VGGs are large, so git has only the first trained one."""
    recipe = zoo.recipe(name)
    is_large = recipe.architecture == "vgg" and (replicate > 0 or not recipe.all_epochs)
    is_for_git = settings.IS_CHECKOUT and not is_large
    return settings.ZOO if is_for_git else settings.cache_folder() / "zoo"


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
        manifest = stored.manifest(path)
        if manifest is None:
            raise ValueError(f"the manifest of {path} is damaged; delete both, and ask again")
        accuracy, epochs = manifest["accuracy"]["test"], manifest["epochs"]
        _log.info("%s: accuracy %.4f after %d epochs", path.stem, accuracy, epochs)
        yield [path, path.with_suffix(".json")] if folder == settings.ZOO else []
        if accuracy < zoo.floor(name):
            _log.warning("%s: below %.2f, not used", path.stem, zoo.floor(name))
            continue
        for epoch in (None, *zoo.EARLY_EPOCHS.get((name, replicate), ())):
            for plan in lesion_counts.plans(name, epoch):
                yield [lesion_counts.measure(name, replicate, plan, epoch)]


class BusyError(RuntimeError):
    """Another process is at the same work."""


def work_alone(networks: Sequence[tuple[str, int]]) -> Iterator[list[Path]]:
    """Do the work of `work`, unless another process is at it.

    Parameters
    ----------
    networks : sequence of (str, int)
        As for `work`.

    Yields
    ------
    list of Path
        As `work`.

    Raises
    ------
    BusyError
        If another copy is at work.
    """
    cache = settings.cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    try:
        with filelock.FileLock(cache / "queue.lock", timeout=0):
            yield from work(networks)
    except filelock.Timeout:
        raise BusyError("another copy of this command is at work: its log says more") from None


def commit(paths: Sequence[Path]) -> None:
    """Commit new files to git, and nothing else that may be staged there."""
    names = [str(path) for path in paths]
    git = ["git", "-C", str(settings.ROOT)]
    subprocess.run([*git, "add", "--", *names], check=True)
    changed = subprocess.run([*git, "diff", "--cached", "--quiet", "--", *names], check=False)
    if changed.returncode:
        message = f"{paths[0].stem}, by modularity train"
        subprocess.run([*git, "commit", "-q", "-m", message, "--only", "--", *names], check=True)
