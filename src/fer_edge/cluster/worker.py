"""One process of a cluster: it holds a recognizer, reads parts, and writes them."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fer_edge.cluster.listing import Part
from fer_edge.cluster.output import Output
from fer_edge.cluster.reading import NamedBytes, read_images
from fer_edge.errors import ClusterError, SourceError
from fer_edge.render.faces import Value, result_rows
from fer_edge.runtime.detection.find_detector import find_detector
from fer_edge.runtime.pipeline import BATCH_FACES, PreparedImage
from fer_edge.runtime.recognizer import Recognizer
from fer_edge.runtime.results import Result

TRIES = 3
"""Of a part whose files can't be read or written for the moment, as those in object storage."""
MAX_ATTEMPTS = 4
"""Workers that begin with a part, where each one ends."""
BATCH_IMAGES = 16
"""Images that wait for prediction, with their crops alone."""


@dataclass(frozen=True)
class Job:
    """What all workers share.

    Attributes:
        options: of `Recognizer.load`.
        identity: of the model and the detector, as `load` returns it.
        output: where parts are written.
        column: of Parquet files that are read; see `listing.image_column`.
        folder: that relative paths start from.
    """

    options: Mapping[str, Any]
    identity: str
    output: Output
    column: str | None = None
    folder: str = ""


@dataclass
class PartRows:
    """The rows of one part.

    Attributes:
        rows, errors: of the two tables.
        images, faces: how many `rows` are of.
    """

    rows: list[list[Value]] = field(default_factory=list)
    errors: list[list[Value]] = field(default_factory=list)
    images: int = 0
    faces: int = 0


def load(options: Mapping[str, Any]) -> tuple[Recognizer, str]:
    """Open the model on one thread, and identify it and the detector.

    Raises:
        FerEdgeError: see `Recognizer.load`.
    """
    recognizer = Recognizer.load(threads=1, **options)
    digest = hashlib.sha256(recognizer.spec.to_json().encode())
    if options.get("faces") != "whole":
        digest.update(find_detector(options.get("detector")).read_bytes())
    return recognizer, digest.hexdigest()


class Worker:
    """Reads one part at a call. Ray makes one in each process.

    The model is opened by the first call, whose result names what is wrong with it: of an error in
    a constructor, Ray would only try again.

    Args:
        job: what all workers share.
        count_attempt: counts the workers that have begun with the part of a number, and returns the
            count. Ray gives the part of a worker that ended to the next one without end: an image
            that takes all memory would end them all.
    """

    def __init__(self, job: Job, count_attempt: Callable[[int], int]) -> None:
        self._job, self._count_attempt = job, count_attempt
        self._recognizer: Recognizer | None = None

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Read and write the part in a row of `encode_part`.

        Returns:
            The part's `number`, the numbers of `images`, `faces` and `failed` images, the worker's
            process `pid`, and `error`: why the worker can't go on; empty if it can. `is_lost`: too
            many workers have ended with this part, so it wasn't read.
        """
        part, name = decode_part(row)
        done: dict[str, Any] = {"number": part.number, "pid": os.getpid(), "is_lost": False}
        done |= {"images": 0, "faces": 0, "failed": 0, "error": ""}
        try:
            if self._count_attempt(part.number) > MAX_ATTEMPTS:
                return {**done, "is_lost": True}
            found = self._finish_with_retries(part, name)
        except Exception as error:  # the driver stops and shows it
            return {**done, "error": f"{type(error).__name__}: {error}"}
        counts = {"images": found.images, "faces": found.faces, "failed": len(found.errors)}
        return {**done, **counts}

    def _finish_with_retries(self, part: Part, name: str) -> PartRows:
        for attempt in range(1, TRIES):
            try:
                return self._finish(part, name)
            except OSError:
                time.sleep(2**attempt)
        return self._finish(part, name)

    def _finish(self, part: Part, name: str) -> PartRows:
        found = self._read(part)
        self._job.output.write(name, found.rows, found.errors)
        return found

    def _read(self, part: Part) -> PartRows:
        recognizer = self._open()
        found = PartRows()
        for outcome in recognize(recognizer, part, self._job.column):
            if isinstance(outcome, Result):
                found.rows += result_rows(outcome, recognizer.spec)
                found.images += 1
                found.faces += len(outcome.faces)
            else:
                found.errors.append(list(outcome))
        return found

    def _open(self) -> Recognizer:
        if self._recognizer is not None:
            return self._recognizer
        node, folder = os.uname().nodename, self._job.folder
        if folder and not Path(folder).is_dir():
            raise ClusterError(f"{node} has no {folder}: start the run in a folder that all have")
        os.chdir(folder or ".")
        recognizer, identity = load(self._job.options)
        if identity != self._job.identity:
            raise ClusterError(
                f"{node} has another model or face detector than the machine that started the run: "
                "install the same ones on all"
            )
        self._recognizer = recognizer
        return recognizer


def recognize(
    recognizer: Recognizer, part: Part, column: str | None
) -> Iterator[Result | tuple[str, str]]:
    """The results of a part's images in their order, and names with errors in their places.

    One thread decodes and predicts, because the other cores have workers of their own.

    Raises:
        OSError: see `read_images`.
    """
    batch: list[PreparedImage | tuple[str, str]] = []
    for name, image in read_images(part.names, column):
        batch.append(_prepare(recognizer, name, image))
        faces = sum(len(one.crops.faces) for one in batch if isinstance(one, PreparedImage))
        if faces >= BATCH_FACES or len(batch) >= BATCH_IMAGES:
            yield from _predict(recognizer, batch)
            batch.clear()
    yield from _predict(recognizer, batch)


def _prepare(
    recognizer: Recognizer, name: str, image: str | NamedBytes | SourceError
) -> PreparedImage | tuple[str, str]:
    if isinstance(image, SourceError):
        return name, str(image)
    try:
        # without the image's bytes: nobody draws it
        return replace(recognizer.prepare(image), image_source=Path(name))
    except SourceError as error:
        return name, str(error)


def _predict(
    recognizer: Recognizer, batch: list[PreparedImage | tuple[str, str]]
) -> Iterator[Result | tuple[str, str]]:
    prepared = [one for one in batch if isinstance(one, PreparedImage)]
    results = iter(recognizer.predict(prepared))
    for one in batch:
        yield next(results) if isinstance(one, PreparedImage) else one


def encode_part(part: Part, name: str) -> dict[str, Any]:
    """A part and the name of its file as a row of Ray's tables, which hold no lone surrogates."""
    names = b"\0".join(map(os.fsencode, part.names))
    return {"number": part.number, "name": name, "names": names}


def decode_part(row: Mapping[str, Any]) -> tuple[Part, str]:
    """The part and the name of its file in a row of `encode_part`."""
    names = tuple(map(os.fsdecode, bytes(row["names"]).split(b"\0")))
    return Part(int(row["number"]), names), str(row["name"])
