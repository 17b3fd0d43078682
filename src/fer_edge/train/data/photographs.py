"""Cut the faces of photographs out, as the runtime does for the model: faces without labels."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from fer_edge.atomic import check_writable, sync, whole_file
from fer_edge.errors import ConfigError, DataError, SourceError
from fer_edge.runtime.detection.face_cropper import FaceCropper, open_cropper
from fer_edge.runtime.detection.find_detector import find_detector, find_yunet
from fer_edge.runtime.device.cpu import count_usable_cores
from fer_edge.runtime.formats.model_files import bundled
from fer_edge.runtime.formats.spec_reader import read_spec
from fer_edge.runtime.inputs.images import hold_image, open_image
from fer_edge.train.data.cropped_faces import CroppedFace, CropSummary, FaceFilter, FaceLimits
from fer_edge.train.data.dataset import Faces
from fer_edge.train.data.unlabelled import list_images
from fer_edge.train.progress import ProgressCallback, ignore_progress

_BATCH_SIZE = 128
"""Photographs whose faces are compared with the held-out ones together."""

_LOG = logging.getLogger(__name__)


def crop_photographs(
    photographs: Path,
    output: Path,
    *,
    side: int = 48,
    limits: FaceLimits | None = None,
    detector: str | Path | None = None,
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
        detector: as for `find_detector`; None: the file that the environment names, else YuNet,
            for whose scores the limits were chosen.
        held_out: faces of which no near copy may be written, of any side.
        on_progress: called after each batch of photographs.

    Raises:
        ConfigError: `output` lies in `photographs`, or holds a file of other content.
        DataError: there is no photograph, or no face in them.
        ModelError: there is no detector, or it can't be opened.
        OSError: a file can't be written.
    """
    face_filter = FaceFilter(limits or FaceLimits(), held_out)
    sources = list_images(photographs)
    if output.resolve().is_relative_to(photographs.resolve()):
        raise ConfigError(f"{output}: in the folder of the photographs: choose another folder")
    check_writable(output)
    crop = _open_cropper(side, detector)
    names = _choose_names(sources, photographs, output)
    summary, folders = CropSummary(), set[Path]()
    for done, found in _crop_all(crop, names):
        faces: list[CroppedFace] = []
        for one in found:
            if isinstance(one, SourceError):
                _LOG.warning("%s", one)
                summary.unreadable += 1
            else:
                summary.photographs += 1
                faces += one
        summary.faces += len(faces)
        for face in face_filter.keep(faces, summary.dropped):
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

    It keeps the suffix where photographs differ in it alone. The names of two photographs are
    never the same: one that another has already (`b.png` and `b.png.jpg`) keeps its suffix too.
    """
    names = {path: path.with_suffix("") for path in sources}
    while taken := {one for one, count in Counter(names.values()).items() if count > 1}:
        names = {path: path if name in taken else name for path, name in names.items()}
    return {path: output / name.relative_to(root) for path, name in names.items()}


def _open_cropper(side: int, detector: str | Path | None) -> FaceCropper:
    spec = read_spec(bundled("model"))
    spec = replace(spec, input=replace(spec.input, side=side), golden=())
    # FaceLimits' scores are YuNet's
    path = find_yunet() if detector is None else find_detector(detector)
    # every face is found, so that those that are too small are counted
    return open_cropper(spec, path, min_face=1)


def _crop_all(
    crop: FaceCropper, names: dict[Path, Path]
) -> Iterator[tuple[int, list[list[CroppedFace] | SourceError]]]:
    """Yield the faces of each batch of photographs, and how many photographs are done."""
    items = list(names.items())
    with ThreadPoolExecutor(count_usable_cores()) as pool:
        for start in range(0, len(items), _BATCH_SIZE):
            batch = items[start : start + _BATCH_SIZE]
            yield start + len(batch), list(pool.map(lambda item: _crop_one(crop, *item), batch))


def _crop_one(crop: FaceCropper, source: Path, name: Path) -> list[CroppedFace] | SourceError:
    try:
        with hold_image(source) as loaded:
            crops = crop(loaded.image, loaded.size)
            del loaded  # its pixels, before other threads take its memory
    except SourceError as error:
        return error if str(source) in str(error) else SourceError(f"{source}: {error}")
    return [
        CroppedFace(name.with_name(f"{name.name}-{i}.png"), score, min(box[2:]), pixels)
        for i, ((box, score), pixels) in enumerate(zip(crops.boxes, crops.faces, strict=True))
    ]


def _write(face: CroppedFace) -> bool:
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
