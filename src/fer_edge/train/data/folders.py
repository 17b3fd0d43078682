"""Read faces from class folders: each image is one face."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from fer_edge.errors import DataError, SourceError
from fer_edge.runtime.inputs.images import hold_image
from fer_edge.runtime.preprocess import crop_face, to_gray
from fer_edge.spec import CropSpec
from fer_edge.text import printable
from fer_edge.train.data.class_folders import find_images, find_splits
from fer_edge.train.data.dataset import SPLITS, BadItem, FaceData, Faces, Split
from fer_edge.train.data.fer2013 import LABELS

HELD_OUT_FRACTION = 0.1
"""Fraction of each class of train that becomes a missing val or test split."""
LICENCE = "unknown: the data's owner knows"

ReadFace: TypeAlias = Callable[[Path], "npt.NDArray[np.uint8] | str"]
"""Reads the face of an image, uint8 `[side, side]`, or returns the reason why it can't."""


def read_folders(root: Path, *, side: int, skip_bad: bool = False, seed: int = 0) -> FaceData:
    """Read class folders; each image is one face, resized by the shared preprocessing.

    If there is a train but no val split, a tenth of each class of train becomes val, chosen with a
    fixed seed; if the classes lie directly in `root`, a test split is made as well. Each takes
    consecutive files in the order of their names: images of one person or recording often have
    consecutive names, so that few people are in both splits.

    A folder's name is its label. Common synonyms of FER2013's labels are replaced by these, unless
    two folders would then have the same label. If every class is one of FER2013's seven, the labels
    are in FER2013's order, otherwise in alphabetical order. Folders that systems make (see
    `walk_folder`), hidden files and links back to a folder above are left out.

    Args:
        side: of the faces, in pixels.
        skip_bad: leave unreadable images out and list them in the result's `bad`.
        seed: of the choice of val and test.

    Raises:
        DataError: a class is empty or missing from a split or has a name that can't be a label, an
            image can't be read, or there are fewer than two classes.
        OSError: a folder can't be listed.
    """
    classes = find_images(root)
    missing: tuple[Split, ...] = ("val",) if find_splits(root) else ("val", "test")
    first = next(iter(classes))
    labels = _order_labels(classes[first])
    if len(labels) < 2:
        raise DataError(f"{root}: {len(labels)} classes; a model needs two or more folders")
    for name, by_label in classes.items():
        if odd := sorted(set(by_label) ^ set(labels)):
            raise DataError(f"{root}: the class {odd[0]!r} isn't in both {first} and {name}")
    splits, files, bad = read_images(root, classes, labels, partial(read_face, side=side))
    if not skip_bad:
        refuse_bad(root, bad)
    for name, faces in splits.items():
        counts = np.bincount(faces.labels, minlength=len(labels))
        if (counts == 0).any():
            raise DataError(f"{root}: no readable {name} image of {labels[int(counts.argmin())]!r}")
    derived = tuple(name for name in missing if name not in splits) if "train" in splits else ()
    counts = np.bincount(splits[first].labels, minlength=len(labels))
    if derived and counts.min() <= len(derived):
        raise DataError(
            f"{root}: {counts.min()} images of {labels[int(counts.argmin())]!r}: too few to take "
            f"{' and '.join(derived)} from"
        )
    random = np.random.default_rng(seed)
    for name in derived:
        splits["train"], splits[name] = _hold_out(splits["train"], random)
    ordered = {name: splits[name] for name in SPLITS if name in splits}
    title = printable(root.resolve().name)
    return FaceData(title, LICENCE, root, labels, ordered, tuple(bad), derived, files)


def read_split(
    root: Path, split: Split, classes: Mapping[str, list[Path]], read: ReadFace
) -> FaceData:
    """Read the images of classes as one split; see `read_images`.

    Returns:
        The readable ones; the others are in `bad`. The labels are the classes in their order.
    """
    labels = tuple(classes)
    splits, files, bad = read_images(root, {split: classes}, labels, read)
    title = printable(root.resolve().name)
    return FaceData(title, LICENCE, root, labels, splits, tuple(bad), files=files)


def refuse_bad(root: Path, bad: Sequence[BadItem]) -> None:
    """Refuse images that can't be read.

    Raises:
        DataError: there is one.
    """
    if bad:
        more = f", nor can {len(bad) - 1} more be read" if len(bad) > 1 else ""
        raise DataError(
            f"{root / bad[0].location}: {bad[0].reason}{more} (--skip-bad leaves such images out, "
            "fer data inspect lists them)"
        )


def _order_labels(names: Iterable[str]) -> tuple[str, ...]:
    names = set(names)
    if names <= set(LABELS):
        return tuple(label for label in LABELS if label in names)
    return tuple(sorted(names))


def read_images(
    root: Path,
    classes: Mapping[Split, Mapping[str, list[Path]]],
    labels: Sequence[str],
    read: ReadFace,
) -> tuple[dict[Split, Faces], tuple[str, ...], list[BadItem]]:
    """Read the images of classes, several at once.

    Args:
        root: the folder that all of them are in.
        classes: files by split and by label of `labels`.
        read: reads one image.

    Returns:
        The readable faces of each split, all files' paths relative to `root`, the unreadable ones.
        The files are numbered through all splits, readable or not: `Faces.rows` are these numbers.
    """
    splits: dict[Split, Faces] = {}
    files: list[str] = []
    bad: list[BadItem] = []
    for name, by_label in classes.items():
        numbered = [(path, i) for i, label in enumerate(labels) for path in by_label[label]]
        with ThreadPoolExecutor() as pool:
            faces = list(pool.map(lambda item: read(item[0]), numbered))
        pixels, numbers, rows = [], [], []
        for face, (path, label) in zip(faces, numbered, strict=True):
            files.append(str(path.relative_to(root)))
            if isinstance(face, str):
                bad.append(BadItem(files[-1], face))
                continue
            pixels.append(face)
            numbers.append(label)
            rows.append(len(files) - 1)
        shape = pixels[0].shape if pixels else (0, 0)
        stacked = np.stack(pixels) if pixels else np.empty((0, *shape), np.uint8)
        splits[name] = Faces(stacked, np.array(numbers, np.int64), np.array(rows, np.int64))
    return splits, tuple(files), bad


def read_face(path: Path, side: int) -> npt.NDArray[np.uint8] | str:
    """Read an image that is one face: uint8 `[side, side]`, or the reason why it can't be read."""
    try:
        with hold_image(path) as loaded:
            gray = to_gray(loaded.image)
            del loaded  # its pixels, before other threads take its memory
            return crop_face(gray, (0, 0, gray.shape[1], gray.shape[0]), CropSpec(), side)
    except SourceError as error:
        return str(error).removeprefix(f"{path}: ")


def _hold_out(train: Faces, random: np.random.Generator) -> tuple[Faces, Faces]:
    """Split train into what is left of it and consecutive faces of each class."""
    is_held_out = np.zeros(len(train), bool)
    for number in np.unique(train.labels):
        indices = np.flatnonzero(train.labels == number)
        count = max(1, round(HELD_OUT_FRACTION * len(indices)))
        start = random.integers(len(indices) - count + 1)
        is_held_out[indices[start : start + count]] = True
    return train.take(~is_held_out), train.take(is_held_out)
