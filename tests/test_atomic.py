from __future__ import annotations

from pathlib import Path

import pytest

from fer_edge.atomic import whole_file, write_text


def test_a_failed_writing_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.txt"
    write_text(path, "old")

    def fail() -> None:
        with whole_file(path) as beside:
            beside.write_text("half")
            raise RuntimeError("disk full")

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_a_full_disk_names_the_file(tmp_path: Path) -> None:
    path, other = tmp_path / "a.txt", tmp_path / "b.txt"

    def fill(*more: str) -> None:
        with whole_file(path):
            raise OSError(28, "No space left on device", *more)

    with pytest.raises(OSError, match=r"No space left on device: '.*a.txt'$"):
        fill()
    with pytest.raises(OSError, match=r"No space left on device: '.*b.txt'$"):
        fill(str(other))


def test_the_file_is_readable_as_any_new_file(tmp_path: Path) -> None:
    path, plain = tmp_path / "a.txt", tmp_path / "b.txt"
    with whole_file(path) as beside:
        beside.touch(mode=0o600)
    plain.touch()
    assert path.stat().st_mode == plain.stat().st_mode


def test_companions_come_and_go_with_their_file(tmp_path: Path) -> None:
    path = tmp_path / "m.xml"
    with whole_file(path, ".bin") as beside:
        beside.write_text("a")
        beside.with_suffix(".bin").write_text("b")
    assert {p.name for p in tmp_path.iterdir()} == {"m.xml", "m.bin"}
    with pytest.raises(FileNotFoundError), whole_file(path, ".bin") as beside:
        beside.write_text("new, without its companion")
    assert path.read_text() == "a"
    assert {p.name for p in tmp_path.iterdir()} == {"m.xml", "m.bin"}
