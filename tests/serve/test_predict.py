from __future__ import annotations

import json

import pytest

from fer_edge.runtime.recognizer import Recognizer
from tests.commands.test_infer import EXAMPLE
from tests.serve.conftest import StartServer
from tests.support.commands import Fer

IMAGE = EXAMPLE.read_bytes()


def test_a_body_gets_the_result_of_the_command_line(start: StartServer, fer: Fer) -> None:
    got = start().client.post("/v1/predict", content=IMAGE)
    assert got.status_code == 200
    printed = json.loads(fer("infer", "--json", "--faces", "whole", EXAMPLE).out)
    assert got.json() == {**printed, "source": "body"}
    assert got.json()["faces"][0]["emotion"] == "happy"


@pytest.mark.parametrize("kind", ["image/png", "application/x-www-form-urlencoded", ""])
def test_whatever_the_body_is_called_the_content_counts(start: StartServer, kind: str) -> None:
    got = start().client.post("/v1/predict", content=IMAGE, headers={"Content-Type": kind})
    assert got.status_code == 200


def test_a_form_of_several_images_keeps_what_can_be_read(start: StartServer) -> None:
    files = [
        ("a", ("first.png", IMAGE)),
        ("a", ("notes.txt", b"no image")),
        ("b", ("../../etc/passwd", IMAGE)),
    ]
    got = start().client.post("/v1/predict", files=files, data={"comment": "ignored"})
    assert got.status_code == 200
    document = got.json()
    assert [one["source"] for one in document["results"]] == ["first.png", "../../etc/passwd"]
    (error,) = document["errors"]
    assert (error["index"], error["source"]) == (1, "notes.txt")
    assert error["detail"].startswith("notes.txt: ")


def test_an_image_that_cannot_be_read_is_a_problem(start: StartServer) -> None:
    client = start().client
    for got in (
        client.post("/v1/predict", content=b"no image"),
        client.post("/v1/predict", files={"a": ("no.png", b"no image")}),
    ):
        assert got.status_code == 422
        assert got.headers["content-type"] == "application/problem+json"
        assert got.json()["detail"].endswith(": not an image")


@pytest.mark.parametrize(
    ("content", "kind", "detail"),
    [
        (b"", "image/png", "no image: send one"),
        (b"x", "multipart/form-data", "cannot be read: Missing boundary"),
        (b"x", "multipart/form-data; boundary=b", "the form cannot be read: "),
        (b"--b--\r\n", "multipart/form-data; boundary=b", "no image: send one"),
    ],
)
def test_a_body_without_an_image(
    start: StartServer, content: bytes, kind: str, detail: str
) -> None:
    headers = {"Content-Type": kind}
    got = start().client.post("/v1/predict", content=content, headers=headers)
    assert got.status_code == 400
    assert detail in got.json()["detail"]


def test_a_name_with_control_characters_comes_back_whole(start: StartServer) -> None:
    files = {"a": ("a\u202eb.png", IMAGE)}
    got = start().client.post("/v1/predict", files=files)
    assert "\u202e" not in got.text
    assert got.json()["results"][0]["source"] == "a\u202eb.png"


def test_the_model(start: StartServer, recognizer: Recognizer) -> None:
    got = start().client.get("/v1/model").json()
    assert got["labels"] == list(recognizer.spec.labels)
    assert got["name"] == recognizer.spec.name


def test_what_is_not_there_is_a_problem(start: StartServer) -> None:
    client = start().client
    for method, path, status in (
        ("GET", "/v1/nothing", 404),
        ("GET", "/../pyproject.toml", 404),
        ("GET", "/v1/predict", 405),
        ("GET", "/v1/stream", 404),
        ("GET", "/v1/video.mjpg", 404),
    ):
        got = client.request(method, path)
        assert got.status_code == status
        assert got.headers["content-type"] == "application/problem+json"
        assert got.json()["status"] == status
    assert "fer serve SOURCE" in client.get("/v1/stream").json()["detail"]


def test_metrics_count_requests_and_faces(start: StartServer) -> None:
    run = start()
    run.client.post("/v1/predict", content=IMAGE)
    run.client.get("/made/up/by/a/client")
    text = run.client.get("/metrics").text
    assert 'fer_requests_total{method="POST",path="/v1/predict",status="200"} 1.0' in text
    assert 'fer_requests_total{method="GET",path="other",status="404"} 1.0' in text
    assert "made" not in text
    assert "_created" not in text
    assert 'fer_faces_total{origin="request"} 1.0' in text
    assert "fer_predict_seconds_count 1.0" in text
    assert run.metric("fer_queue") == 0


def test_health(start: StartServer) -> None:
    client = start().client
    assert client.get("/healthz").text == "ok\n"
    assert client.get("/readyz").json()["camera"] == "none"
