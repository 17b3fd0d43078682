"""Faces without labels, such as those that `fer data crop` cuts out of photographs."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fer_edge.errors import DataError, SourceError
from fer_edge.runtime.inputs.listing import expand_source
from fer_edge.runtime.inputs.video_source import is_video
from fer_edge.text import printable
from fer_edge.train.data.dataset import FaceData
from fer_edge.train.data.duplicates import NearCopies
from fer_edge.train.data.folders import LICENCE, refuse_bad
from fer_edge.train.data.loading import read_classes

_HELD_OUT = ("val", "test")
_AT_ONCE = 16_384
"""Faces that are compared with held-out ones together."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class UnlabelledFaces:
    """Faces without labels.

    Attributes:
        pixels: uint8 `[N, S, S]`, gray.
        name, licence: for the spec of a model that is trained on them.
    """

    pixels: npt.NDArray[np.uint8]
    name: str = ""
    licence: str = ""

    def __len__(self) -> int:
        return len(self.pixels)

    def sha256(self) -> str:
        """SHA-256 over the pixels: equal for equal faces, wherever they were read from."""
        digest = hashlib.sha256(str(self.pixels.shape).encode())
        digest.update(self.pixels.tobytes())
        return digest.hexdigest()

    def leave_out(self, is_out: npt.NDArray[np.bool_], reason: str) -> UnlabelledFaces:
        """Leave faces out by a mask `[N]`; a warning counts them.

        Raises:
            DataError: none remains.
        """
        if is_out.all():
            raise DataError(f"{self.name}: no face without a label remains: {reason}")
        if count := int(is_out.sum()):
            message = "%s: %d of %d faces without labels are left out: %s"
            _LOG.warning(message, self.name, count, len(self), reason)
        return replace(self, pixels=self.pixels[~is_out]) if count else self


def read_unlabelled(
    folder: Path, *, side: int, skip_bad: bool = False, name: str = "", licence: str = ""
) -> UnlabelledFaces:
    """Read the images in a folder and its subfolders; each is one face.

    Args:
        side: of the returned faces, in pixels; others are resized by `crop_face`.
        skip_bad: leave unreadable images out instead of refusing them.
        name, licence: see `UnlabelledFaces`; by default the folder's name, and that it is unknown.

    Raises:
        DataError: there is no such folder, no image in it, or one that can't be read.
        OSError: a file can't be read.
    """
    found = read_classes(folder, "train", {"": list_images(folder)}, side)
    if not skip_bad:
        refuse_bad(folder, found.bad)
    pixels = found.split("train").pixels
    if not len(pixels):
        raise DataError(f"{folder}: no readable image in this folder")
    return UnlabelledFaces(pixels, name or printable(folder.resolve().name), licence or LICENCE)


def leave_out_copies(faces: UnlabelledFaces, data: FaceData) -> UnlabelledFaces:
    """Leave out near copies of the faces in val and test; a warning counts them.

    Raises:
        DataError: none remains.
    """
    is_copy = np.zeros(len(faces), np.bool_)
    splits = [own for name, own in data.splits.items() if name in _HELD_OUT and len(own)]
    held_out = [NearCopies(own) for own in splits]
    for i in range(0, len(faces), _AT_ONCE):
        part = slice(i, i + _AT_ONCE)
        for copies in held_out:
            is_copy[part] |= copies.find(faces.pixels[part])
    return faces.leave_out(is_copy, f"near copies of faces in {' or '.join(_HELD_OUT)}")


def join_faces(data: FaceData, unlabelled: UnlabelledFaces | None) -> list[npt.NDArray[np.uint8]]:
    """The faces of train, and those without labels if there are any, uint8 `[N, S, S]` each."""
    return [data.split("train").pixels, *([unlabelled.pixels] if unlabelled else ())]


def list_images(folder: Path) -> list[Path]:
    """List the images in a folder and its subfolders, sorted; a warning counts what is left out.

    Raises:
        DataError: it isn't a folder, can't be listed, or holds no image.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder of images")
    found = []
    for one in expand_source(folder, _LOG.warning):
        if isinstance(one, SourceError):
            raise DataError(str(one))
        found.append(one)
    images = [path for path in found if not is_video(str(path))]
    if videos := len(found) - len(images):
        _LOG.warning("%s: videos left out: %d", folder, videos)
    if not images:
        raise DataError(f"{folder}: no image in this folder")
    return images
