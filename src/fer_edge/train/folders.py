"""Faces in folders, one a class: `train/happy/*.png` and so on, or just `happy/*.png`."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from fer_edge.errors import DataError, SourceError
from fer_edge.runtime.preprocess import crop_face, to_gray
from fer_edge.runtime.sources import SUFFIXES, open_picture
from fer_edge.spec import CropSpec
from fer_edge.train.faces import SPLITS, Bad, FaceData, Faces, Split
from fer_edge.train.fer2013 import LABELS

SPLIT_NAMES: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "publictest": "val",
    "test": "test",
    "testing": "test",
    "privatetest": "test",
}
SYNONYMS = {
    "anger": "angry",
    "disgusted": "disgust",
    "fearful": "fear",
    "scared": "fear",
    "happiness": "happy",
    "joy": "happy",
    "sadness": "sad",
    "surprised": "surprise",
    "neutrality": "neutral",
}
CUT = 0.1
"""Share of each class cut from train for a split that isn't there."""
LICENCE = "unknown: the data's owner knows"


def read_folders(root: Path, *, side: int, skip_bad: bool = False, seed: int = 0) -> FaceData:
    """Read class folders, each picture whole through the one preprocessing.

    A missing val split is cut from train, class by class with a fixed seed; where the classes lie
    directly under `root`, a test split is cut too. Usual synonyms of FER2013's labels are
    folded; if every class is one of FER2013's seven, they stand in its order, else in the
    alphabet's.

    Args:
        root: the folder.
        side: of the faces, in pixels.
        skip_bad: leave unreadable pictures out and list them in the result's `bad`.
        seed: of the cut.

    Raises:
        DataError: a class is empty or missing from a split, a picture can't be read, or there are
            fewer than two classes.
    """
    splits: dict[Split, Path] = {}
    for folder in sorted(root.iterdir()):
        name = SPLIT_NAMES.get(folder.name.lower())
        if name and folder.is_dir():
            if name in splits:
                raise DataError(f"{root}: {splits[name].name} and {folder.name} are both {name}")
            splits[name] = folder
    if splits and "train" not in splits:
        raise DataError(f"{root}: there is {', '.join(splits)} but no train folder")
    missing: tuple[Split, ...] = ("val",) if splits else ("val", "test")
    classes = {name: _classes(folder) for name, folder in (splits or {"train": root}).items()}
    labels = _label_order(classes["train"])
    if len(labels) < 2:
        raise DataError(f"{root}: {len(labels)} classes; a model needs two or more folders")
    bad: list[Bad] = []
    found: dict[Split, Faces] = {}
    for name, by_label in classes.items():
        if set(by_label) != set(labels):
            odd = sorted(set(by_label) ^ set(labels))[0]
            raise DataError(f"{root}: the class {odd!r} isn't in both train and {name}")
        found[name] = _read_split(by_label, labels, side, skip_bad, bad)
        _refuse_empty_class(root, name, found[name], labels)
    for name in missing:
        if name not in found:
            found["train"], found[name] = _cut(root, found["train"], labels, seed)
    ordered = {name: found[name] for name in SPLITS if name in found}
    return FaceData(root.name, LICENCE, root, labels, ordered, tuple(bad))


def _classes(folder: Path) -> dict[str, list[Path]]:
    classes: dict[str, list[Path]] = {}
    for child in sorted(folder.iterdir()):
        if child.is_dir() and not child.name.startswith("."):
            label = SYNONYMS.get(child.name.lower(), child.name)
            label = label.lower() if label.lower() in LABELS else label
            files = sorted(p for p in child.rglob("*") if p.suffix.lower() in SUFFIXES)
            classes.setdefault(label, []).extend(files)
            if not files:
                raise DataError(f"{child}: an empty class: no picture in it")
    return classes


def _label_order(names: Iterable[str]) -> tuple[str, ...]:
    names = set(names)
    if names <= set(LABELS):
        return tuple(label for label in LABELS if label in names)
    return tuple(sorted(names))


def _read_split(
    by_label: dict[str, list[Path]],
    labels: tuple[str, ...],
    side: int,
    skip_bad: bool,
    bad: list[Bad],
) -> Faces:
    files = [(path, i) for i, label in enumerate(labels) for path in by_label[label]]

    def read(path: Path) -> np.ndarray | SourceError:
        try:
            picture = open_picture(path)
        except SourceError as error:
            return error
        try:
            gray = to_gray(picture)
            return crop_face(gray, (0, 0, gray.shape[1], gray.shape[0]), CropSpec(), side)
        except SourceError as error:
            return SourceError(f"{path}: {error}")

    with ThreadPoolExecutor() as pool:
        faces = list(pool.map(read, (path for path, _ in files)))
    pixels, numbers, rows = [], [], []
    for row, (face, (path, label)) in enumerate(zip(faces, files, strict=True)):
        if isinstance(face, SourceError):
            if not skip_bad:
                raise DataError(f"{face} (--skip-bad leaves such pictures out)")
            bad.append(Bad(str(path), str(face)))
            continue
        pixels.append(face)
        numbers.append(label)
        rows.append(row)
    stacked = np.stack(pixels) if pixels else np.empty((0, side, side), np.uint8)
    return Faces(stacked, np.array(numbers, np.int64), np.array(rows, np.int64))


def _refuse_empty_class(root: Path, split: Split, faces: Faces, labels: tuple[str, ...]) -> None:
    counts = np.bincount(faces.labels, minlength=len(labels))
    if (counts == 0).any():
        raise DataError(f"{root}: no readable {split} picture of {labels[int(counts.argmin())]!r}")


def _cut(root: Path, train: Faces, labels: tuple[str, ...], seed: int) -> tuple[Faces, Faces]:
    random = np.random.default_rng(seed)
    taken = np.zeros(len(train), bool)
    for number, label in enumerate(labels):
        places = np.flatnonzero(train.labels == number)
        if len(places) < 2:
            raise DataError(f"{root}: one picture of {label!r}: too few to cut a split from")
        count = max(1, round(CUT * len(places)))
        taken[random.choice(places, count, replace=False)] = True
    return train.take(~taken), train.take(taken)
