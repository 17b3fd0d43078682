"""`POST /v1/predict`: images of a request, recognized in a few threads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, replace
from http import HTTPStatus
from time import monotonic
from typing import Any, NamedTuple

from python_multipart.exceptions import FormParserError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from fer_edge.errors import FerEdgeError, SourceError
from fer_edge.runtime.device.cpu import count_usable_cores
from fer_edge.runtime.recognizer import Recognizer
from fer_edge.runtime.results import Result
from fer_edge.serve.limits import Slots, read_limited
from fer_edge.serve.metrics import Metrics
from fer_edge.serve.problems import Problem
from fer_edge.serve.settings import Limits
from fer_edge.text import printable

MAX_FIELDS = 16
"""Fields of a form that are no files; they are ignored."""
MAX_NAME = 200
"""Characters of an uploaded file's name that are kept."""


class Upload(NamedTuple):
    """An uploaded image. Its name is what its result and an error call it, and nothing else."""

    name: str
    content: bytes


@dataclass(frozen=True)
class Failure:
    """An image of a request that cannot be read.

    Attributes:
        index: its place among the images, from 0.
        source: its name.
        detail: what was wrong.
    """

    index: int
    source: str
    detail: str


@dataclass(frozen=True)
class Predictions:
    """The images of a multipart request: `results` of those that were read, in their order."""

    results: tuple[Result, ...]
    errors: tuple[Failure, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "results": [result.to_dict() for result in self.results],
            "errors": [vars(failure) for failure in self.errors],
        }


class Predictor:
    """Recognizes the images of requests, as many at once as there are cores.

    Args:
        recognizer: shared by the threads.
        limits: of the requests.
        metrics: counts requests and faces.
    """

    def __init__(self, recognizer: Recognizer, limits: Limits, metrics: Metrics) -> None:
        self._recognizer, self._limits, self._metrics = recognizer, limits, metrics
        self._slots = Slots(limits.max_requests)
        self._pool = ThreadPoolExecutor(min(limits.max_requests, count_usable_cores()), "predict")
        metrics.queue.set_function(lambda: self._slots.used)

    def stop(self) -> None:
        """Give up what waits; what is computed ends by itself."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def __call__(self, request: Request) -> dict[str, Any]:
        """The result of an image that is the body, or the `Predictions` of a multipart form.

        Raises:
            Problem: a limit is reached, there is no image, or the only image cannot be read.
        """
        began = monotonic()
        self._slots.take()
        try:
            uploads, is_form = await read_uploads(request, self._limits)
            job = self._pool.submit(recognize, self._recognizer, uploads)
        except BaseException:
            self._slots.give_back()
            raise
        # by its thread, for which a request that is given up does not wait, nor the server's end
        job.add_done_callback(lambda _: self._slots.give_back())
        found = await self._wait(job)
        self._metrics.faces.labels("request").inc(sum(len(one.faces) for one in found.results))
        self._metrics.seconds.observe(monotonic() - began)
        if found.errors and not found.results:
            details = "; ".join(failure.detail for failure in found.errors)
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, details)
        return found.to_dict() if is_form else found.results[0].to_dict()

    async def _wait(self, job: Future[Predictions]) -> Predictions:
        try:
            async with asyncio.timeout(self._limits.request_timeout):
                return await asyncio.wrap_future(job)
        except TimeoutError:
            raise Problem(
                HTTPStatus.GATEWAY_TIMEOUT,
                f"not done within {self._limits.request_timeout:g} s (--timeout)",
            ) from None
        except FerEdgeError as error:
            raise Problem(HTTPStatus.INTERNAL_SERVER_ERROR, str(error)) from None


def recognize(recognizer: Recognizer, uploads: Sequence[Upload]) -> Predictions:
    """Recognize the faces of uploaded images, one after the other."""
    results, errors = [], []
    for index, upload in enumerate(uploads):
        try:
            results.append(replace(recognizer(upload.content), source=upload.name))
        except SourceError as error:
            detail = f"{upload.name}: {str(error).removeprefix('bytes: ')}"
            errors.append(Failure(index, upload.name, printable(detail)))
    return Predictions(tuple(results), tuple(errors))


async def read_uploads(request: Request, limits: Limits) -> tuple[list[Upload], bool]:
    """The images of a request, and whether they are those of a form.

    Raises:
        Problem: a limit is reached, the form is damaged, or there is no image.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    async with aclosing(read_limited(request, limits.max_body, limits.body_timeout)) as body:
        if kind == "multipart/form-data":
            uploads = await _read_form(request, body, limits)
        else:  # whatever the client calls it: the content says what it is
            content = b"".join([chunk async for chunk in body])
            uploads = [Upload("body", content)] if content else []
    if not uploads:
        raise Problem(
            HTTPStatus.BAD_REQUEST, "no image: send one as the body, or as files of a form"
        )
    return uploads, kind == "multipart/form-data"


async def _read_form(
    request: Request, body: AsyncGenerator[bytes, None], limits: Limits
) -> list[Upload]:
    parser = MultiPartParser(
        request.headers, body, max_files=limits.max_images, max_fields=MAX_FIELDS
    )
    parser.spool_max_size = limits.max_body + 1  # never to a file: images are not stored
    try:
        form = await parser.parse()
    except (MultiPartException, FormParserError) as error:
        if str(error).startswith("Too many files"):
            raise Problem(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"over the limit of {limits.max_images} images of a request (--max-images)",
            ) from None
        raise Problem(HTTPStatus.BAD_REQUEST, f"the form cannot be read: {error}") from None
    files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
    try:
        return [
            Upload((file.filename or f"image {i}")[:MAX_NAME], await file.read())
            for i, file in enumerate(files)
        ]
    finally:
        await form.close()
