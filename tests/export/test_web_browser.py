"""The page of `fer export --format web` in Debian's Chromium."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from benchmarks.lib.web_site import ENGINE, predict_in_page, serve_folder, write_site
from PIL import Image

from fer_edge.export.golden import draw_faces
from fer_edge.export.web_page import MODEL_NAME
from fer_edge.runtime.backends import open_backend
from fer_edge.runtime.formats.model_files import BUNDLED, bundled
from fer_edge.runtime.recognizer import Recognizer
from fer_edge.spec import ModelSpec
from fer_edge.train.data.fer2013 import read_fer2013
from tests.support.files import EXAMPLE, PHOTO, ROOT
from tests.support.web_pages import (
    DESKTOP,
    PHONE,
    TIMEOUT,
    check_with_axe,
    choose_image,
    open_chromium,
    overflow,
    sync_api,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

expect = sync_api.expect
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(ENGINE is None, reason="FER_EDGE_ONNXRUNTIME_WEB isn't set"),
]
FACES = 256
SMALLER = "small"
READ = """async (text) => {
  const { predictFile } = await import("./api.js");
  const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
  return predictFile(new File([bytes], "image.png", { type: "image/png" }));
}"""
OpenPage = Callable[..., "Page"]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium, whose camera shows the example."""
    with open_chromium(tmp_path_factory.mktemp("camera")) as browser:
        yield browser


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the page with the smallest model."""
    return write_site(tmp_path_factory.mktemp("page"), bundled("model", SMALLER))


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Opens a page of an address in a browser profile of its own.

    No script of it may fail, nothing may break its Content-Security-Policy, and it may send nothing
    and ask nobody but its server.
    """
    faults: list[str] = []
    contexts = []

    def note_request(one: Any, address: str) -> None:
        if one.method != "GET" or not one.url.startswith((address, "blob:", "data:")):
            faults.append(f"{one.method} {one.url}")

    def note_message(message: Any) -> None:
        if "Content Security Policy" in message.text:
            faults.append(message.text)

    def open(address: str, name: str = "", **options: Any) -> Page:
        context = browser.new_context(**{"viewport": DESKTOP, **options})
        contexts.append(context)
        context.set_default_timeout(TIMEOUT)
        context.on("request", lambda one: note_request(one, address))
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", note_message)
        page.goto(address + name)
        return page

    expect.set_options(timeout=TIMEOUT)
    yield open
    for context in contexts:
        context.close()
    assert faults == []


def expect_ready(page: Page) -> None:
    expect(page.locator("#self-test")).to_contain_text("Self-test: 16 faces as in PyTorch")


def expect_happy(page: Page) -> None:
    expect(page.locator("#picture")).to_have_attribute("aria-label", "Live picture: Face 1: happy")


def to_png(path: Path) -> bytes:
    png = io.BytesIO()
    with Image.open(path) as image:
        image.convert("RGB").save(png, "png", compress_level=1)
    return png.getvalue()


@pytest.mark.parametrize("name", BUNDLED)
def test_labels_are_those_of_python(
    name: str, open_page: OpenPage, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    backend = open_backend(bundled("model", name), backend="onnxruntime")
    spec: ModelSpec = backend.spec
    data = read_fer2013(request.getfixturevalue("fer2013")).split("test").pixels[:FACES]
    faces = np.concatenate([draw_faces(spec.input.side), data])
    with serve_folder(write_site(tmp_path, bundled("model", name))) as (address, _):
        page = open_page(address)
        expect_ready(page)
        logits, _ = predict_in_page(page, faces, len(spec.labels))
    expected = backend(faces)
    assert (logits.argmax(1) == expected.argmax(1)).all()
    assert np.abs(logits - expected).max() < 1e-4


def test_a_photograph_is_read_as_by_the_package(site: Path, open_page: OpenPage) -> None:
    content = to_png(PHOTO)
    recognizer = Recognizer.load(SMALLER, backend="onnxruntime", detector="built-in")
    expected = recognizer(content)
    with serve_folder(site) as (address, _):
        page = open_page(address)
        expect_ready(page)
        found = page.evaluate(READ, base64.b64encode(content).decode())
    assert (found["width"], found["height"]) == (expected.width, expected.height)
    assert [face["box"] for face in found["faces"]] == [[*face.box] for face in expected.faces]
    for one, other in zip(found["faces"], expected.faces, strict=True):
        assert one["emotion"] == other.emotion
        for label, value in other.probabilities.items():
            assert abs(one["probabilities"][label] - value) < 1e-4, label


def test_images_and_the_camera_are_read(site: Path, open_page: OpenPage) -> None:
    with serve_folder(site) as (address, _):
        page = open_page(address)
        expect_ready(page)
        choose_image(page, PHOTO.read_bytes(), "astronaut.jpg")
        expect(page.locator(".result h3")).to_have_text(["astronaut.jpg1 face"])
        expect(page.locator(".result h4")).to_have_text(["Face 1: happy"])
        choose_image(page, b"no image", "torn.png")
        expect(page.locator(".result .notice.bad")).to_have_text(
            ["Not read: this browser can't decode it"]
        )
        page.get_by_role("button", name="Start the camera").click()
        expect_happy(page)
        expect(page.locator("#recording")).to_have_text("Camera is on")
        page.get_by_role("button", name="Stop the camera").click()
        expect(page.locator("#empty")).to_contain_text("The camera is off")
        expect(page.locator("#recording")).to_be_hidden()
        expect(page.locator("video")).to_have_count(0)  # and the camera is off


def test_it_works_without_its_server_after_the_first_visit(site: Path, open_page: OpenPage) -> None:
    with serve_folder(site) as (address, _):
        page = open_page(address)
        expect(page.locator("#offline")).to_have_text("Works without a network.")
    page.reload()  # the server is gone
    expect_ready(page)
    choose_image(page, EXAMPLE.read_bytes())
    expect(page.locator(".result h4")).to_have_text(["Face 1: happy"])


def test_a_damaged_model_is_named(open_page: OpenPage, tmp_path: Path) -> None:
    site = write_site(tmp_path, bundled("model", SMALLER))
    model = site / MODEL_NAME
    model.write_bytes(model.read_bytes()[:-100])
    with serve_folder(site) as (address, _):
        page = open_page(address)
        expect(page.locator("#empty")).to_contain_text("The model could not be loaded")
        expect(page.locator("#notice")).to_contain_text("the model: damaged or cut off")
        expect(page.locator("#camera")).to_be_disabled()
        expect(page.locator("#files")).to_be_disabled()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_axe_finds_no_fault(
    site: Path, open_page: OpenPage, theme: str, viewport: dict[str, int]
) -> None:
    with serve_folder(site) as (address, _):
        page = open_page(address, color_scheme=theme, viewport=viewport, reduced_motion="reduce")
        expect(page.locator("html")).to_have_attribute("data-theme", theme)
        expect_ready(page)
        check_with_axe(page)
        page.get_by_role("button", name="Start the camera").click()
        expect_happy(page)
        choose_image(page, EXAMPLE.read_bytes(), f"{'a-long-name-' * 9}.png")
        expect(page.locator(".result")).to_have_count(1)
        assert overflow(page) == []
        check_with_axe(page)


def test_the_example_reads_an_image(open_page: OpenPage, tmp_path: Path) -> None:
    site = write_site(tmp_path, bundled("model", SMALLER))
    folder = ROOT / "examples" / "browser"
    (site / "example.html").write_bytes((folder / "index.html").read_bytes())
    (site / "reader_example.js").write_bytes((folder / "reader_example.js").read_bytes())
    with serve_folder(site) as (address, _):
        page = open_page(address)  # whose service worker leaves other pages alone
        expect(page.locator("#offline")).not_to_be_empty()
        page.goto(f"{address}example.html")
        page.locator("#file").set_input_files(files=[PHOTO])
        expect(page.locator("#result")).to_contain_text('"emotion": "happy"')
