"""The page's files, read once: no folder is served, and no name of a client reaches the disk."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

MEDIA_TYPES = {
    "css": "text/css",
    "html": "text/html",
    "js": "text/javascript",
    "svg": "image/svg+xml",
    "webmanifest": "application/manifest+json",
}
"""By a file's suffix; others aren't served."""
INDEX = "index.html"


@dataclass(frozen=True)
class PageFile:
    """A file of the page: its path on the server, its content and its type."""

    path: str
    content: bytes
    media_type: str


def read_page() -> tuple[PageFile, ...]:
    """The files of the page in the package."""
    folder = files("fer_edge.serve") / "page"
    found = []
    for file in sorted(folder.iterdir(), key=lambda one: one.name):
        media_type = MEDIA_TYPES.get(file.name.rpartition(".")[2])
        if media_type is not None:
            path = "/" if file.name == INDEX else f"/{file.name}"
            found.append(PageFile(path, file.read_bytes(), media_type))
    return tuple(found)


def page_routes(page: tuple[PageFile, ...]) -> list[Route]:
    """A route for each file; a browser that has it already gets 304."""
    return [Route(one.path, _respond_with(one)) for one in page]


def _respond_with(file: PageFile) -> Callable[[Request], Awaitable[Response]]:
    tag = f'"{hashlib.sha256(file.content).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache"}

    async def respond(request: Request) -> Response:
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(file.content, media_type=file.media_type, headers=headers)

    return respond
