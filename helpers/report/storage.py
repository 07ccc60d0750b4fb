"""Reports in folders: tables to read, and all that was measured to load again."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from helpers import files
from helpers.lesions.nested import Orderings
from helpers.partitions import Partition
from helpers.protocols import Protocol
from helpers.report.measuring import Measured, Within
from helpers.report.page import page
from helpers.report.reports import Report

FORMAT = 5
_SETTINGS, _MEASURED = "report.json", "measured.npz"
_TABLES = ("subclusters", "tests", "effects")
_LABELS, _STRATA = "labels_", "strata_"
_NESTED = ("nested_sizes_", "nested_right_")


def save(report: Report, folder: Path) -> Path:
    """Write a report into a folder, see `Report.save`.

    What a folder already has is no report any more before it is one again: report.json goes first
    and comes last.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"folder: {folder} is a file")
    settings = _settings(report)
    (folder / _SETTINGS).unlink(missing_ok=True)
    for name in _TABLES:
        with files.written_whole(folder / f"{name}.csv") as temporary:
            getattr(report, name).to_csv(temporary, index=False)
    write_text(folder / "summary.txt", report.summary() + "\n")
    write_text(folder / "index.html", page(report))
    with files.written_whole(folder / _MEASURED) as temporary:
        np.savez_compressed(temporary, **_arrays(report.measured))
    settings["sha256"] = _checksums(folder, settings)
    write_text(folder / _SETTINGS, json.dumps(settings, indent=2) + "\n")
    return folder


def load(folder: Path) -> Report:
    """Read a report, see `Report.load`."""
    try:
        settings = json.loads((folder / _SETTINGS).read_text())
        if settings["format"] != FORMAT:
            raise ValueError(f"format {settings['format']}")
        for name, checksum in _checksums(folder, settings).items():
            if settings["sha256"][name] != checksum:
                raise ValueError(f"{name} is not as it was saved")
        with np.load(folder / _MEASURED, allow_pickle=False) as archive:
            measured = _measured(dict(archive), settings["layers"])
        return Report(
            name=settings["name"],
            source=settings["source"],
            measured=measured,
            protocol=Protocol(**settings["protocol"]),
            n_random=settings["n_random"],
            n_asked=settings["n_asked"],
            random_state=settings["random_state"],
            fingerprint=settings["fingerprint"],
            notes=tuple(settings["notes"]),
        )
    except files.UNREADABLE as error:
        raise ValueError(
            f"folder: {folder} holds no report, or not a whole one ({error})"
        ) from None


def _checksums(folder: Path, settings: Mapping[str, Any]) -> dict[str, str]:
    """Return checksums of what was measured, and of the settings without their own."""
    text = json.dumps({name: settings[name] for name in settings if name != "sha256"})
    return {
        _MEASURED: files.sha256_of(folder / _MEASURED),
        _SETTINGS: hashlib.sha256(text.encode()).hexdigest(),
    }


def write_text(path: Path, text: str) -> Path:
    """Write a text file whole."""
    if path.is_dir():
        raise ValueError(f"path: {path} is a folder; accepted is a file")
    with files.written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def _settings(report: Report) -> dict[str, Any]:
    measured = report.measured
    return {
        "format": FORMAT,
        "name": report.name,
        "verdict": report.verdict,
        "source": report.source,
        "layers": list(measured.partition.hidden),
        "n_classes": measured.n_classes,
        "n_permutations": measured.n_permutations,
        "n_asked": report.n_asked,
        "n_random": report.n_random,
        "random_state": report.random_state,
        "protocol": asdict(report.protocol),
        "fingerprint": report.fingerprint,
        "notes": list(report.notes),
    }


def _arrays(measured: Measured) -> dict[str, Any]:
    """Return arrays by plain names: layers are numbered, whatever they are called."""
    labels = {
        f"{_LABELS}{i}": measured.partition.labels[layer]
        for i, layer in enumerate(measured.partition.hidden)
    }
    nested = {
        f"{name}{i}_{j}": each
        for i, layer in enumerate(measured.partition.hidden)
        for j, (sizes, right) in enumerate(measured.nested.sets.get(layer, ()))
        for name, each in zip(_NESTED, (sizes, np.packbits(right, axis=1)), strict=True)
    }
    return (
        labels
        | nested
        | _within_arrays(measured)
        | {
            "classes": measured.classes,
            "n_classes": np.array(measured.n_classes),
            "intact": measured.intact,
            "true": np.packbits(measured.true, axis=1),
            "permuted": measured.permuted,
            "permuted_right": measured.permuted_right,
        }
    )


def _within_arrays(measured: Measured) -> dict[str, Any]:
    """Return what is known of parts among units of similar strength, if that was asked."""
    if measured.within is None:
        return {}
    strata = {
        f"{_STRATA}{i}": measured.within.strata[layer]
        for i, layer in enumerate(measured.partition.hidden)
    }
    return strata | {
        "within_permuted": measured.within.permuted,
        "within_permuted_right": measured.within.permuted_right,
        "within_asked": np.array(measured.within.n_asked),
    }


def _within(arrays: dict[str, Any], layers: list[str]) -> Within | None:
    if "within_permuted" not in arrays:
        return None
    return Within(
        strata={layer: arrays[f"{_STRATA}{i}"] for i, layer in enumerate(layers)},
        permuted=arrays["within_permuted"],
        permuted_right=arrays["within_permuted_right"],
        n_asked=int(arrays["within_asked"]),
    )


def _measured(arrays: dict[str, Any], layers: list[str]) -> Measured:
    labels = {layer: arrays[f"{_LABELS}{i}"] for i, layer in enumerate(layers)}
    classes, n_classes = arrays["classes"], int(arrays["n_classes"])
    n_images = len(classes)
    return Measured(
        partition=Partition.from_labels(labels),
        classes=classes,
        n_classes=n_classes,
        intact=arrays["intact"],
        true=np.unpackbits(arrays["true"], axis=1, count=n_images).astype(bool),
        permuted=arrays["permuted"],
        permuted_right=arrays["permuted_right"],
        nested=Orderings(
            class_sizes=np.ones(n_images, dtype=np.int64),
            intact=arrays["intact"].astype(np.int8),
            sets={
                layer: sets
                for i, layer in enumerate(layers)
                if (sets := _sets(arrays, i, n_images))
            },
        ),
        within=_within(arrays, layers),
    )


def _sets(arrays: dict[str, Any], layer: int, n_images: int) -> list[tuple[Any, Any]]:
    """Return the nested sets of a layer by its number, as many as there are."""
    found: list[tuple[Any, Any]] = []
    while f"{_NESTED[0]}{layer}_{len(found)}" in arrays:
        sizes, bits = (arrays[f"{name}{layer}_{len(found)}"] for name in _NESTED)
        found.append((sizes, np.unpackbits(bits, axis=1, count=n_images).astype(np.int8)))
    return found
