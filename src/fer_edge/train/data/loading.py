"""One door to every kind of training data, with a cache of the pixels."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from fer_edge.atomic import whole_file
from fer_edge.errors import DataError
from fer_edge.paths import cache_folder
from fer_edge.runtime.preprocess import crop_face
from fer_edge.spec import CropSpec
from fer_edge.train.data import fer2013
from fer_edge.train.data.dataset import SPLITS, Bad, FaceData, Faces
from fer_edge.train.data.folders import read_folders

_VERSION = 2  # of the cache's layout; raise it when readers change what they read


def read_data(path: Path, *, side: int = fer2013.SIDE, skip_bad: bool = False) -> FaceData:
    """Read a FER2013 file or a folder of classes; the second time from the cache.

    The cache lies in `FER_EDGE_CACHE`, else in the user's cache folder; its key is the files'
    names, sizes and times, so changed data is read anew.

    Args:
        path: a `.csv`, `.csv.gz`, `.tar.gz` or `.zip` of FER2013, or a folder.
        side: of the faces, in pixels; faces of another size are resized by `crop_face`.
        skip_bad: leave wrong rows and pictures out and list them in the result's `bad`.

    Raises:
        DataError: see `read_fer2013`, `read_folders`.
        OSError: the data can't be read.
    """
    if not path.exists():
        raise DataError(f"{path}: there is no such file or folder")
    cached = _cache_path(path, side, skip_bad)
    if (data := _from_cache(cached, path)) is not None:
        return data
    if path.is_dir():
        data = read_folders(path, side=side, skip_bad=skip_bad)
    else:
        data = _resized(fer2013.read_fer2013(path, skip_bad=skip_bad), side)
    _to_cache(cached, data)
    return data


def _resized(data: FaceData, side: int) -> FaceData:
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


def _stamps(path: Path) -> Iterator[str]:
    files = [path]
    if path.is_dir():
        # linked folders are followed, as the reader follows them
        walked = os.walk(path, followlinks=True)
        files = sorted(Path(folder, name) for folder, _, names in walked for name in names)
    for file in files:
        state = file.stat() if file.exists() else file.lstat()
        yield f"{file.absolute()}:{state.st_size}:{state.st_mtime_ns}"


def _cache_path(path: Path, side: int, skip_bad: bool) -> Path:
    key = "\n".join([f"{_VERSION}:{side}:{skip_bad}", *_stamps(path)])
    return cache_folder() / f"{hashlib.sha256(os.fsencode(key)).hexdigest()[:24]}.npz"


def _from_cache(cached: Path, path: Path) -> FaceData | None:
    """None where nothing is cached, or what is there was damaged: then it is made anew."""
    try:
        with cached.open("rb") as stream, np.load(stream, allow_pickle=False) as store:
            about = json.loads(str(store["about"]))
            splits = {
                name: Faces(*(store[f"{name}_{part}"] for part in ("pixels", "labels", "rows")))
                for name in SPLITS
                if f"{name}_pixels" in store
            }
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        print(f"{cached}: the cache is damaged ({error}); reading {path} anew", file=sys.stderr)
        return None
    bad = tuple(Bad(**entry) for entry in about["bad"])
    labels, cut = tuple(about["labels"]), tuple(about["cut"])
    return FaceData(about["name"], about["licence"], path, labels, splits, bad, cut)


def _to_cache(cached: Path, data: FaceData) -> None:
    about = {
        "name": data.name,
        "licence": data.licence,
        "labels": data.labels,
        "bad": [asdict(entry) for entry in data.bad],
        "cut": data.cut,
    }
    arrays = {
        f"{name}_{part}": getattr(faces, part)
        for name, faces in data.splits.items()
        for part in ("pixels", "labels", "rows")
    }
    try:
        with whole_file(cached) as beside:
            np.savez(beside, about=np.array(json.dumps(about)), **arrays)
    except OSError as error:
        print(f"{cached}: the data isn't cached ({error})", file=sys.stderr)
