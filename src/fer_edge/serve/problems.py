"""Errors as clients get them: problem details, RFC 9457."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from fer_edge.text import format_json, printable, shorten

MEDIA_TYPE = "application/problem+json"
_MAX_DETAIL = 1000
"""Characters of a detail, which may quote a name of the client."""


@dataclass(frozen=True)
class ProblemDetails:
    """The body of an error.

    Attributes:
        title: the name of the HTTP status.
        status: its number.
        detail: what was wrong and what to do.
        type: "about:blank": the status has the meaning that HTTP gives it.
    """

    title: str
    status: int
    detail: str
    type: str = "about:blank"


class Problem(HTTPException):
    """An error that ends a request.

    Args:
        status: of the response.
        detail: what was wrong and what to do.
        headers: of the response.
    """

    def __init__(
        self, status: HTTPStatus, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status, detail, dict(headers or {}))

    @property
    def response(self) -> Response:
        """The response that a client gets."""
        return problem_response(self.status_code, self.detail, self.headers)


def busy(detail: str, seconds: int = 1) -> Problem:
    """A limit of the server is reached: 503, to be tried again after some seconds."""
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, {"Retry-After": str(seconds)})


def problem_response(
    status: int, detail: str, headers: Mapping[str, str] | None = None
) -> Response:
    """A response of problem details."""
    document = ProblemDetails(
        HTTPStatus(status).phrase, int(status), printable(shorten(detail, _MAX_DETAIL))
    )
    return Response(
        format_json(asdict(document)), status, media_type=MEDIA_TYPE, headers=dict(headers or {})
    )


def on_http_error(_: Request, error: Exception) -> Response:
    """Starlette's own errors, such as 404, and every `Problem`."""
    assert isinstance(error, HTTPException)
    return problem_response(error.status_code, error.detail, error.headers)


def on_disconnect(_: Request, __: Exception) -> Response:
    """The client left while it sent its body: nobody gets this."""
    return Response(status_code=HTTPStatus.BAD_REQUEST)


def on_bug(_: Request, __: Exception) -> Response:
    """What nothing has foreseen: the server logs it, and the client learns no details."""
    return problem_response(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "the server's log has the reason",
        {"Connection": "close"},  # uvicorn closes it, and clients would send their next request
    )
