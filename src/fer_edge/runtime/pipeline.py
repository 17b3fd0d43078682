"""Many pictures at once: decoded and searched in threads, answered in batches, in their order."""

from __future__ import annotations

import threading
from collections.abc import Container, Generator, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from fer_edge.errors import MissingExtraError, SourceError
from fer_edge.runtime.device.cpu import usable_cores
from fer_edge.runtime.inputs.images import Picture, expand_source, expand_stdin, pixels
from fer_edge.runtime.inputs.prefetch import Prefetcher, prefetch
from fer_edge.runtime.inputs.video import Cut, is_live, is_video
from fer_edge.runtime.preprocess import Box
from fer_edge.runtime.results import FacesFrom, Result
from fer_edge.runtime.tracking import Tracker

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

WORKERS = 8
"""Threads at most: more would only hold pictures."""
WAITING = 64
"""Pictures that may be under way: of those that are decoded, only the crops are kept."""
BATCH = 32
"""Faces that are answered at once; a picture's own are never parted."""
HELD = 4
"""Pictures, of those that were given in memory, that may be under way."""
LARGE = 8_000_000
"""Pixels of a picture that is read alone."""
_ONE = threading.Lock()
_TIMEOUT = 1.0
"""Seconds that the thread which lists the sources gets to end; it may wait for standard input."""


@dataclass(frozen=True)
class Prepared:
    """A picture whose faces are found.

    Attributes:
        source: as in `Result`.
        size: width and height of the upright picture, in pixels.
        picture: as in `Result`: a picture in memory, or the path of its file.
        found: box and score of each face.
        crops: uint8 `[side, side]` of each face.
        seconds: spent so far.
        faces_from: as in `Result`.
        held: whether it counts among the pictures that were given in memory.
    """

    source: str
    size: tuple[int, int]
    picture: Image.Image | Path
    found: Sequence[tuple[Box, float]]
    crops: Sequence[npt.NDArray[np.uint8]]
    seconds: float
    faces_from: FacesFrom
    held: bool = False


class Reader(Protocol):
    """What a recognizer does, in its parts."""

    def prepare(self, picture: Picture) -> Prepared:
        """Open a picture and find its faces."""

    def answer(self, pictures: Sequence[Prepared]) -> list[Result]:
        """Read the faces of some pictures in one batch."""

    def follow(self, source: str, cut: Cut, tracker: Tracker | None) -> Iterator[Result]:
        """Read a video's frames."""


@dataclass(frozen=True)
class _Video:
    """A video to be read: one that was named, or one that was found in a folder."""

    source: str
    found: bool = False


_Tried: TypeAlias = "Prepared | SourceError"
_Job: TypeAlias = "Future[_Tried] | _Tried | _Video"


def read_all(
    reader: Reader,
    sources: Iterable[Picture],
    *,
    cut: Cut,
    tracker: Tracker | None,
    skip: Container[str],
) -> Iterator[Result | SourceError]:
    """Results in the order of the sources; what can't be read is an error in its place."""
    if isinstance(sources, Sequence) and len(sources) == 1 and _is_picture(sources[0]):
        yield from _single(reader, sources[0], skip)
        return
    from concurrent.futures import ThreadPoolExecutor

    workers = min(WORKERS, usable_cores())
    pool = ThreadPoolExecutor(workers, "decode")
    try:
        held = threading.Semaphore(HELD)
        jobs = _jobs(reader, sources, pool, held, skip)
        with prefetch(jobs, size=WAITING, timeout=_TIMEOUT) as waiting:
            try:
                for batch in _batches(waiting):
                    if isinstance(batch, _Video):
                        yield from _frames(reader, batch, cut, tracker)
                    else:
                        yield from _answered(reader, batch, held)
            finally:
                held.release(WAITING)  # a lister that waits for its turn ends too
    finally:
        pool.shutdown(cancel_futures=True)


def _is_picture(source: Picture) -> bool:
    """Whether a source is one picture: when it is the only one, threads would only take time."""
    if not isinstance(source, (str, Path)):
        return True
    try:
        return Path(source).is_file() and not is_video(str(source))
    except OSError:  # a name that no file can have
        return False


def _single(
    reader: Reader, source: Picture, skip: Container[str]
) -> Iterator[Result | SourceError]:
    if isinstance(source, (str, Path)) and str(source) in skip:
        return
    prepared = _tried(reader, source)
    yield from [prepared] if isinstance(prepared, SourceError) else reader.answer([prepared])


def _jobs(
    reader: Reader,
    sources: Iterable[Picture],
    pool: ThreadPoolExecutor,
    held: threading.Semaphore,
    skip: Container[str],
) -> Generator[_Job]:
    for source in _listed(sources):
        if isinstance(source, SourceError):
            yield source
        elif not isinstance(source, (str, Path)):
            # at once, and few of them: who gives them may fill the same array anew
            held.acquire()
            prepared = _tried(reader, source)
            if isinstance(prepared, SourceError):
                held.release()
                yield prepared
            else:
                yield replace(prepared, held=True)
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
                    yield _Video(str(path), found=path != Path(source))
                else:
                    yield pool.submit(_in_turn, reader, path)


def _tried(reader: Reader, picture: Picture) -> _Tried:
    try:
        return reader.prepare(picture)
    except SourceError as error:
        return error


def _in_turn(reader: Reader, path: Path) -> _Tried:
    """Prepare a file; of large pictures one at a time, since each may take 256 MB."""
    with _ONE if pixels(path) > LARGE else nullcontext():
        return _tried(reader, path)


def _listed(sources: Iterable[Picture]) -> Iterator[Picture | SourceError]:
    try:
        yield from expand_stdin(sources)
    except SourceError as error:
        yield error


def _batches(waiting: Prefetcher[_Job]) -> Iterator[list[_Tried] | _Video]:
    """Neighbours that are ready together; nothing waits for a batch to be full."""
    held: _Job | None = None
    while (job := held or next(waiting, None)) is not None:
        held = None
        if isinstance(job, _Video):
            yield job
            continue
        batch = [_prepared(job)]
        faces = _faces(batch[0])
        while faces < BATCH and (held := waiting.ready()) is not None:
            if isinstance(held, _Video) or not _is_done(held):
                break
            batch.append(_prepared(held))
            faces += _faces(batch[-1])
            held = None
        yield batch


def _is_done(job: Future[_Tried] | _Tried) -> bool:
    return isinstance(job, (Prepared, SourceError)) or job.done()


def _prepared(job: Future[_Tried] | _Tried) -> _Tried:
    return job if isinstance(job, (Prepared, SourceError)) else job.result()


def _faces(one: _Tried) -> int:
    return 0 if isinstance(one, SourceError) else len(one.crops)


def _answered(
    reader: Reader, batch: Sequence[_Tried], held: threading.Semaphore
) -> Iterator[Result | SourceError]:
    answers = iter(reader.answer([one for one in batch if not isinstance(one, SourceError)]))
    for one in batch:
        yield one if isinstance(one, SourceError) else next(answers)
        if isinstance(one, Prepared) and one.held:
            held.release()


def _frames(
    reader: Reader, video: _Video, cut: Cut, tracker: Tracker | None
) -> Iterator[Result | SourceError]:
    try:
        yield from reader.follow(video.source, cut, tracker)
    except SourceError as error:
        yield error
    except MissingExtraError as error:
        if not video.found:
            raise
        yield SourceError(f"{video.source}: {error}")  # the pictures beside it can be read
