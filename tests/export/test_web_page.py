"""The files of the page for browsers: complete, small, and with no address outside."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fer_edge.errors import ConfigError
from fer_edge.export.web_page import (
    DETECTOR_NAME,
    ENGINE_FILES,
    LIST_NAME,
    MODEL_NAME,
    UNCACHED,
    find_engine,
    read_page,
    write_page,
)
from tests.support.files import write_files
from tests.support.web_engine import write_engine

MAX_BYTES = 80_000
"""Of what is neither a model nor the engine."""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_engine(tmp_path_factory.mktemp("npm"))


@pytest.fixture(scope="module")
def page(engine: Path) -> dict[str, bytes]:
    return read_page(find_engine(engine))


def scripts(page: dict[str, bytes]) -> dict[str, str]:
    return {
        name: content.decode()
        for name, content in page.items()
        if name.endswith(".js") and "/" not in name
    }


def test_an_engine_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"has no dist/ort\S+: run npm install onnxruntime-web"):
        find_engine(tmp_path)
    write_files(tmp_path, {f"dist/{next(iter(ENGINE_FILES))}": ""})
    with pytest.raises(ConfigError, match=r"has no dist/ort-wasm\S+\.wasm: run npm install"):
        find_engine(tmp_path)


def test_the_engine_is_found_by_its_package_or_its_folder(engine: Path) -> None:
    assert find_engine(engine) == find_engine(engine / "dist") == engine / "dist"


def test_it_is_small(page: dict[str, bytes]) -> None:
    others = {DETECTOR_NAME, *ENGINE_FILES.values()}
    assert sum(len(content) for name, content in page.items() if name not in others) < MAX_BYTES


def test_every_file_that_is_named_is_there(page: dict[str, bytes]) -> None:
    html = page["index.html"].decode()
    named = set(re.findall(r'(?:src|href)="([^"#]+)"', html))
    for script in scripts(page).values():
        named |= set(re.findall(r'(?:from|import) "\./([^"]+)"', script))
        named |= set(re.findall(r'"(\w+\.(?:onnx|js))"', script))
    written = {*page, MODEL_NAME, LIST_NAME}
    assert named <= written
    assert set(page) - named == {"index.html", "package.json", *list(ENGINE_FILES.values())[1:]}


def test_it_names_no_address_outside_itself(page: dict[str, bytes]) -> None:
    texts = [*scripts(page).values(), page["index.html"].decode(), page["style.css"].decode()]
    found = re.findall(r"(?:https?|wss?):?//[^\s\"'`)]*", "".join(texts))
    assert set(found) <= {"http://www.w3.org/2000/svg"}  # a name, which no browser opens


def test_the_page_allows_itself_alone(page: dict[str, bytes]) -> None:
    html = page["index.html"].decode()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', html)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    for sources in rules.values():
        assert set(sources.split()) <= {"'self'", "'none'", "'wasm-unsafe-eval'", "blob:"}
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", html) == []
    assert "innerHTML" not in "".join(scripts(page).values())


def test_every_text_and_element_is_there(page: dict[str, bytes]) -> None:
    html, files = page["index.html"].decode(), scripts(page)
    shared, own = (
        set(re.findall(r"^  (\w+):", files[name], re.MULTILINE))
        for name in ("texts.js", "own_texts.js")
    )
    assert not shared & own
    used = set(re.findall(r'data-(?:text|label)="(\w+)"', html))
    for script in files.values():
        used |= set(re.findall(r"TEXTS\.(\w+)", script))
    assert own <= used <= shared | own
    ids = re.findall(r'id="([\w-]+)"', html)
    assert len(ids) == len(set(ids))
    for script in files.values():
        assert set(re.findall(r'find\("([\w-]+)"\)', script)) <= set(ids)


def test_the_list_names_what_a_browser_keeps(page: dict[str, bytes], tmp_path: Path) -> None:
    size = write_page(tmp_path, {**page, MODEL_NAME: b"one"})
    written = {
        str(path.relative_to(tmp_path)): path.stat().st_size
        for path in tmp_path.rglob("*")
        if path.is_file()
    }
    assert sum(written.values()) == size
    text = (tmp_path / LIST_NAME).read_text()
    assert set(re.findall(r'^  "(.*?)",?$', text, re.MULTILINE)) == set(written) - {
        *UNCACHED,
        LIST_NAME,
    }
    write_page(tmp_path, {**page, MODEL_NAME: b"other"})
    assert (tmp_path / LIST_NAME).read_text() != text  # so that browsers load it
    write_page(tmp_path, {**page, MODEL_NAME: b"one"})
    assert (tmp_path / LIST_NAME).read_text() == text
