"""Many sources at once: decoded in threads, predicted in batches, returned in order."""

from __future__ import annotations

import logging
import threading
from collections.abc import Container, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from PIL import Image

from fer_edge.errors import MissingExtraError, SourceError
from fer_edge.runtime.detection.face_cropper import Crops
from fer_edge.runtime.detection.nearby import Nearby
from fer_edge.runtime.device.cpu import count_usable_cores
from fer_edge.runtime.inputs.images import ImageSource
from fer_edge.runtime.inputs.listing import expand_source
from fer_edge.runtime.inputs.prefetch import Flow, Prefetcher, prefetch
from fer_edge.runtime.inputs.standard_input import expand_stdin
from fer_edge.runtime.inputs.video import Cut
from fer_edge.runtime.inputs.video_source import (
    camera_device,
    is_address,
    is_video,
    mask_credentials,
    name_fault,
)
from fer_edge.runtime.results import Result
from fer_edge.runtime.tracking import Tracker

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

    from fer_edge.runtime.recognizer import Recognizer

logger = logging.getLogger(__name__)

MAX_WORKERS = 8
"""Threads: more would only hold images."""
MAX_PENDING = 64
"""Images that wait for prediction: of a decoded file only the crops are kept."""
BATCH_FACES = 32
"""Faces of a batch; the faces of one image are never split."""
MAX_IN_MEMORY = 4
"""Images that were given in memory and wait for prediction."""
_LISTING_TIMEOUT = 1.0
"""Seconds for the thread that lists the sources to end; it may wait for standard input."""


@dataclass(frozen=True)
class PreparedImage:
    """An image whose faces are cropped and wait for prediction.

    Attributes:
        source, image_source: see `Result`.
        size: width and height of the upright image, in pixels.
        seconds: spent so far.
    """

    source: str
    image_source: Image.Image | Path | bytes
    size: tuple[int, int]
    crops: Crops
    seconds: float


class _Video(NamedTuple):
    """A video to read; `is_listed`: a folder or pattern named it, not the caller."""

    source: str
    is_listed: bool = False


_Outcome: TypeAlias = "PreparedImage | SourceError"
_Job: TypeAlias = "Future[_Outcome] | _Video"


def read_all(
    recognizer: Recognizer,
    sources: Iterable[ImageSource],
    *,
    cut: Cut,
    tracker: Tracker | None,
    nearby: Nearby,
    skip: Container[str],
) -> Iterator[Result | SourceError]:
    """Results in the order of the sources; what cannot be read is an error in its place."""
    in_memory = threading.Semaphore(MAX_IN_MEMORY)
    if isinstance(sources, Sequence) and len(sources) == 1 and _is_one_image(sources[0], skip):
        yield from _predict_batch(recognizer, [_prepare(recognizer, sources[0])], in_memory)
        return
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(min(MAX_WORKERS, count_usable_cores()), "decode")
    try:
        jobs = _list_jobs(recognizer, sources, pool, in_memory, skip)
        with prefetch(jobs, Flow(MAX_PENDING), timeout=_LISTING_TIMEOUT) as pending:
            try:
                for batch in _collect_batches(pending):
                    if isinstance(batch, _Video):
                        yield from _read_video(recognizer, batch, cut, tracker, nearby)
                    else:
                        yield from _predict_batch(recognizer, batch, in_memory)
            finally:
                in_memory.release(MAX_PENDING)  # so that a lister that waits for its turn ends
    finally:
        pool.shutdown(cancel_futures=True)


def _is_one_image(source: ImageSource, skip: Container[str]) -> bool:
    """Whether a source is one image: if it is the only source, threads would only cost time."""
    if not isinstance(source, (str, Path)):
        return True
    try:
        return str(source) not in skip and Path(source).is_file() and not is_video(str(source))
    except (OSError, ValueError):  # a name that no file can have
        return False


def _list_jobs(
    recognizer: Recognizer,
    sources: Iterable[ImageSource],
    pool: ThreadPoolExecutor,
    in_memory: threading.Semaphore,
    skip: Container[str],
) -> Generator[_Job]:
    for source in expand_stdin(sources):
        if isinstance(source, SourceError):
            yield _completed(source)
        elif not isinstance(source, (str, Path)):
            # prepared at once: the caller may fill the same array or buffer again
            in_memory.acquire()
            prepared = _prepare(recognizer, source)
            if isinstance(prepared, SourceError):
                in_memory.release()
            yield _completed(prepared)
        elif fault := name_fault(str(source)):
            yield _completed(SourceError(fault))
        elif is_address(str(source)) or camera_device(str(source)) is not None:
            if mask_credentials(str(source)) not in skip:
                yield _Video(str(source))
        else:
            for path in expand_source(source, logger.warning):
                if isinstance(path, SourceError):
                    yield _completed(path)
                elif str(path) in skip:
                    continue
                elif is_video(str(path)):
                    yield _Video(str(path), is_listed=path != Path(source))
                else:
                    yield pool.submit(_prepare, recognizer, path)


def _completed(outcome: _Outcome) -> Future[_Outcome]:
    from concurrent.futures import Future

    future: Future[_Outcome] = Future()
    future.set_result(outcome)
    return future


def _prepare(recognizer: Recognizer, source: ImageSource) -> _Outcome:
    try:
        return recognizer.prepare(source)
    except SourceError as error:
        return error


def _collect_batches(pending: Prefetcher[_Job]) -> Iterator[list[_Outcome] | _Video]:
    """Consecutive images that are ready together; no image waits for a batch to fill up."""
    following: _Job | None = None
    while (job := following or next(pending, None)) is not None:
        following = None
        if isinstance(job, _Video):
            yield job
            continue
        batch = [job.result()]
        faces = _count_faces(batch[0])
        while faces < BATCH_FACES and (following := pending.poll()) is not None:
            if isinstance(following, _Video) or not following.done():
                break
            batch.append(following.result())
            faces += _count_faces(batch[-1])
            following = None
        yield batch


def _count_faces(image: _Outcome) -> int:
    return 0 if isinstance(image, SourceError) else len(image.crops.faces)


def _predict_batch(
    recognizer: Recognizer, batch: Sequence[_Outcome], in_memory: threading.Semaphore
) -> Iterator[Result | SourceError]:
    results = iter(recognizer.predict([one for one in batch if isinstance(one, PreparedImage)]))
    for one in batch:
        if isinstance(one, SourceError):
            yield one
            continue
        yield next(results)
        if not isinstance(one.image_source, Path):
            in_memory.release()


def _read_video(
    recognizer: Recognizer, video: _Video, cut: Cut, tracker: Tracker | None, nearby: Nearby
) -> Iterator[Result | SourceError]:
    try:
        yield from recognizer.read_video(video.source, cut, tracker, nearby)
    except SourceError as error:
        yield error
    except MissingExtraError as error:
        if not video.is_listed:
            raise
        yield SourceError(f"{video.source}: {error}")  # the images beside it can be read
