"""The OpenAPI document: its schemas are made from the dataclasses that clients get."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fer_edge import __version__
from fer_edge.runtime.results import Result
from fer_edge.serve.json_schema import REFERENCE, make_schemas
from fer_edge.serve.predict import Predictions
from fer_edge.serve.problems import MEDIA_TYPE, ProblemDetails
from fer_edge.serve.settings import Limits
from fer_edge.serve.streams import Status
from fer_edge.spec import ModelSpec

VERSION = "3.1.0"
PREDICT_ERRORS = (
    HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT,
)  # fmt: skip
GUARD_ERRORS = (
    HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.MISDIRECTED_REQUEST,
)  # fmt: skip
"""Of every path that needs the token."""
VIEWER_ERRORS = (HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE)


def make_document(limits: Limits) -> dict[str, Any]:
    """The OpenAPI document of a server with these limits."""
    return {
        "openapi": VERSION,
        "info": {
            "title": "fer-edge",
            "version": __version__,
            "description": "Facial expressions in images, and the live stream of a camera.",
        },
        "paths": _paths(limits),
        "components": {
            "schemas": make_schemas(Result, Predictions, ModelSpec, Status, ProblemDetails),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}, {}],
    }


def _paths(limits: Limits) -> dict[str, Any]:
    binary = {"type": "string", "format": "binary"}
    form = {
        "type": "object",
        "additionalProperties": {"type": "array", "items": binary, "maxItems": limits.max_images},
    }
    predict = _operation(
        "Recognize the expressions in one image, or in several of a form",
        _json("Predictions", "Result"),
        PREDICT_ERRORS,
    )
    predict["requestBody"] = {
        "required": True,
        "description": f"At most {limits.max_body:,} bytes.",
        "content": {
            "image/*": {"schema": binary},
            "multipart/form-data": {"schema": form},
        },
    }
    text = {"text/plain": {"schema": {"type": "string"}}}
    events = {"text/event-stream": {"schema": {"type": "string"}}}
    video = {"multipart/x-mixed-replace": {"schema": binary}}
    return {
        "/v1/predict": {"post": predict},
        "/v1/model": {"get": _operation("The model's spec", _json("ModelSpec"))},
        "/v1/status": {"get": _operation("The camera and the board", _json("Status"))},
        "/v1/stream": {
            "get": _operation(
                "Server-sent events: `result` with a Result, `status` with a Status",
                events,
                VIEWER_ERRORS,
            )
        },
        "/v1/video.mjpg": {
            "get": _operation("The camera's frames as motion JPEG", video, VIEWER_ERRORS)
        },
        "/healthz": {"get": _operation("Whether the process runs", text, guarded=False)},
        "/readyz": {
            "get": _operation(
                "Whether the camera is open", _json("Status"), (HTTPStatus.SERVICE_UNAVAILABLE,)
            )
        },
        "/metrics": {"get": _operation("Metrics for Prometheus", text)},
    }


def _json(*names: str) -> dict[str, Any]:
    schemas = [{"$ref": REFERENCE + name} for name in names]
    schema = schemas[0] if len(schemas) == 1 else {"oneOf": schemas}
    return {"application/json": {"schema": schema}}


def _operation(
    summary: str,
    content: dict[str, Any],
    errors: tuple[HTTPStatus, ...] = (),
    *,
    guarded: bool = True,
) -> dict[str, Any]:
    problem = {MEDIA_TYPE: {"schema": {"$ref": f"{REFERENCE}ProblemDetails"}}}
    listed = sorted({*errors, *(GUARD_ERRORS if guarded else ())})
    responses = {str(int(one)): {"description": one.phrase, "content": problem} for one in listed}
    operation: dict[str, Any] = {
        "summary": summary,
        "responses": {"200": {"description": "OK", "content": content}, **responses},
    }
    if not guarded:
        operation["security"] = [{}]
    return operation
