from __future__ import annotations

import errno
import os
import re
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from fer_edge.atomic import _remove_leftovers, temporary_folder, whole_file, write_text
from tests.support.file_systems import small_file_system
from tests.support.processes import run_python


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


def test_no_link_is_followed(tmp_path: Path) -> None:
    mine, path = tmp_path / "mine", tmp_path / "a.txt"
    mine.write_text("mine")
    path.symlink_to(mine)
    write_text(path, "new")
    assert (mine.read_text(), path.read_text(), path.is_symlink()) == ("mine", "new", False)


KILLED = """
import os, signal, sys
from pathlib import Path
from fer_edge.atomic import whole_file

with whole_file(Path(sys.argv[1])) as beside:
    beside.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    assert run_python("-c", KILLED, path).returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert re.fullmatch(r"\.fer-[0-9a-f]{16}", left.name)
    write_text(path, "whole")
    assert [one.name for one in tmp_path.iterdir()] == ["a.txt"]


def test_what_may_not_be_removed(tmp_path: Path) -> None:
    """A folder in use, and whatever else has such a name."""
    name = ".fer-0123456789abcde"
    with temporary_folder(tmp_path) as in_use:
        (in_use / "a").touch()
        (tmp_path / f"{name}0").mkdir()
        (tmp_path / f"{name}0" / "mine").touch()
        (tmp_path / f"{name}1").write_text("mine")
        (tmp_path / "linked").mkdir()
        (tmp_path / "linked" / "lock").touch()
        (tmp_path / f"{name}2").symlink_to("linked")
        (tmp_path / ".fer-mine").mkdir()
        (tmp_path / ".fer-mine" / "lock").touch()
        before = sorted(tmp_path.rglob("*"))
        _remove_leftovers.cache_clear()
        write_text(tmp_path / "a.txt", "a")
        assert sorted(tmp_path.rglob("*")) == sorted((*before, tmp_path / "a.txt"))


def test_an_empty_folder_that_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".fer-0123456789abcdef").mkdir()
    write_text(tmp_path / "a.txt", "whole")
    assert [one.name for one in tmp_path.iterdir()] == ["a.txt"]


def test_a_new_folder_that_another_process_removes_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one takes it for a leftover, since it has no lock yet."""
    make, made = Path.mkdir, []

    def make_and_lose(path: Path, *arguments: Any, **options: Any) -> None:
        make(path, *arguments, **options)
        if path.name.startswith(".fer-"):
            made.append(path)
            if len(made) == 1:
                path.rmdir()

    monkeypatch.setattr(Path, "mkdir", make_and_lose)
    write_text(tmp_path / "a.txt", "whole")
    assert [one.name for one in tmp_path.iterdir()] == ["a.txt"]
    assert len(made) == 2


def test_a_mount_that_renames_open_files_when_they_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As NFS: what is open stays in its folder until it is closed."""
    unlink, close = os.unlink, os.close
    renamed: dict[int, Path] = {}

    def open_files() -> dict[int, int]:
        found = {}
        for entry in Path("/proc/self/fd").iterdir():
            with suppress(OSError):
                found[int(entry.name)] = os.fstat(int(entry.name)).st_ino
        return found

    def rename_if_open(path: str, *, dir_fd: int | None = None) -> None:
        node = os.stat(path, dir_fd=dir_fd).st_ino
        if node not in open_files().values():
            unlink(path, dir_fd=dir_fd)
        elif node in renamed:
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), path)
        else:
            folder = Path(f"/proc/self/fd/{dir_fd}").readlink()
            renamed[node] = folder / f".nfs{node}"
            os.rename(path, renamed[node].name, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)

    def close_and_remove(descriptor: int) -> None:
        node = os.fstat(descriptor).st_ino
        close(descriptor)
        if node in renamed and node not in open_files().values():
            unlink(renamed.pop(node))

    monkeypatch.setattr("os.unlink", rename_if_open)
    monkeypatch.setattr("os.close", close_and_remove)
    write_text(tmp_path / "a.txt", "whole")
    assert [one.name for one in tmp_path.iterdir()] == ["a.txt"]
    assert not caplog.records


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL])
def test_a_mount_that_lacks_calls(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As SMB, FAT and FUSE may: no modes, no locks, no syncing of folders."""

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    for call in ("pathlib.Path.chmod", "os.chmod", "os.fsync", "fcntl.flock"):
        monkeypatch.setattr(call, refuse)
    with whole_file(tmp_path / "a.txt") as beside:
        beside.touch(mode=0o600)
        beside.write_text("whole")
    assert (tmp_path / "a.txt").read_text() == "whole"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_disk_that_is_full_when_it_is_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on NFS, and where blocks are chosen late."""
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match=r"No space left on device: '.*/a.txt'$"):
        write_text(path, "new")
    assert path.read_text() == "old"


def test_an_error_names_the_file_and_not_what_is_beside_it(tmp_path: Path) -> None:
    (tmp_path / "folder.txt").mkdir()
    with pytest.raises(IsADirectoryError, match=r"Is a directory: '.*/folder.txt'$"):
        write_text(tmp_path / "folder.txt", "a")


def test_a_full_file_system(tmp_path: Path) -> None:
    with small_file_system(tmp_path / "disk", 64) as disk:
        write_text(disk / "a.txt", "kept")
        with pytest.raises(OSError, match=r"No space left on device: '.*/b.txt'$"):
            write_text(disk / "b.txt", "b" * 100_000)
        assert [one.name for one in disk.iterdir()] == ["a.txt"]
