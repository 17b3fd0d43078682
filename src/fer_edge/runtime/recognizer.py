"""From images to expressions."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np

from fer_edge.errors import ConfigError, SourceError
from fer_edge.runtime.backends import Backend, open_backend
from fer_edge.runtime.detection.detector import MIN_FACE, Detector, check_search
from fer_edge.runtime.detection.engines import choose_engine
from fer_edge.runtime.detection.face_cropper import FaceCropper, Faces, Search
from fer_edge.runtime.detection.find_detector import find_detector
from fer_edge.runtime.detection.nearby import NEARBY, Nearby
from fer_edge.runtime.follower import Follower
from fer_edge.runtime.formats.model_files import resolve_model
from fer_edge.runtime.inputs.images import ImageSource, LoadedImage, hold_image, is_in_memory
from fer_edge.runtime.inputs.limits import MAX_PIXELS
from fer_edge.runtime.inputs.video import EVERY_FRAME, Cut, read_frames
from fer_edge.runtime.inputs.video_source import mask_credentials
from fer_edge.runtime.pipeline import PreparedImage, read_all
from fer_edge.runtime.preprocess import Box
from fer_edge.runtime.results import SMALL_FACE, Face, Result, softmax, top_label
from fer_edge.runtime.tracking import Tracker
from fer_edge.spec import ModelSpec


class Recognizer:
    """Recognizes the expressions of faces in images and videos.

    One recognizer may be called from several threads: it keeps no state between calls, and the
    engines are safe to share.

    Args:
        backend: a loaded model; `Recognizer.load` opens one by path.
        faces: see `load`.
        open_detector: opens the detector on first use; None: there is none.
        align: see `load`.
        min_confidence: see `load`.
        max_pixels: see `load`.

    Raises:
        ConfigError: the confidence isn't in [0, 1], or max_pixels is under 1.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        faces: Faces = "whole",
        open_detector: Callable[[], Detector] | None = None,
        align: bool = True,
        min_confidence: float = 0.0,
        max_pixels: int | None = None,
    ) -> None:
        if max_pixels is not None and max_pixels < 1:
            raise ConfigError(f"max_pixels must be 1 or more, not {max_pixels}")
        if faces == "detect" and open_detector is None:
            raise ConfigError("faces is 'detect': give open_detector")
        self._max_pixels = max_pixels
        if not 0 <= min_confidence <= 1:
            raise ConfigError(f"min_confidence must be in [0, 1], not {min_confidence}")
        self._min_confidence = min_confidence
        self._backend = backend
        self._cropper = FaceCropper(backend.spec, faces, open_detector, align)

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
        detect_side: int | None = None,
        detect_score: float | None = None,
        min_face: int = MIN_FACE,
        align: bool = True,
        min_confidence: float = 0.0,
        max_pixels: int | None = None,
    ) -> Recognizer:
        """Open a model of the package by name, or an exported file.

        Args:
            model: "base", the default, "small", or the path of an exported file, such as `./base`.
            backend: "onnxruntime", "openvino", "ncnn", or "auto": the one that `fer doctor` found
                to be the fastest, else the first that reads the file and has the device.
            device: "cpu", "gpu", "npu", or "auto": the CPU, which predicts the same everywhere.
            threads: of the engine on the CPU; 0: every core; None: what `fer doctor` found to be
                the fastest on this machine, together with its backend, else 1.
            faces: "whole": an image is one face. "detect": the detector finds the faces. "auto": it
                does in images larger than twice the model's side; a smaller one is one face.
            detector: "built-in"; "yunet", which `fer detector install` installs; or the file of
                YuNet or of a detector that `fer detector export` wrote. None: what
                `FER_EDGE_DETECTOR` names, else the built-in one, or an installed YuNet where no
                engine reads that.
            detect_side: longer side, in pixels, to which larger images are shrunk for detection;
                None: 640, then half of that, and so on, for faces that fill the image, and up to
                1,920 for an image that may hold small faces.
            detect_score: lowest score of a face, in [0, 1]; None: the detector's own. Where
                `detect_side` is None, the search for small faces needs more.
            min_face: shorter side of the smallest face that counts, in pixels.
            align: rotate detected faces that are tilted by more than 10 degrees upright.
            min_confidence: a face whose likeliest label has a lower probability is "uncertain". The
                probabilities are calibrated: of predictions at 0.6, about 60 % are right.
            max_pixels: an image of more pixels is refused by its header, before it is decoded;
                None: the limit of its format, which keeps the process under 400 MB.

        Raises:
            ConfigError: the confidence isn't in [0, 1], max_pixels is under 1, or a setting of the
                detection is out of range.
            ModelError, SpecError, DeviceError, MissingExtraError: the model or the detector cannot
                be opened.
        """
        engine = open_backend(
            resolve_model(model),
            backend=backend,
            device=device,
            threads=threads,
            use_stored_choice=True,
        )
        check_search(detect_side, min_face, detect_score)
        open_detector = None
        if faces != "whole":
            path = find_detector(detector)
            open_detector = partial(
                Detector,
                path,
                side=detect_side,
                min_face=min_face,
                score=detect_score,
                threads=1 if threads is None else threads,
                engine=choose_engine(backend, engine.engine, path),
            )
        recognizer = cls(
            engine,
            faces=faces,
            open_detector=open_detector,
            align=align,
            min_confidence=min_confidence,
            max_pixels=max_pixels,
        )
        if open_detector and (detector is not None or faces == "detect"):
            _ = recognizer._cropper.detector  # the caller's own choice: opened now to fail now
        return recognizer

    @property
    def spec(self) -> ModelSpec:
        """The specification inside the model."""
        return self._backend.spec

    def __call__(self, source: ImageSource) -> Result:
        """Recognize the faces of one image.

        Args:
            source: a path; an encoded image as bytes or in a binary file object; a Pillow image; or
                an array, gray `[H, W]`, RGB `[H, W, 3]` or RGBA `[H, W, 4]`: see `ImageSource`.

        Raises:
            SourceError: it cannot be read.
        """
        return self.predict([self.prepare(source)])[0]

    def stream(
        self,
        source: ImageSource | int | Iterable[ImageSource],
        *,
        cut: Cut = EVERY_FRAME,
        tracker: Tracker | None = None,
        nearby: Nearby = NEARBY,
        skip: Container[str] = (),
        on_error: Callable[[SourceError], None] | None = None,
    ) -> Iterator[Result]:
        """Recognize the faces of many images, one after the other.

        Images are decoded in threads while earlier ones are predicted in batches; only a few are in
        memory at a time.

        Args:
            source: a file, a folder or a pattern, whose images come in sorted order; an image in
                memory; a video file, the address of a stream or a camera (`0`, `"/dev/video0"`),
                whose frames come in order; `"-"`: the sources named by the lines of standard input;
                or several of these.
            cut: which frames of a video to read.
            tracker: follows faces from frame to frame; None: a new one for each video.
            nearby: how the faces of a video are looked for.
            skip: names of images and videos to leave out.
            on_error: called with the error of an image that cannot be read, before the next one is
                read; without it the error is raised.

        Raises:
            SourceError: an image cannot be read, or a video breaks off, and there is no `on_error`.
            MissingExtraError: a video was given and PyAV isn't installed.
        """
        source = str(source) if isinstance(source, int) else source
        is_single = isinstance(source, (str, Path)) or is_in_memory(source)
        sources: Iterable[ImageSource] = [source] if is_single else source  # type: ignore[list-item, assignment]
        for result in read_all(self, sources, cut=cut, tracker=tracker, nearby=nearby, skip=skip):
            if isinstance(result, Result):
                yield result
            elif on_error is None:
                raise result
            else:
                on_error(result)

    def follow(self, tracker: Tracker | None = None, nearby: Nearby = NEARBY) -> Follower:
        """What recognizes the frames of one camera or video that the caller reads.

        Args:
            tracker: follows the faces from frame to frame; None: a new one.
            nearby: how the faces are looked for.
        """
        tracker = tracker or Tracker(min_confidence=self._min_confidence)
        return Follower(self, tracker, nearby, self._max_pixels)

    def read_video(
        self,
        source: str,
        cut: Cut = EVERY_FRAME,
        tracker: Tracker | None = None,
        nearby: Nearby = NEARBY,
    ) -> Iterator[Result]:
        """Recognize the faces in the frames of one video, stream or camera; see `stream`."""
        follow, name = self.follow(tracker, nearby), mask_credentials(source)
        for frame in read_frames(source, cut, self._max_pixels or MAX_PIXELS):
            result = follow(LoadedImage(name, frame.image, frame.image, frame.size), frame.time)
            yield replace(result, frame=frame.index)

    def prepare(
        self, source: ImageSource | LoadedImage, search: Search | None = None
    ) -> PreparedImage:
        """The first half of a call: decode an image and crop its faces.

        Args:
            source: see a call; or an image that is decoded.
            search: see `FaceCropper`.
        """
        began = perf_counter()
        if isinstance(source, LoadedImage):
            return self._crop(source, began, search)
        with hold_image(source, self._max_pixels) as loaded:
            prepared = self._crop(loaded, began, search)
            del loaded  # its pixels, before other threads take its memory
            return prepared

    def predict(self, images: Sequence[PreparedImage]) -> list[Result]:
        """The second half of a call: predict the faces of several images in one batch."""
        began = perf_counter()
        crops = [face for image in images for face in image.crops.faces]
        probabilities: Iterator[list[float]] = iter(())
        if crops:
            logits = self._backend(np.stack(crops))
            probabilities = iter(softmax(logits, self.spec.temperature).tolist())
        seconds = (perf_counter() - began) / max(len(images), 1)
        return [
            Result(
                image.source,
                *image.size,
                tuple(
                    self._face(*found, next(probabilities), image.crops.scale)
                    for found in image.crops.boxes
                ),
                image.image_source,
                seconds=image.seconds + seconds,
                faces_from=image.crops.faces_from,
            )
            for image in images
        ]

    def _crop(self, loaded: LoadedImage, began: float, search: Search | None) -> PreparedImage:
        try:
            crops = self._cropper(loaded.image, loaded.size, search)
        except SourceError as error:
            raise SourceError(f"{loaded.name}: {error}") from None
        seconds = perf_counter() - began
        return PreparedImage(loaded.name, loaded.source, loaded.size, crops, seconds)

    def _face(self, box: Box, score: float, row: list[float], scale: float) -> Face:
        probabilities = dict(zip(self.spec.labels, row, strict=True))
        emotion, confidence = top_label(probabilities, self._min_confidence)
        small = min(box[2:]) * scale < SMALL_FACE
        return Face(box, score, emotion, confidence, probabilities, small=small)
