"""From pictures to expressions."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from time import perf_counter
from typing import Literal

import numpy as np
from PIL import Image

from fer_edge.errors import ConfigError, ModelError, SourceError
from fer_edge.runtime.backends import Backend, open_backend
from fer_edge.runtime.backends.registry import ENGINES
from fer_edge.runtime.detection import install
from fer_edge.runtime.detection.detector import Detection, Detector, measure_tilt
from fer_edge.runtime.device import packages
from fer_edge.runtime.formats.model_files import bundled
from fer_edge.runtime.inputs.images import Picture, array_to_image, open_image
from fer_edge.runtime.inputs.video import EVERY_FRAME, Cut, read_frames
from fer_edge.runtime.pipeline import Prepared, read_all
from fer_edge.runtime.preprocess import Box, crop_face, is_deep, to_gray, to_upright
from fer_edge.runtime.results import Face, FacesFrom, Result, softmax, top_label
from fer_edge.runtime.tracking import Tracker
from fer_edge.spec import ModelSpec

Faces = Literal["auto", "whole", "detect"]
"""What counts as a face: see `Recognizer.load`."""
LEVEL_ABOVE = 10.0
"""Degrees that a face may be tilted and is cut as it is all the same. Validation faces that are
turned by 20, 30 and 45 degrees gain 3, 7 and 14 points by being levelled, those under 10 none
(`benchmarks/face_alignment.py`)."""
SMALL = 2
"""A picture up to so many times the model's side is a face itself."""


class Recognizer:
    """Reads the expressions of the faces in pictures.

    One recognizer may be called from several threads: it keeps nothing between calls, and engines
    are safe to share.

    Args:
        backend: a loaded model; `Recognizer.load` opens one by path.
        faces: see `load`.
        open_detector: gives the detector when it is needed first; None: there is none.
        align: see `load`.
        min_confidence: see `load`.

    Raises:
        ConfigError: the confidence isn't in [0, 1].
    """

    def __init__(
        self,
        backend: Backend,
        *,
        faces: Faces = "whole",
        open_detector: Callable[[], Detector] | None = None,
        align: bool = True,
        min_confidence: float = 0.0,
    ) -> None:
        if not 0 <= min_confidence <= 1:
            raise ConfigError(f"min_confidence must be in [0, 1], not {min_confidence}")
        self._min_confidence = min_confidence
        self._backend = backend
        self._faces = faces
        self._align = align
        self._open_detector = open_detector

    @classmethod
    def load(
        cls,
        model: str | Path | None = None,
        *,
        backend: str = "auto",
        device: str = "cpu",
        threads: int | None = None,
        faces: Faces = "auto",
        detector: str | Path | None = None,
        detect_side: int = 640,
        min_face: int = 20,
        align: bool = True,
        min_confidence: float = 0.0,
    ) -> Recognizer:
        """Open the bundled model, or one by path.

        Args:
            model: an exported file; None: the one in the package.
            backend: "onnxruntime", "openvino", "ncnn", or "auto": the fastest one that `fer doctor`
                found, else, see `open_backend`, the first that has a file and the device.
            device: "cpu", "gpu", "npu", or "auto": the CPU, whose answers are the same everywhere.
            threads: for one call on the CPU; 0 takes every core; None: what `fer doctor` found
                to be the fastest on this machine, with the backend that goes with it, else 1.
            faces: "whole": a picture is a face. "detect": the detector finds them. "auto": a
                picture of at most twice the model's side is a face; in a larger one the detector
                finds them, or, where none is installed, it is a face too.
            detector: YuNet's file; None: the one that `FER_EDGE_DETECTOR` names or that
                `fer detector install` has put into its place.
            detect_side: the longer side, in pixels, that larger pictures are shrunk to before faces
                are looked for.
            min_face: the shorter side of the smallest face that counts, in pixels.
            align: turn a found face that is tilted by more than 10 degrees upright.
            min_confidence: a face whose likeliest label has less than this is "uncertain". The
                probabilities are calibrated: of answers at 0.6, about 60 % are right on faces like
                those that the model was trained on.

        Raises:
            ConfigError: the confidence isn't in [0, 1].
            ModelError, SpecError, DeviceError, MissingExtraError: see `open_backend`; or there is
                no detector and one was asked for.
        """
        engine = open_backend(
            bundled("model") if model is None else Path(model),
            backend=backend,
            device=device,
            threads=threads,
            remembered=True,
        )
        path = None if faces == "whole" else detector or install.find_detector()

        def opened() -> Detector:
            assert path is not None
            return Detector(
                Path(path),
                side=detect_side,
                min_face=min_face,
                threads=1 if threads is None else threads,
                engine=_beside(engine) if backend == "auto" else backend,
            )

        if path is None and faces == "detect":
            raise ModelError(
                "no face detector is installed: fer detector install puts one into its place"
            )
        recognizer = cls(
            engine,
            faces=faces,
            open_detector=None if path is None else opened,
            align=align,
            min_confidence=min_confidence,
        )
        if detector is not None or faces == "detect":
            _ = recognizer._detector  # a file that was asked for is named at once if it is wrong
        return recognizer

    @property
    def spec(self) -> ModelSpec:
        """The contract inside the model."""
        return self._backend.spec

    @property
    def has_detector(self) -> bool:
        """Whether there is a detector for larger pictures."""
        return self._open_detector is not None

    def is_small(self, width: int, height: int) -> bool:
        """Whether a picture of this size, in pixels, is so small that it must be a face."""
        return max(width, height) <= SMALL * self.spec.input.side

    def is_face(self, width: int, height: int) -> bool:
        """Whether a picture of this size, in pixels, is taken for a face as a whole."""
        small = self.is_small(width, height)
        return self._open_detector is None or (self._faces == "auto" and small)

    def __call__(self, picture: Picture) -> Result:
        """Read one picture: a path, a Pillow image, or an array, uint8 RGB `[H, W, 3]` or `[H, W]`.

        Raises:
            SourceError: it can't be read.
        """
        return self.answer([self.prepare(picture)])[0]

    def stream(
        self,
        source: Picture | int | Iterable[Picture],
        *,
        cut: Cut = EVERY_FRAME,
        tracker: Tracker | None = None,
        skip: Container[str] = (),
        on_error: Callable[[SourceError], None] | None = None,
    ) -> Iterator[Result]:
        """Read every picture of a file, folder or pattern, in sorted order; or one in memory; or
        every frame of a video file, a stream's address or a camera (`0`, `"/dev/video0"`); or of
        several of these, one after the other.

        Several pictures are decoded in threads, while those before them are read in batches; few
        of them are in memory at a time, however many there are.

        Args:
            source: see above; `"-"`: each line of standard input is one.
            cut: which frames of a video.
            tracker: what follows faces from frame to frame; None: a new one for each video.
            skip: names of pictures and videos that are left out.
            on_error: called for a picture that can't be read, and the next one follows; without it
                the error is raised.

        Raises:
            SourceError: a picture can't be read, or a video breaks off, and there is no `on_error`.
            MissingExtraError: a video, and PyAV isn't installed.
        """
        source = str(source) if isinstance(source, int) else source
        sources = [source] if isinstance(source, (str, Path, Image.Image, np.ndarray)) else source
        for result in read_all(self, sources, cut=cut, tracker=tracker, skip=skip):
            if isinstance(result, Result):
                yield result
            elif on_error is None:
                raise result
            else:
                on_error(result)

    def follow(
        self, source: str, cut: Cut = EVERY_FRAME, tracker: Tracker | None = None
    ) -> Iterator[Result]:
        """Read the frames of one video, stream or camera; see `stream`."""
        tracker = tracker or Tracker(min_confidence=self._min_confidence)
        for frame in read_frames(source, cut):
            (read,) = self.answer([self._cropped(frame.image, source, frame.image)])
            followed = tracker(read.faces, frame.time)
            yield replace(read, faces=followed, frame=frame.index, time=frame.time)

    def prepare(self, picture: Picture) -> Prepared:
        """The first half of a reading: open a picture and find its faces.

        Raises:
            SourceError: it can't be read.
        """
        began = perf_counter()
        if isinstance(picture, Image.Image):
            image = to_upright(picture)
            prepared = self._cropped(image, "image", image)
        elif isinstance(picture, np.ndarray):
            image = array_to_image(picture)
            prepared = self._cropped(image, "array", image)
        else:
            prepared = self._cropped(open_image(Path(picture)), str(picture), Path(picture))
        return replace(prepared, seconds=perf_counter() - began)

    def answer(self, pictures: Sequence[Prepared]) -> list[Result]:
        """The second half: the expressions on the faces of some pictures, in one batch."""
        began = perf_counter()
        crops = [crop for picture in pictures for crop in picture.crops]
        rows: list[list[float]] = []
        if crops:
            logits = self._backend(np.stack(crops))
            rows = softmax(logits / self.spec.temperature).tolist()
        share = (perf_counter() - began) / len(pictures) if pictures else 0.0
        answers = iter(rows)
        return [
            Result(
                picture.source,
                *picture.size,
                tuple(self._face(*found, next(answers)) for found in picture.found),
                picture.picture,
                seconds=picture.seconds + share,
                faces_from=picture.faces_from,
            )
            for picture in pictures
        ]

    def _cropped(self, image: Image.Image, source: str, picture: Image.Image | Path) -> Prepared:
        began = perf_counter()
        if 0 in image.size:
            raise SourceError(f"{source}: a picture without a pixel")
        try:
            gray = to_gray(image)
            if self.is_face(*image.size):
                # the whole picture is the frame: nothing is to be widened
                faces_from: FacesFrom = "whole"
                found = [((0, 0, image.width, image.height), 1.0)]
                tilts = [0.0]
                crop = replace(self.spec.crop, margin=0.0)
            else:
                faces_from = "detector"
                shown = Image.fromarray(gray) if is_deep(image) else image
                seen = self._detector(shown)
                found = [(one.box, one.score) for one in seen]
                tilts = [self._levelled(one) for one in seen]
                crop = self.spec.crop
            side = self.spec.input.side
            crops = [
                crop_face(gray, box, crop, side, turned)
                for (box, _), turned in zip(found, tilts, strict=True)
            ]
        except SourceError as error:
            raise SourceError(f"{source}: {error}") from None
        return Prepared(
            source, image.size, picture, found, crops, perf_counter() - began, faces_from
        )

    @cached_property
    def _detector(self) -> Detector:
        assert self._open_detector is not None
        return self._open_detector()

    def _levelled(self, detection: Detection) -> float:
        """Degrees by which a face is to be turned back."""
        turned = measure_tilt(detection) if self._align else 0.0
        return turned if abs(turned) > LEVEL_ABOVE else 0.0

    def _face(self, box: Box, score: float, row: list[float]) -> Face:
        probabilities = dict(zip(self.spec.labels, row, strict=True))
        return Face(box, score, *top_label(probabilities, self._min_confidence), probabilities)


def _beside(backend: Backend) -> str:
    """The engine that finds the faces: no second one is loaded beside ncnn; else ONNX Runtime,
    where it is installed, since OpenVINO prepares itself anew for each size of a picture."""
    if backend.engine == "ncnn" or packages.find_package(ENGINES["onnxruntime"].package) is None:
        return backend.engine
    return "onnxruntime"
