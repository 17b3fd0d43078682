"""Read faces from class folders: `train/happy/*.png` and so on, or just `happy/*.png`."""

from __future__ import annotations

import logging
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from fer_edge.errors import DataError, SourceError
from fer_edge.runtime.inputs.folder_walk import (
    LINKED,
    NO_SUFFIX,
    OUTSIDE,
    SYSTEM,
    is_system_folder,
    walk_folder,
)
from fer_edge.runtime.inputs.image_formats import HEIC_SUFFIXES, IMAGE_SUFFIXES
from fer_edge.runtime.inputs.images import hold_image
from fer_edge.runtime.preprocess import crop_face, to_gray
from fer_edge.spec import CropSpec
from fer_edge.text import printable
from fer_edge.train.data.dataset import SPLITS, BadItem, FaceData, Faces, Split
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
HELD_OUT_FRACTION = 0.1
"""Fraction of each class of train that becomes a missing val or test split."""
LICENCE = "unknown: the data's owner knows"
_MAX_LABEL = 100

ReadFace: TypeAlias = Callable[[Path], "npt.NDArray[np.uint8] | str"]
"""Reads the face of an image, uint8 `[side, side]`, or returns the reason why it can't."""

_LOG = logging.getLogger(__name__)


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


def find_images(root: Path) -> dict[Split, dict[str, list[Path]]]:
    """Find the image files of class folders, by split and class.

    Raises:
        DataError, OSError: as `read_folders`, before an image is read.
    """
    folders = find_splits(root) or {"train": root}
    return {name: _find_classes(folder) for name, folder in folders.items()}


def count_left_out(root: Path, folders: Collection[Path]) -> Counter[str]:
    """Count what isn't read in class folders, except hidden files.

    Args:
        root: the data's folder.
        folders: those of its splits, or `root` itself.

    Returns:
        Numbers of linked, system and hidden folders, of images outside the classes, and of other
        files by suffix.

    Raises:
        OSError: a folder can't be listed.
    """
    left_out: Counter[str] = Counter()

    def count_link(_: Path) -> None:
        left_out[LINKED] += 1

    for place in dict.fromkeys((root, *folders)):
        for child in place.iterdir():
            if child.is_dir():
                left_out[SYSTEM] += is_system_folder(child.name)
            elif _is_image(child.name) and not child.name.startswith("."):
                left_out[OUTSIDE] += 1
    for folder in folders:
        for child in _list_class_folders(folder, count_link):
            for _, names in walk_folder(child, _stop, left_out):
                suffixes = (Path(name).suffix.lower() for name in names)
                left_out.update(one or NO_SUFFIX for one in suffixes if one not in IMAGE_SUFFIXES)
    return +left_out


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


def find_splits(root: Path) -> dict[Split, Path]:
    """Find the folders of the splits, train first; none if the classes lie directly in `root`.

    Raises:
        DataError: two folders are the same split, or images lie in a folder beside the splits, such
            as those of a class.
        OSError: `root` or a folder beside the splits can't be listed.
    """
    splits: dict[Split, Path] = {}
    for folder in sorted(root.iterdir()):
        name = SPLIT_NAMES.get(folder.name.lower())
        if name and folder.is_dir():
            if name in splits:
                raise DataError(f"{root}: {splits[name].name} and {folder.name} are both {name}")
            splits[name] = folder
    if splits:
        _refuse_images_beside(root, list(splits.values()))
    return {name: splits[name] for name in SPLITS if name in splits}


def _refuse_images_beside(root: Path, splits: Sequence[Path]) -> None:
    known = {_identify(one) for one in (root, *root.resolve().parents, *splits)}
    beside = [
        printable(child.name)
        for child in sorted(root.iterdir())
        if child.is_dir() and not is_system_folder(child.name) and _identify(child) not in known
        if any(_is_image(name) for _, names in walk_folder(child, _stop) for name in names)
    ]
    if beside:
        more = f" and {len(beside) - 3} more" if len(beside) > 3 else ""
        raise DataError(
            f"{root}: images in {', '.join(beside[:3])}{more} would not be read: they lie beside "
            f"{', '.join(printable(one.name) for one in splits)}, read as a split; move them into "
            "the folder of a split or out of this one, or rename a class that is named as a split"
        )


def _find_classes(folder: Path) -> dict[str, list[Path]]:
    children = list(_list_class_folders(folder))
    names = [_compose(child.name) for child in children]
    labels = [SYNONYMS.get(name.lower(), name.lower()) for name in names]
    classes: dict[str, list[Path]] = {}
    for child, name, label in zip(children, names, labels, strict=True):
        _check_label(name, child)
        files = _find_images(child)
        if not files:
            raise DataError(f"{child}: an empty class: no image in it")
        keeps_name = label not in LABELS or labels.count(label) > 1
        classes.setdefault(name if keeps_name else label, []).extend(files)
    return classes


def find_named_classes(folder: Path) -> dict[str, list[Path]]:
    """Find the image files of each class by its folder's own name; a class may have none.

    Raises:
        DataError: there is no class.
        OSError: a folder can't be listed.
    """
    classes: dict[str, list[Path]] = {}
    for child in _list_class_folders(folder):
        classes.setdefault(_compose(child.name), []).extend(_find_images(child))
    if not any(classes.values()):
        raise DataError(
            f"{folder}: no folder of a class with images in it: put the images of each class into "
            "a folder of its name"
        )
    return classes


def _compose(name: str) -> str:
    return unicodedata.normalize("NFC", name)  # macOS stores "ü" as "u" and a diaeresis


def _warn_of_link(link: Path) -> None:
    _LOG.warning("%s: a link to a folder that is read already: left out", link)


def _list_class_folders(
    folder: Path, on_link: Callable[[Path], None] = _warn_of_link
) -> Iterator[Path]:
    """The folders in a folder, each once; `on_link` is called for a link to one of these."""
    known = {_identify(one) for one in (folder, *folder.resolve().parents)}
    for child in sorted(folder.iterdir()):
        if child.is_dir() and not is_system_folder(child.name):
            if _identify(child) in known:
                on_link(child)
            else:
                known.add(_identify(child))
                yield child


def _identify(folder: Path) -> tuple[int, int]:
    state = folder.stat()
    return state.st_dev, state.st_ino


def _check_label(name: str, folder: Path) -> None:
    """Refuse a name that a model's spec can't hold, before an epoch is trained."""
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise DataError(f"{folder}: its name isn't UTF-8: rename it") from None
    if size > _MAX_LABEL or not name.strip():
        raise DataError(f"{folder}: a label has 1 to {_MAX_LABEL} bytes: rename it")
    if printable(name) != name:
        raise DataError(f"{folder}: its name holds a control character: rename it")


def _find_images(folder: Path) -> list[Path]:
    return sorted(
        parent / name
        for parent, names in walk_folder(folder, _stop)
        for name in names
        if Path(name).suffix.lower() in IMAGE_SUFFIXES
    )


def _stop(error: OSError) -> None:
    raise error


def _is_image(name: str) -> bool:
    return Path(name).suffix.lower() in IMAGE_SUFFIXES | HEIC_SUFFIXES


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
