from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("pyarrow", reason="ray isn't installed")

from fer_edge.cluster.storage import Folder, list_objects
from fer_edge.errors import ConfigError, SourceError
from tests.support.files import write_files


def test_what_is_below_an_address_is_listed_in_order(tmp_path: Path) -> None:
    names = ("b/2.PNG", "a.png", "b/1.jpg", "b/notes.txt", ".hidden.png", "b/.thumbnails/1.png")
    write_files(tmp_path / "folder", dict.fromkeys(names, "x"))
    address = f"file://{tmp_path}/folder"
    found = list(list_objects(address + "/", frozenset((".png", ".jpg"))))
    assert found == [f"{address}/{name}" for name in ("a.png", "b/1.jpg", "b/2.PNG")]
    assert list(list_objects(f"{address}/b/notes.txt", frozenset())) == [f"{address}/b/notes.txt"]


def test_names_with_blanks_and_percent_signs_are_taken_as_they_are(tmp_path: Path) -> None:
    write_files(tmp_path / "a b%20c", {"1%41 ?#.png": "x"})
    address = f"file://{tmp_path}/a b%20c"
    (name,) = list_objects(address, frozenset((".png",)))
    assert name == f"{address}/1%41 ?#.png"
    with Folder(address).open("1%41 ?#.png") as file:
        assert file.read() == b"x"


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"nothing: there is no such object or folder"):
        list(list_objects(f"file://{tmp_path}/nothing", frozenset()))


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("gopher://host/images", "gopher://host/: Unrecognized filesystem type"),
        ("s3://key:secret@bucket/images", r"s3://\*\*\*: give credentials in the environment"),
    ],
)
def test_an_address_that_is_not_read_is_named(address: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        list(list_objects(address, frozenset()))
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_file_is_written_whole(tmp_path: Path, scheme: str) -> None:
    folder = Folder(f"{scheme}{tmp_path}/new/results")
    assert folder.list_names() == []
    for content in (b"first", b"second"):
        folder.write("part", content)
        assert folder.list_names() == ["part"]
        with folder.open("part") as file:
            assert file.read() == content
    folder.remove("part")
    assert folder.list_names() == []
