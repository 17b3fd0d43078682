"""Who may call the server: names, origins and the token are checked before anything else.

A page on the web can make a browser send requests to this machine. The Host header reveals a name
that was pointed here for that (DNS rebinding), the Origin header a page of another origin.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
import socket
from http import HTTPStatus

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fer_edge.serve.problems import problem_response
from fer_edge.serve.settings import Settings, is_loopback

COOKIE = "fer_edge_session"
PUBLIC = frozenset(("/", "/healthz", "/login", "/logout"))
"""Paths that need no token, besides the page's own files: they show nothing of the camera."""
_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:\d{1,5})?")
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        "connect-src 'self'; media-src 'self' blob:; manifest-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
}
"""Of every response."""
_RAW_HEADERS = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
_UNCACHED_HEADERS = [*_RAW_HEADERS, (b"cache-control", b"no-store")]


class RequestGuard:
    """Checks the Host and the Origin of every request; adds the security headers to responses."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app, self._settings = app, settings
        self._names = _own_names(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return

        async def send_secured(message: Message) -> None:
            if message["type"].endswith("http.response.start"):
                headers = list(message.get("headers", ()))
                has_own = any(name == b"cache-control" for name, _ in headers)
                message["headers"] = headers + (_RAW_HEADERS if has_own else _UNCACHED_HEADERS)
            await send(message)

        app = self._app
        headers = HTTPConnection(scope).headers
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self._is_known(host):
            app = problem_response(
                HTTPStatus.MISDIRECTED_REQUEST,
                f"this server isn't called {host!r}: use its address, or start it with "
                "--allow-host NAME",
            )
        elif origin is not None and self._is_foreign(scope, host, origin):
            app = problem_response(
                HTTPStatus.FORBIDDEN,
                f"a page of {origin!r} may not call this server: start it with --allow-origin",
            )
        await app(scope, receive, send_secured)

    def _is_known(self, host: str) -> bool:
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        name = found["name"].strip("[]").lower()
        if name in self._names or is_loopback(name):
            return True
        try:  # an address cannot be pointed elsewhere
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return self._settings.is_public

    def _is_foreign(self, scope: Scope, host: str, origin: str) -> bool:
        if scope["type"] == "http" and scope["method"] in _SAFE_METHODS:
            return False  # without CORS, browsers don't let other pages read the response
        return origin not in (f"http://{host}", f"https://{host}", *self._settings.origins)


class TokenGuard:
    """Refuses requests without the token, except for public paths.

    Args:
        app: what is guarded.
        token: None: nothing is refused.
        public: paths that need no token.
    """

    def __init__(self, app: ASGIApp, token: str | None, public: frozenset[str]) -> None:
        self._app, self._token, self._public = app, token, public

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        is_open = self._token is None or scope["type"] == "lifespan"
        if not (is_open or scope["path"] in self._public or self._has_token(HTTPConnection(scope))):
            refusal = problem_response(
                HTTPStatus.UNAUTHORIZED,
                "a token is needed: send the header Authorization: Bearer TOKEN, or log in on the "
                "page",
                {"WWW-Authenticate": "Bearer"},
            )
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _has_token(self, connection: HTTPConnection) -> bool:
        assert self._token is not None
        scheme, _, given = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and is_equal(given.strip(), self._token):
            return True
        return is_equal(connection.cookies.get(COOKIE, ""), session_value(self._token))


def session_value(token: str) -> str:
    """The cookie of a browser that has logged in: from it, nobody can find the token."""
    return hmac.digest(token.encode(), b"fer-edge session", "sha256").hex()


def is_equal(given: str, expected: str) -> bool:
    """Compare secrets in a time that does not depend on where they differ."""
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), expected.encode())


def _own_names(settings: Settings) -> frozenset[str]:
    """Names under which this machine is reached, in lower case."""
    names = {"localhost", *settings.hosts}
    if settings.is_public:
        machine = socket.gethostname()
        names |= {settings.host, machine, f"{machine.partition('.')[0]}.local"}
    return frozenset(name.lower() for name in names)
