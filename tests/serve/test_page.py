"""The page: small, self-contained, and every text in one module."""

from __future__ import annotations

import re

import pytest

from fer_edge.runtime.drawing.colours import PALETTE
from fer_edge.serve.page_files import PageFile, read_page
from tests.serve.conftest import StartServer

PAGE = {file.path: file for file in read_page()}
SCRIPTS = [file for path, file in PAGE.items() if path.endswith(".js")]
MAX_BYTES = 60_000


PAGES = [file for path, file in PAGE.items() if path == "/" or path.endswith(".html")]


def text(path: str) -> str:
    return PAGE[path].content.decode()


def test_it_is_small() -> None:
    assert sum(len(file.content) for file in PAGE.values()) < MAX_BYTES


@pytest.mark.parametrize("file", PAGE.values(), ids=lambda file: file.path)
def test_it_names_no_address_outside_itself(file: PageFile) -> None:
    found = re.findall(r"(?:https?|wss?):?//[^\s\"'`)]*|[\"'(]//\w", file.content.decode())
    assert set(found) <= {"http://www.w3.org/2000/svg"}  # a name, which no browser opens


def test_it_has_no_inline_script_or_style() -> None:
    page = "".join(file.content.decode() for file in PAGES)
    assert re.findall(r"<script(?![^>]*\bsrc=)", page) == []
    assert re.findall(r"<style|\sstyle=|\son\w+=|javascript:", page) == []
    assert "innerHTML" not in "".join(file.content.decode() for file in SCRIPTS)


def test_every_file_that_is_named_is_served(start: StartServer) -> None:
    client = start().client
    pages = "".join(file.content.decode() for file in PAGES)
    named = set(re.findall(r'(?:src|href)="([^"#]+)"', pages)) - {"./"}
    for script in SCRIPTS:
        named |= set(re.findall(r'from "\./([^"]+)"', script.content.decode()))
    assert {"style.css", "main.js", "texts.js"} <= named
    for name in named:
        assert client.get(f"/{name}").status_code == 200, name
    assert set(PAGE) - {"/"} <= {f"/{name}" for name in named}


def test_types_and_caching(start: StartServer) -> None:
    client = start().client
    got = client.get("/main.js")
    assert got.headers["content-type"].startswith("text/javascript")
    assert client.get("/").headers["content-type"].startswith("text/html")
    again = client.get("/main.js", headers={"If-None-Match": got.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_every_text_is_in_one_module() -> None:
    keys = set(re.findall(r"^  (\w+):", text("/texts.js"), re.MULTILINE))
    pages = "".join(file.content.decode() for file in PAGES)
    used = set(re.findall(r'data-(?:text|label)="(\w+)"', pages))
    for script in SCRIPTS:
        used |= set(re.findall(r"TEXTS\.(\w+)", script.content.decode()))
    assert used == keys
    words = re.findall(r">\s*([^<>\s][^<>]*)<", pages)
    assert set(words) <= {"fer-edge", "–", "This page needs JavaScript."}


@pytest.mark.parametrize("page", PAGES, ids=lambda file: file.path)
def test_every_element_that_a_script_finds_is_there(page: PageFile) -> None:
    content = page.content.decode()
    ids = re.findall(r'id="([\w-]+)"', content)
    assert len(ids) == len(set(ids))
    pending, scripts = re.findall(r'type="module" src="([\w-]+\.js)"', content), set[str]()
    assert pending
    while pending:
        script = text(f"/{pending.pop()}")
        scripts.add(script)
        imported = re.findall(r'from "\./([\w-]+\.js)"', script)
        pending += [name for name in imported if text(f"/{name}") not in scripts]
    for script in scripts:
        assert set(re.findall(r'find\("([\w-]+)"\)', script)) <= set(ids)


def luminance(colour: str) -> float:
    """WCAG 2.2: relative luminance of `#rgb` or `#rrggbb`."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * one for one in colour[1:])
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [":root", ':root[data-theme="dark"]'])
def test_text_has_the_contrast_of_wcag_aa(theme: str) -> None:
    block = text("/style.css").split(f"{theme} {{")[1].split("}")[0]
    colours = dict(re.findall(r"--([\w-]+): (#\w+)", block))
    pairs = [
        *(("text", on) for on in ("page", "card", "soft")),
        *(("muted", on) for on in ("page", "card", "soft")),
        *(("accent", on) for on in ("page", "card", "soft")),
        ("on-accent", "accent"),
        ("bad", "bad-soft"),
    ]
    low = {pair for pair in pairs if contrast(*(colours[name] for name in pair)) < 4.5}
    assert low == set()


def test_labels_are_legible_on_every_colour() -> None:
    script = text("/colours.js")
    needs_white = re.findall(r"NEEDS_WHITE = (.*);", script)[0]
    other = re.findall(r'OTHER = "(#\w+)"', script)
    for colour in (*PALETTE, *other):
        ink = "#ffffff" if colour in needs_white else "#000000"
        assert ink in script
        assert contrast(ink, colour) >= 4.5, colour


def test_the_palette_is_that_of_annotated_images() -> None:
    script = text("/colours.js")
    listed = re.findall(r'"(#\w+)"', script.split("PALETTE = [")[1].split("]")[0])
    assert tuple(listed) == PALETTE
