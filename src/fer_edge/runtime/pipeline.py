"""Many pictures at once: decoded and searched in threads, answered in batches, in their order."""

from __future__ import annotations

import os
from collections.abc import Container, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from fer_edge.errors import MissingExtraError, SourceError
from fer_edge.runtime.ahead import Ahead, ahead
from fer_edge.runtime.preprocess import Box
from fer_edge.runtime.results import Result
from fer_edge.runtime.sources import Picture, expand, listed
from fer_edge.runtime.tracks import Tracker
from fer_edge.runtime.video import Cut, is_video

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

WORKERS = 8
"""Threads at most: more would only hold pictures."""
WAITING = 64
"""Pictures that may be under way: of those that are decoded, only the crops are kept."""
BATCH = 32
"""Faces that are answered at once; a picture's own are never parted."""
_PATIENCE = 1.0
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
    """

    source: str
    size: tuple[int, int]
    picture: Image.Image | Path
    found: Sequence[tuple[Box, float]]
    crops: Sequence[npt.NDArray[np.uint8]]
    seconds: float


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


_Job: TypeAlias = "Future[Prepared] | SourceError | _Video"


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

    workers = min(WORKERS, len(os.sched_getaffinity(0)))
    pool = ThreadPoolExecutor(workers, "decode")
    try:
        jobs = _jobs(reader, sources, pool, skip)
        with ahead(jobs, size=WAITING, patience=_PATIENCE) as waiting:
            for batch in _batches(waiting):
                if isinstance(batch, _Video):
                    yield from _frames(reader, batch, cut, tracker)
                else:
                    yield from _answered(reader, batch)
    finally:
        pool.shutdown(cancel_futures=True)


def _is_picture(source: Picture) -> bool:
    """Whether a source is one picture: when it is the only one, threads would only take time."""
    if isinstance(source, (str, Path)):
        return Path(source).is_file() and not is_video(str(source))
    return True


def _single(
    reader: Reader, source: Picture, skip: Container[str]
) -> Iterator[Result | SourceError]:
    if isinstance(source, (str, Path)) and str(source) in skip:
        return
    try:
        prepared = reader.prepare(source)
    except SourceError as error:
        yield error
    else:
        yield from reader.answer([prepared])


def _jobs(
    reader: Reader, sources: Iterable[Picture], pool: ThreadPoolExecutor, skip: Container[str]
) -> Generator[_Job]:
    for source in _listed(sources):
        if isinstance(source, SourceError):
            yield source
            continue
        if not isinstance(source, (str, Path)):
            yield pool.submit(reader.prepare, source)
        elif is_video(str(source)):
            if str(source) not in skip:
                yield _Video(str(source))
        else:
            for path in expand(source):
                if isinstance(path, SourceError):
                    yield path
                elif str(path) in skip:
                    continue
                elif is_video(str(path)):
                    yield _Video(str(path), found=True)
                else:
                    yield pool.submit(reader.prepare, path)


def _listed(sources: Iterable[Picture]) -> Iterator[Picture | SourceError]:
    try:
        yield from listed(sources)
    except SourceError as error:
        yield error


def _batches(waiting: Ahead[_Job]) -> Iterator[list[Prepared | SourceError] | _Video]:
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
            if isinstance(held, _Video) or not (isinstance(held, SourceError) or held.done()):
                break
            batch.append(_prepared(held))
            faces += _faces(batch[-1])
            held = None
        yield batch


def _prepared(job: Future[Prepared] | SourceError) -> Prepared | SourceError:
    if isinstance(job, SourceError):
        return job
    try:
        return job.result()
    except SourceError as error:
        return error


def _faces(one: Prepared | SourceError) -> int:
    return 0 if isinstance(one, SourceError) else len(one.crops)


def _answered(
    reader: Reader, batch: Sequence[Prepared | SourceError]
) -> Iterator[Result | SourceError]:
    answers = iter(reader.answer([one for one in batch if not isinstance(one, SourceError)]))
    for one in batch:
        yield one if isinstance(one, SourceError) else next(answers)


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
