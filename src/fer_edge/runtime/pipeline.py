"""Many sources at once: decoded in threads, predicted in batches, returned in order."""

from __future__ import annotations

import threading
from collections.abc import Container, Generator, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

from PIL import Image

from fer_edge.errors import MissingExtraError, SourceError
from fer_edge.runtime.detection.face_cropper import Crops
from fer_edge.runtime.device.cpu import count_usable_cores
from fer_edge.runtime.inputs.images import ImageSource, count_pixels
from fer_edge.runtime.inputs.listing import expand_source, expand_stdin
from fer_edge.runtime.inputs.prefetch import Prefetcher, prefetch
from fer_edge.runtime.inputs.video import Cut
from fer_edge.runtime.inputs.video_source import is_live, is_video
from fer_edge.runtime.results import Result
from fer_edge.runtime.tracking import Tracker

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

MAX_WORKERS = 8
"""Threads: more would only hold images."""
MAX_PENDING = 64
"""Images that wait for prediction: of a decoded file only the crops are kept."""
BATCH_FACES = 32
"""Faces of a batch; the faces of one image are never split."""
MAX_IN_MEMORY = 4
"""Images that were given in memory and wait for prediction."""
LARGE_PIXELS = 8_000_000
"""An image with more pixels is decoded while no other large one is: each may take 256 MB."""
_LARGE_IMAGE = threading.Lock()
_LISTING_TIMEOUT = 1.0
"""Seconds for the thread that lists the sources to end; it may wait for standard input."""


@dataclass(frozen=True)
class PreparedImage:
    """An image whose faces are cropped and wait for prediction.

    Attributes:
        source, image_source: see `Result`.
        size: width and height of the upright image, in pixels.
        crops: of its faces.
        seconds: spent so far.
        is_in_memory: whether it counts towards `MAX_IN_MEMORY`.
    """

    source: str
    image_source: Image.Image | Path | bytes
    size: tuple[int, int]
    crops: Crops
    seconds: float
    is_in_memory: bool = False


class ImageReader(Protocol):
    """The parts of a recognizer that the pipeline calls."""

    def prepare(self, source: ImageSource) -> PreparedImage:
        """Decode an image and crop its faces."""

    def predict(self, images: Sequence[PreparedImage]) -> list[Result]:
        """Predict the faces of several images in one batch."""

    def read_video(self, source: str, cut: Cut, tracker: Tracker | None) -> Iterator[Result]:
        """Read the frames of a video."""


@dataclass(frozen=True)
class _Video:
    """A video to read; `is_listed`: a folder or pattern named it, not the caller."""

    source: str
    is_listed: bool = False


_Outcome: TypeAlias = "PreparedImage | SourceError"
_Job: TypeAlias = "Future[_Outcome] | _Outcome | _Video"


def read_all(
    reader: ImageReader,
    sources: Iterable[ImageSource],
    *,
    cut: Cut,
    tracker: Tracker | None,
    skip: Container[str],
) -> Iterator[Result | SourceError]:
    """Results in the order of the sources; what cannot be read is an error in its place."""
    if isinstance(sources, Sequence) and len(sources) == 1 and _is_one_image(sources[0]):
        yield from _read_one(reader, sources[0], skip)
        return
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(min(MAX_WORKERS, count_usable_cores()), "decode")
    try:
        in_memory = threading.Semaphore(MAX_IN_MEMORY)
        jobs = _list_jobs(reader, sources, pool, in_memory, skip)
        with prefetch(jobs, size=MAX_PENDING, timeout=_LISTING_TIMEOUT) as pending:
            try:
                for batch in _collect_batches(pending):
                    if isinstance(batch, _Video):
                        yield from _read_video(reader, batch, cut, tracker)
                    else:
                        yield from _predict_batch(reader, batch, in_memory)
            finally:
                in_memory.release(MAX_PENDING)  # so that a lister that waits for its turn ends
    finally:
        pool.shutdown(cancel_futures=True)


def _is_one_image(source: ImageSource) -> bool:
    """Whether a source is one image: if it is the only source, threads would only cost time."""
    if not isinstance(source, (str, Path)):
        return True
    try:
        return Path(source).is_file() and not is_video(str(source))
    except OSError:  # a name that no file can have
        return False


def _read_one(
    reader: ImageReader, source: ImageSource, skip: Container[str]
) -> Iterator[Result | SourceError]:
    if isinstance(source, (str, Path)) and str(source) in skip:
        return
    prepared = _prepare(reader, source)
    yield from [prepared] if isinstance(prepared, SourceError) else reader.predict([prepared])


def _list_jobs(
    reader: ImageReader,
    sources: Iterable[ImageSource],
    pool: ThreadPoolExecutor,
    in_memory: threading.Semaphore,
    skip: Container[str],
) -> Generator[_Job]:
    for source in expand_stdin(sources):
        if isinstance(source, SourceError):
            yield source
        elif not isinstance(source, (str, Path)):
            # prepared at once: the caller may fill the same array or buffer again
            in_memory.acquire()
            prepared = _prepare(reader, source)
            if isinstance(prepared, SourceError):
                in_memory.release()
                yield prepared
            else:
                yield replace(prepared, is_in_memory=True)
        elif is_live(str(source)) or "://" in str(source):
            if str(source) not in skip:
                yield _Video(str(source))
        else:
            for path in expand_source(source):
                if isinstance(path, SourceError):
                    yield path
                elif str(path) in skip:
                    continue
                elif is_video(str(path)):
                    yield _Video(str(path), is_listed=path != Path(source))
                else:
                    yield pool.submit(_prepare_file, reader, path)


def _prepare(reader: ImageReader, source: ImageSource) -> _Outcome:
    try:
        return reader.prepare(source)
    except SourceError as error:
        return error


def _prepare_file(reader: ImageReader, path: Path) -> _Outcome:
    with _LARGE_IMAGE if count_pixels(path) > LARGE_PIXELS else nullcontext():
        return _prepare(reader, path)


def _collect_batches(pending: Prefetcher[_Job]) -> Iterator[list[_Outcome] | _Video]:
    """Consecutive images that are ready together; no image waits for a batch to fill up."""
    following: _Job | None = None
    while (job := following or next(pending, None)) is not None:
        following = None
        if isinstance(job, _Video):
            yield job
            continue
        batch = [_outcome(job)]
        faces = _count_faces(batch[0])
        while faces < BATCH_FACES and (following := pending.poll()) is not None:
            if isinstance(following, _Video) or not _is_done(following):
                break
            batch.append(_outcome(following))
            faces += _count_faces(batch[-1])
            following = None
        yield batch


def _is_done(job: Future[_Outcome] | _Outcome) -> bool:
    return isinstance(job, (PreparedImage, SourceError)) or job.done()


def _outcome(job: Future[_Outcome] | _Outcome) -> _Outcome:
    return job if isinstance(job, (PreparedImage, SourceError)) else job.result()


def _count_faces(image: _Outcome) -> int:
    return 0 if isinstance(image, SourceError) else len(image.crops.faces)


def _predict_batch(
    reader: ImageReader, batch: Sequence[_Outcome], in_memory: threading.Semaphore
) -> Iterator[Result | SourceError]:
    results = iter(reader.predict([one for one in batch if not isinstance(one, SourceError)]))
    for one in batch:
        yield one if isinstance(one, SourceError) else next(results)
        if isinstance(one, PreparedImage) and one.is_in_memory:
            in_memory.release()


def _read_video(
    reader: ImageReader, video: _Video, cut: Cut, tracker: Tracker | None
) -> Iterator[Result | SourceError]:
    try:
        yield from reader.read_video(video.source, cut, tracker)
    except SourceError as error:
        yield error
    except MissingExtraError as error:
        if not video.is_listed:
            raise
        yield SourceError(f"{video.source}: {error}")  # the images beside it can be read
