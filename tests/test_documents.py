from __future__ import annotations

from pathlib import Path

import pytest

from fer_edge import documents
from fer_edge.documents import parse_json, read_json, read_toml

DEEP = 100_000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "Expecting value"),
        (b'{"a": 1', "line 1 column 8"),
        (b'{"a": "caf\xe9"}', "byte 11 isn't UTF-8"),
        (b'{"a": NaN}', "NaN isn't a number"),
        (b'{"a": -Infinity}', "-Infinity isn't a number"),
        (b'{"a": 1e999}', "1e999 isn't a finite number"),
        (b'{"a": 1, "a": 2}', "the key 'a' is there twice"),
        (b'{"a": "\0"}', "Invalid control character"),
        (b"9" * 5000, "a number has too many digits"),
        (b"[" * DEEP, "nested too deeply"),
        (b'{"a":' * DEEP, "nested too deeply"),
    ],
)
def test_whatever_is_wrong_with_json_is_one_line(
    tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        read_json(tmp_path / "a.json")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a", "after a key"),
        (b"a = 'caf\xe9'", "byte 9 isn't UTF-8"),
        (b"a = 1\na = 2", "Cannot overwrite a value"),
        (b"a = " + b"9" * 5000, "a number has too many digits"),
        (b"a = " + b"[" * DEEP, "nested too deeply"),
        (b"a = '\0'", "character"),
    ],
)
def test_whatever_is_wrong_with_toml_is_one_line(
    tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "a.toml").write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        read_toml(tmp_path / "a.toml")
    assert "\n" not in str(caught.value)


def test_what_windows_writes_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes(b"\xef\xbb\xbfa = 1\r\n")
    assert read_toml(tmp_path / "a.toml") == {"a": 1}
    (tmp_path / "a.json").write_bytes(b'\xef\xbb\xbf{"a": [1, 2.5]}')
    assert read_json(tmp_path / "a.json") == {"a": [1, 2.5]}


def test_a_document_has_a_largest_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MAX_BYTES", 1 << 20)
    (tmp_path / "a.json").write_text('"' + "a" * (1 << 20))
    with pytest.raises(ValueError, match="larger than 1 MB"):
        read_json(tmp_path / "a.json")
    assert parse_json(b'"a"') == "a"


@pytest.mark.timeout(20)
def test_many_keys_are_not_compared_with_each_other() -> None:
    content = ",".join(f'"{i}": 1' for i in (*range(100_000), 99_999))
    with pytest.raises(ValueError, match="the key '99999' is there twice"):
        parse_json(f"{{{content}}}")
