"""Pages in Debian's Chromium, as a person uses and sees them.

Playwright brings its own driver; no browser is downloaded.
"""

from __future__ import annotations

import io
import mimetypes
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from benchmarks.lib.web_site import chromium_options
from PIL import Image

from tests.support.files import EXAMPLE

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright isn't installed")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe isn't installed")
if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

TIMEOUT = 120_000
"""Milliseconds for what happens at once on an idle machine."""
PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1440, "height": 900}


@contextmanager
def open_chromium(folder: Path, *arguments: str) -> Iterator[Browser]:
    """Chromium, whose camera shows the example; `folder` gets the camera's film."""
    camera, jpeg = folder / "face.mjpeg", io.BytesIO()
    with Image.open(EXAMPLE) as image:
        image.convert("RGB").resize((320, 320)).save(jpeg, "jpeg")
    camera.write_bytes(jpeg.getvalue())
    try:
        options = chromium_options(
            "--use-fake-device-for-media-stream",
            "--use-fake-ui-for-media-stream",  # nobody is there to allow it
            f"--use-file-for-fake-video-capture={camera}",
            *arguments,
        )
    except FileNotFoundError as error:
        pytest.skip(str(error))
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(**options)
        yield browser
        browser.close()


def choose_image(page: Page, content: bytes, name: str = "face.png") -> None:
    kind = mimetypes.guess_type(name)[0]
    file = {"name": name, "mimeType": kind, "buffer": content}
    page.locator("#files").set_input_files(files=[file])


def overflow(page: Page) -> list[str]:
    """Elements that reach beyond the right edge of the window, unless one around them scrolls."""
    found: list[str] = page.evaluate(
        """() => {
          const width = document.documentElement.clientWidth;
          if (document.documentElement.scrollWidth <= width) return [];
          return [...document.body.querySelectorAll("*")]
            .filter((one) => one.getBoundingClientRect().right > width + 1)
            .map((one) => `${one.tagName} ${one.id} ${one.className}`);
        }"""
    )
    return found


def check_with_axe(page: Page) -> None:
    """All rules of axe-core: WCAG 2.2 A and AA, and its advice."""
    found = axe.Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
