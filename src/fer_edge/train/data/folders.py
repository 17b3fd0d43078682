"""Faces in folders, one a class: `train/happy/*.png` and so on, or just `happy/*.png`."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from fer_edge.errors import DataError, SourceError
from fer_edge.runtime.inputs.images import IMAGE_SUFFIXES, open_image
from fer_edge.runtime.preprocess import crop_face, to_gray
from fer_edge.spec import CropSpec
from fer_edge.train.data.dataset import SPLITS, Bad, FaceData, Faces, Split
from fer_edge.train.data.fer2013 import LABELS

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
"""Share of each class of train that is cut from it for a split that isn't there."""
LICENCE = "unknown: the data's owner knows"


def read_folders(root: Path, *, side: int, skip_bad: bool = False, seed: int = 0) -> FaceData:
    """Read class folders, each picture whole through the one preprocessing.

    A missing val split is cut from train, class by class with a fixed seed; where the classes lie
    directly under `root`, a test split is cut too. What is cut are neighbours in the order of the
    files' names, as pictures of one person or one recording often are: so few of them stand on
    both sides.

    A folder's name is its label. Usual synonyms of FER2013's labels are folded, unless two folders
    would become one; if every class is one of FER2013's seven, they stand in its order, else in the
    alphabet's. Folders whose names begin with a dot, "@" or "__" are what systems leave behind.

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
    cut = tuple(name for name in missing if name not in found)
    _refuse_too_few(root, found["train"], labels, cut)
    random = np.random.default_rng(seed)
    for name in cut:
        found["train"], found[name] = _cut(found["train"], random)
    ordered = {name: found[name] for name in SPLITS if name in found}
    return FaceData(root.resolve().name, LICENCE, root, labels, ordered, tuple(bad), cut)


def _classes(folder: Path) -> dict[str, list[Path]]:
    children = [p for p in sorted(folder.iterdir()) if p.is_dir() and not _is_left_behind(p.name)]
    # a Mac writes "u" and two dots where others write "ü"
    names = [unicodedata.normalize("NFC", child.name) for child in children]
    folded = [SYNONYMS.get(name.lower(), name.lower()) for name in names]
    classes: dict[str, list[Path]] = {}
    for child, name, label in zip(children, names, folded, strict=True):
        own = label not in LABELS or folded.count(label) > 1
        files = _pictures(child)
        if not files:
            raise DataError(f"{child}: an empty class: no picture in it")
        classes.setdefault(name if own else label, []).extend(files)
    return classes


def _pictures(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in IMAGE_SUFFIXES
        and not any(map(_is_left_behind, path.relative_to(folder).parts))
    )


def _is_left_behind(name: str) -> bool:
    return name.startswith((".", "@", "__"))


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
            picture = open_image(path)
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


def _refuse_too_few(
    root: Path, train: Faces, labels: tuple[str, ...], cut: tuple[Split, ...]
) -> None:
    counts = np.bincount(train.labels, minlength=len(labels))
    if cut and counts.min() <= len(cut):
        raise DataError(
            f"{root}: {counts.min()} pictures of {labels[int(counts.argmin())]!r}: too few to cut "
            f"{' and '.join(cut)} from"
        )


def _cut(train: Faces, random: np.random.Generator) -> tuple[Faces, Faces]:
    taken = np.zeros(len(train), bool)
    for number in np.unique(train.labels):
        places = np.flatnonzero(train.labels == number)
        count = max(1, round(CUT * len(places)))
        start = random.integers(len(places) - count + 1)
        taken[places[start : start + count]] = True
    return train.take(~taken), train.take(taken)
