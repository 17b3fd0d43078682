"""The page's login: the token goes once over the network, and a cookie stands for it."""

from __future__ import annotations

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fer_edge.documents import parse_json
from fer_edge.serve.limits import read_limited
from fer_edge.serve.problems import Problem
from fer_edge.serve.security import COOKIE, is_equal, session_value
from fer_edge.serve.settings import Settings

COOKIE_AGE = 30 * 24 * 3600
"""Seconds for which a browser stays logged in."""
MAX_BODY = 4096
"""Bytes of a login's body."""


def login_routes(settings: Settings) -> list[Route]:
    """`POST /login` of `{"token": "..."}` and `POST /logout`."""

    async def login(request: Request) -> Response:
        given = await _read_token(request, settings.limits.body_timeout)
        response = Response(status_code=HTTPStatus.NO_CONTENT)
        if settings.token is None:
            return response
        if not is_equal(given, settings.token):
            raise Problem(HTTPStatus.UNAUTHORIZED, "the token is wrong")
        response.set_cookie(
            COOKIE,
            session_value(settings.token),
            max_age=COOKIE_AGE,
            secure=settings.scheme == "https",
            httponly=True,
            samesite="strict",
        )
        return response

    async def logout(_: Request) -> Response:
        response = Response(status_code=HTTPStatus.NO_CONTENT)
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return response

    return [
        Route("/login", login, methods=["POST"]),
        Route("/logout", logout, methods=["POST"]),
    ]


async def _read_token(request: Request, timeout: float) -> str:
    content = b"".join([chunk async for chunk in read_limited(request, MAX_BODY, timeout)])
    try:
        token = parse_json(content)["token"]
    except (ValueError, KeyError, TypeError):
        token = None
    if not isinstance(token, str):
        raise Problem(HTTPStatus.BAD_REQUEST, 'send {"token": "..."}')
    return token
