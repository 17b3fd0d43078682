"""Read any kind of training data, with a cache of the decoded faces."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from fer_edge.atomic import whole_file
from fer_edge.documents import parse_json
from fer_edge.errors import DataError
from fer_edge.paths import cache_folder
from fer_edge.runtime.inputs.folder_walk import format_left_out
from fer_edge.runtime.preprocess import crop_face
from fer_edge.spec import CropSpec
from fer_edge.train.data import fer2013
from fer_edge.train.data.class_folders import count_left_out, find_images, find_splits
from fer_edge.train.data.dataset import SPLITS, BadItem, FaceData, Faces, Split
from fer_edge.train.data.folders import read_face, read_folders, read_split

_CACHE_VERSION = 5  # raise it when the layout or the result of a reader changes

_PARTS = ("pixels", "labels", "rows")
"""Arrays of a split."""

log = logging.getLogger(__name__)


def read_data(path: Path, *, side: int = fer2013.SIDE, skip_bad: bool = False) -> FaceData:
    """Read a FER2013 file or class folders, from the cache if they are unchanged.

    The cache is in the folder that `FER_EDGE_CACHE` names, by default in the user's cache folder.
    Its key is the files' names, sizes and modification times.

    Args:
        path: a file of FER2013 (`.csv`, also packed or in an archive), or a folder.
        side: of the returned faces, in pixels; `crop_face` resizes others.
        skip_bad: leave invalid rows and unreadable images out and list them in the result's `bad`.

    Raises:
        DataError: there is no such file; see `read_fer2013`, `read_folders`.
        OSError: a file can't be read.
    """
    if not path.exists():
        raise DataError(f"{path}: there is no such file or folder")
    if path.is_dir():
        folders = find_splits(path).values() or [path]
        if left_out := format_left_out(count_left_out(path, folders)):
            log.warning("%s: left out: %s", path, left_out)
        found: Mapping[Any, Mapping[str, list[Path]]] = find_images(path)
    else:
        found = {"file": {"": [path]}}
    cached = _cache_path(str(side), found)
    data = _load_cache(cached, path)
    if data is not None and (skip_bad or not data.bad):
        return data
    if path.is_dir():
        data = read_folders(path, side=side, skip_bad=skip_bad)
    else:
        data = _resize(fer2013.read_fer2013(path, skip_bad=skip_bad), side)
    _save_cache(cached, data)
    return data


def read_classes(
    path: Path, split: Split, classes: Mapping[str, list[Path]], side: int
) -> FaceData:
    """Read the images of classes as one split, from the cache if they are unchanged.

    Args:
        path: the folder that all of them are in.
        split: its name in the result.
        classes: files by class; a class may have none.
        side: of the returned faces, in pixels.

    Returns:
        The readable ones; the others are in `bad`. The labels are the classes in their order.
    """
    cached = _cache_path(f"classes:{side}", {split: classes})
    data = _load_cache(cached, path)
    if data is None:
        data = read_split(path, split, classes, partial(read_face, side=side))
        _save_cache(cached, data)
    return data


def _resize(data: FaceData, side: int) -> FaceData:
    if side == fer2013.SIDE:
        return data
    whole = (0, 0, fer2013.SIDE, fer2013.SIDE)
    splits = {
        name: Faces(
            np.stack([crop_face(face, whole, CropSpec(), side) for face in faces.pixels]),
            faces.labels,
            faces.rows,
        )
        for name, faces in data.splits.items()
    }
    return replace(data, splits=splits)


def _describe_files(found: Mapping[str, Mapping[str, list[Path]]]) -> Iterator[str]:
    for split, classes in found.items():
        for label, files in classes.items():
            yield f"{split}:{label}"
            for file in files:
                state = file.stat() if file.exists() else file.lstat()
                yield f"{file.absolute()}:{state.st_size}:{state.st_mtime_ns}"


def _cache_path(kind: str, found: Mapping[Any, Mapping[str, list[Path]]]) -> Path:
    key = "\n".join([f"{_CACHE_VERSION}:{kind}", *_describe_files(found)])
    return cache_folder() / f"{hashlib.sha256(os.fsencode(key)).hexdigest()[:24]}.npz"


def _load_cache(cached: Path, path: Path) -> FaceData | None:
    """The cached data; None if there is none or it is damaged."""
    try:
        with cached.open("rb") as stream:
            return _parse_cache(stream, path)
    except FileNotFoundError:
        return None
    # zipfile and numpy raise nearly anything on a damaged file: RuntimeError, NotImplementedError,
    # zlib.error, MemoryError, ...
    except Exception as error:
        reason = str(error).split("\n")[0] or type(error).__name__
        log.warning("%s: the cache is damaged (%s); reading %s again", cached, reason, path)
        return None


def _parse_cache(stream: BinaryIO, path: Path) -> FaceData:
    with zipfile.ZipFile(stream) as archive:
        if any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist()):
            raise ValueError("it is packed, which this version never does")
    with np.load(stream, allow_pickle=False) as store:
        about = parse_json(str(store["about"]))
        splits = {
            name: Faces(*(store[f"{name}_{part}"] for part in _PARTS))
            for name in SPLITS
            if f"{name}_pixels" in store
        }
        known = {"about", *(f"{name}_{part}" for name in splits for part in _PARTS)}
        if strange := set(store.files) - known:
            raise ValueError(f"it holds {min(strange)!r} alone")
    lists: dict[str, Any] = {
        key: tuple(map(str, about.pop(key))) for key in ("labels", "derived_splits", "files")
    }
    bad = tuple(BadItem(str(one["location"]), str(one["reason"])) for one in about.pop("bad"))
    data = FaceData(path=path, splits=splits, bad=bad, **lists, **about)
    shapes = {faces.pixels.shape[1:] for faces in splits.values()}
    if len(shapes) != 1:
        raise ValueError("it has no split or faces of several sizes")
    for name, faces in splits.items():
        _check_faces(name, faces, shapes.copy().pop(), data)
    return data


def _check_faces(name: str, faces: Faces, shape: tuple[int, ...], data: FaceData) -> None:
    count = len(faces.pixels)
    for array, dtype, expected in (
        (faces.pixels, np.uint8, (count, *shape)),
        (faces.labels, np.int64, (count,)),
        (faces.rows, np.int64, (count,)),
    ):
        if array.dtype != dtype or array.shape != expected:
            raise ValueError(f"{name} has an array of {array.dtype} {list(array.shape)}")
    for numbers, limit in ((faces.labels, len(data.labels)), (faces.rows, len(data.files) or None)):
        if count and (numbers.min() < 0 or (limit and numbers.max() >= limit)):
            raise ValueError(f"{name} has a label or row out of range")


def _save_cache(cached: Path, data: FaceData) -> None:
    keys = ("name", "licence", "labels", "derived_splits", "files")
    about = {key: getattr(data, key) for key in keys} | {"bad": [asdict(one) for one in data.bad]}
    arrays = {
        f"{name}_{part}": getattr(faces, part)
        for name, faces in data.splits.items()
        for part in _PARTS
    }
    try:
        with whole_file(cached) as beside:
            np.savez(beside, about=np.array(json.dumps(about)), **arrays)
    except OSError as error:
        log.warning("%s: the data isn't cached (%s)", cached, error)
