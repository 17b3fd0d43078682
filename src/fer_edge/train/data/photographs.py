"""Cut the faces of photographs out, as the runtime does for the model: faces without labels."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from fer_edge.atomic import check_writable, sync, whole_file
from fer_edge.errors import ConfigError, DataError, SourceError
from fer_edge.runtime.detection.detector import SCORE_THRESHOLD, Detector
from fer_edge.runtime.detection.face_cropper import FaceCropper
from fer_edge.runtime.detection.install import require_detector
from fer_edge.runtime.device.cpu import count_usable_cores
from fer_edge.runtime.formats.model_files import bundled
from fer_edge.runtime.formats.spec_reader import read_spec
from fer_edge.runtime.inputs.folder_walk import format_left_out
from fer_edge.runtime.inputs.images import hold_image, open_image
from fer_edge.train.data import duplicates
from fer_edge.train.data.dataset import Faces
from fer_edge.train.data.unlabelled import list_images
from fer_edge.train.progress import ProgressCallback, ignore_progress

LOW_SCORE, SMALL, COPY = "of a low score", "small", "near copies of held-out faces"
"""Reasons to drop a face."""
_BATCH_SIZE = 128
"""Photographs whose faces are compared with the held-out ones together."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class FaceLimits:
    """Which faces of a photograph are kept.

    Attributes:
        min_score: minimum score of the detector, in [0.6, 1]; it reports no lower ones.
        min_side: minimum shorter side of the face's box, in pixels of the photograph.

    Raises:
        ConfigError: one is out of range.
    """

    # Of 73 faces with scores from 0.7 to 0.8 that were inspected, 23 were none; of 97 above, 1.
    min_score: float = 0.8
    min_side: int = 32

    def __post_init__(self) -> None:
        if not SCORE_THRESHOLD <= self.min_score <= 1:
            raise ConfigError(
                f"min_score must be in [{SCORE_THRESHOLD}, 1], not {self.min_score}: the detector "
                "reports no lower scores"
            )
        if self.min_side < 1:
            raise ConfigError(f"min_side must be 1 or more, not {self.min_side}")


@dataclass
class CropSummary:
    """What became of the photographs.

    Attributes:
        photographs: that were read.
        unreadable: that could not be read.
        faces: that were found.
        dropped: number of these that were dropped, by reason.
        written: new files.
        present: files that were there already, with the same pixels.
    """

    photographs: int = 0
    unreadable: int = 0
    faces: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    written: int = 0
    present: int = 0

    def __str__(self) -> str:
        unreadable = f" ({self.unreadable:,} more unreadable)" if self.unreadable else ""
        reasons = format_left_out(self.dropped)
        dropped = f"{self.dropped.total():,} dropped" + (f" ({reasons})" if reasons else "")
        present = f", {self.present:,} there already" if self.present else ""
        return (
            f"{self.photographs:,} photographs{unreadable}: {self.faces:,} faces, {dropped}, "
            f"{self.written:,} written{present}"
        )

    def to_dict(self) -> dict[str, object]:
        """The numbers by name, for JSON."""
        return {**vars(self), "dropped": dict(self.dropped)}


@dataclass(frozen=True)
class _Face:
    path: Path
    score: float
    min_side: int
    pixels: npt.NDArray[np.uint8]


def crop_photographs(
    photographs: Path,
    output: Path,
    *,
    side: int = 48,
    limits: FaceLimits | None = None,
    detector: Path | None = None,
    held_out: Sequence[Faces] = (),
    on_progress: ProgressCallback = ignore_progress,
) -> CropSummary:
    """Find the faces of photographs and write each as a gray PNG of `side` x `side` pixels.

    They are found, aligned and cropped as `fer infer` does. The face of number I in
    `photographs/a/b.jpg`, in order of falling score, becomes `output/a/b-I.png`. A file that is
    there already stays if it holds the same pixels, so an interrupted call can be repeated.

    Args:
        photographs: folder; its subfolders are searched as well.
        output: folder; made if missing.
        side: of the crops, in pixels.
        limits: which faces are kept.
        detector: YuNet's file; None: the installed one.
        held_out: faces of which no near copy may be written, of any side.
        on_progress: called after each batch of photographs.

    Raises:
        ConfigError: `output` lies in `photographs`, or holds a file of other content.
        DataError: there is no photograph, or no face in them.
        ModelError: there is no detector, or it can't be opened.
        OSError: a file can't be written.
    """
    limits = limits or FaceLimits()
    sources = list_images(photographs)
    if output.resolve().is_relative_to(photographs.resolve()):
        raise ConfigError(f"{output}: in the folder of the photographs: choose another folder")
    check_writable(output)
    crop = _open_cropper(side, detector)
    names = _choose_names(sources, photographs, output)
    summary, folders = CropSummary(), set[Path]()
    for done, found in _crop_all(crop, names):
        faces: list[_Face] = []
        for one in found:
            if isinstance(one, SourceError):
                _LOG.warning("%s", one)
                summary.unreadable += 1
            else:
                summary.photographs += 1
                faces += one
        summary.faces += len(faces)
        for face in _drop(faces, limits, held_out, summary.dropped):
            is_new = _write(face)
            summary.written += is_new
            summary.present += not is_new
            folders.add(face.path.parent)
        on_progress("photographs", done, len(names))
    if not folders:
        raise DataError(f"{photographs}: no face to write: {summary}")
    for folder in folders:
        sync(folder)
    if others := sum(1 for _ in output.rglob("*.png")) - summary.written - summary.present:
        _LOG.warning("%s: PNG files of other faces in it: %d", output, others)
    return summary


def _choose_names(sources: Sequence[Path], root: Path, output: Path) -> dict[Path, Path]:
    """The path of each photograph's crops, without number and suffix.

    It keeps the suffix of photographs that differ in it alone.
    """
    stems = Counter(path.with_suffix("") for path in sources)
    names = {}
    for path in sources:
        stem = path.with_suffix("")
        names[path] = output / (stem if stems[stem] == 1 else path).relative_to(root)
    return names


def _open_cropper(side: int, detector: Path | None) -> FaceCropper:
    spec = read_spec(bundled("model"))
    spec = replace(spec, input=replace(spec.input, side=side), golden=())
    # every face is found, so that those that are too small are counted
    open_detector = partial(Detector, require_detector(detector), min_face=1)
    cropper = FaceCropper(spec, "detect", open_detector, align=True)
    _ = cropper.detector  # opened now to fail now
    return cropper


def _crop_all(
    crop: FaceCropper, names: dict[Path, Path]
) -> Iterator[tuple[int, list[list[_Face] | SourceError]]]:
    """Yield the faces of each batch of photographs, and how many photographs are done."""
    items = list(names.items())
    with ThreadPoolExecutor(count_usable_cores()) as pool:
        for start in range(0, len(items), _BATCH_SIZE):
            batch = items[start : start + _BATCH_SIZE]
            yield start + len(batch), list(pool.map(lambda item: _crop_one(crop, *item), batch))


def _crop_one(crop: FaceCropper, source: Path, name: Path) -> list[_Face] | SourceError:
    try:
        with hold_image(source) as loaded:
            crops = crop(loaded.image, loaded.size)
            del loaded  # its pixels, before other threads take its memory
    except SourceError as error:
        return error if str(source) in str(error) else SourceError(f"{source}: {error}")
    return [
        _Face(name.with_name(f"{name.name}-{i}.png"), score, min(box[2:]), pixels)
        for i, ((box, score), pixels) in enumerate(zip(crops.boxes, crops.faces, strict=True))
    ]


def _drop(
    faces: Sequence[_Face], limits: FaceLimits, held_out: Sequence[Faces], dropped: Counter[str]
) -> list[_Face]:
    """The faces to keep; the others are counted by the first reason that they are dropped for."""
    scored = [face for face in faces if face.score >= limits.min_score]
    kept = [face for face in scored if face.min_side >= limits.min_side]
    dropped[LOW_SCORE] += len(faces) - len(scored)
    dropped[SMALL] += len(scored) - len(kept)
    for others in held_out if kept else ():
        pixels = np.stack([face.pixels for face in kept])
        unknown = np.zeros(len(kept), np.int64)
        is_copy = duplicates.find_near_copies(Faces(pixels, unknown, unknown), others)
        dropped[COPY] += int(is_copy.sum())
        kept = [face for face, copied in zip(kept, is_copy, strict=True) if not copied]
        if not kept:
            break
    return kept


def _write(face: _Face) -> bool:
    """Write a face; False: its file is there already."""
    if face.path.exists():
        try:
            present = np.asarray(open_image(face.path))
        except SourceError:
            present = None
        if present is None or not np.array_equal(present, face.pixels):
            raise ConfigError(
                f"{face.path}: holds another image: choose another folder, or remove it"
            )
        return False
    with whole_file(face.path, sync_folder=False) as beside:
        Image.fromarray(face.pixels).save(beside)
    return True
