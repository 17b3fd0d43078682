"""What the OpenAPI document promises is what clients get."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from fer_edge.runtime.recognizer import Recognizer
from fer_edge.serve.json_schema import make_schemas
from fer_edge.serve.openapi import make_document
from fer_edge.serve.settings import Limits
from tests.serve.conftest import StartServer
from tests.serve.fake_camera import FakeCamera
from tests.serve.test_live import events
from tests.support.files import EXAMPLE

DOCUMENT = make_document(Limits())
IMAGE = EXAMPLE.read_bytes()


def check(found: object, name: str, document: dict[str, Any] = DOCUMENT) -> None:
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    jsonschema.validate(found, schema, jsonschema.Draft202012Validator)


def test_the_schemas_are_valid() -> None:
    for schema in DOCUMENT["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_real_responses_match_the_served_document(
    start: StartServer, camera: FakeCamera, yunet: Any
) -> None:
    assert camera
    run = start(Recognizer.load(detector=yunet, faces="detect"), source="0")
    document = run.client.get("/openapi.json").json()
    assert document == DOCUMENT
    body = run.client.post("/v1/predict", content=IMAGE).json()
    assert body["faces"]
    check(body, "Result")
    files = [("a", ("a.png", IMAGE)), ("a", ("b.png", b"no"))]
    form = run.client.post("/v1/predict", files=files).json()
    assert form["errors"]
    check(form, "Predictions")
    check(run.client.get("/v1/model").json(), "ModelSpec")


def test_a_stream_and_errors_match_too(start: StartServer, camera: FakeCamera) -> None:
    assert camera
    run = start(source="0")
    seen = set()
    for kind, document in events(run):
        check(document, {"result": "Result", "status": "Status"}[kind])
        seen.add(kind)
        if len(seen) == 2:
            assert document.get("faces", [{"track": 1}])[0]["track"]
            break
    check(run.client.get("/v1/status").json(), "Status")
    check(run.client.post("/v1/predict", content=b"no").json(), "ProblemDetails")
    check(run.client.get("/nothing").json(), "ProblemDetails")


def test_another_result_does_not_match() -> None:
    result = {"source": "a", "width": 1, "height": 1, "faces_from": "whole", "faces": []}
    check(result, "Result")
    for changed in (
        {**result, "width": "1"},
        {**result, "more": 1},
        {**result, "faces_from": "guess"},
        {**result, "faces": [{}]},
        {key: value for key, value in result.items() if key != "faces"},
    ):
        with pytest.raises(jsonschema.ValidationError):
            check(changed, "Result")


def test_fields_are_described_from_the_docstrings() -> None:
    face = DOCUMENT["components"]["schemas"]["Face"]["properties"]
    assert face["box"]["description"].startswith("x, y, width, height in pixels")
    assert face["score"]["description"].startswith("the detector's confidence")
    result = DOCUMENT["components"]["schemas"]["Result"]["properties"]
    assert result["width"]["description"] == result["height"]["description"]
    assert "image_source" not in result


def test_every_path_is_there(start: StartServer) -> None:
    client = start().client
    for path, methods in DOCUMENT["paths"].items():
        for method in methods:
            got = client.request(method, path)
            assert got.status_code != 405
            documented = methods[method]["responses"]
            assert str(got.status_code) in documented, (path, got.status_code)


def test_a_type_that_has_no_schema_is_an_error() -> None:
    from dataclasses import make_dataclass

    with pytest.raises(KeyError):
        make_schemas(make_dataclass("Odd", [("field", bytes)]))
