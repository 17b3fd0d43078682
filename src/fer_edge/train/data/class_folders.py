"""Find the images of class folders: `train/happy/*.png` and so on, or just `happy/*.png`."""

from __future__ import annotations

import logging
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

from fer_edge.errors import DataError
from fer_edge.runtime.inputs.folder_walk import (
    LINKED,
    NO_SUFFIX,
    OUTSIDE,
    SYSTEM,
    is_system_folder,
    walk_folder,
)
from fer_edge.runtime.inputs.image_formats import HEIC_SUFFIXES, IMAGE_SUFFIXES
from fer_edge.text import printable
from fer_edge.train.data.dataset import SPLITS, Split
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
_MAX_LABEL = 100
"""Bytes."""

_LOG = logging.getLogger(__name__)


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
