from __future__ import annotations

import bz2
import gzip
import io
import logging
import lzma
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from fer_edge.errors import DataError
from fer_edge.train.data import packed
from fer_edge.train.data.packed import MAX_LINE, open_lines

NAMES = ("a.csv", "b.csv")
TEXT = b"one\ntwo\r\nthree"


def read(path: Path) -> bytes:
    with open_lines(path, NAMES) as lines:
        return b"".join(lines)


def pack_tar(
    mode: str = "w", name: str = "data/a.csv", content: bytes = TEXT, kind: bytes = tarfile.REGTYPE
) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:  # type: ignore[call-overload]
        archive.addfile(tarfile.TarInfo("data"))
        member = tarfile.TarInfo(name)
        member.type, member.size, member.linkname = kind, len(content), "/etc/passwd"
        archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def pack_zip(*names: str, content: bytes = TEXT, kind: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", kind) as archive:
        for name in names:
            archive.writestr(name, content)
    return stream.getvalue()


PACKED = {
    "plain": TEXT,
    "gz": gzip.compress(TEXT),
    "bz2": bz2.compress(TEXT),
    "xz": lzma.compress(TEXT),
    "tar": pack_tar(),
    "tar.gz": pack_tar("w:gz"),
    "tar.bz2": pack_tar("w:bz2"),
    "tar.xz": pack_tar("w:xz"),
    "tar of an absolute name": pack_tar(name="/a.csv"),
    "tar of a name upwards": pack_tar(name="../../a.csv"),
    "zip": pack_zip("x/y/a.csv"),
    "zip of capitals": pack_zip("A.CSV"),
    "zip of both": pack_zip("b.csv", "a.csv"),
}


@pytest.mark.parametrize("content", PACKED.values(), ids=PACKED)
@pytest.mark.parametrize("name", ["x.csv", "X.ZIP"])
def test_what_a_file_holds_decides_how_it_is_read(
    tmp_path: Path, content: bytes, name: str
) -> None:
    (tmp_path / name).write_bytes(content)
    assert read(tmp_path / name) == TEXT


def change(content: bytes, start: int, new: bytes) -> bytes:
    start %= len(content)
    return content[:start] + new + content[start + len(new) :]


LONG = os.urandom(3000)
DAMAGED = {
    "cut gz": gzip.compress(LONG)[:-9],
    "cut bz2": bz2.compress(LONG)[:-100],
    "cut xz": lzma.compress(LONG)[:-100],
    "cut tar": pack_tar(content=LONG)[:3000],
    "cut tar.gz": pack_tar("w:gz", content=LONG)[:-900],
    "cut zip": pack_zip("a.csv", content=LONG)[:-100],
    "wrong sum of gz": change(gzip.compress(LONG), -6, b"\xff\xff"),
    "wrong sum of bz2": change(bz2.compress(LONG), -60, bytes(30)),
    "wrong sum of xz": change(lzma.compress(LONG), -60, bytes(30)),
    "wrong sum of zip": change(pack_zip("a.csv", content=LONG), 200, bytes(30)),
    "wrong directory of zip": change(pack_zip("a.csv", content=LONG), -40, bytes(30)),
    "directory of zip beyond its place": change(pack_zip("a.csv"), -6, b"\xff"),
    "wrong header of tar": change(pack_tar(), 600, bytes(60)),
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.zip: ") as caught:
        read(tmp_path / "a.zip")
    assert "\n" not in str(caught.value)


def set_flag(content: bytes, bits: int, method: int) -> bytes:
    """A zip whose headers claim encryption or another compression."""
    for mark, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        start = content.index(mark) + place
        content = change(content, start, bytes((bits, 0, method, 0)))
    return content


REFUSED = {
    "link": (pack_tar(kind=tarfile.SYMTYPE, content=b""), "holds no file a.csv or b.csv"),
    "hard link": (pack_tar(kind=tarfile.LNKTYPE, content=b""), "holds no file a.csv"),
    "folder": (pack_tar(kind=tarfile.DIRTYPE, content=b""), "holds no file a.csv"),
    "device": (pack_tar(kind=tarfile.CHRTYPE, content=b""), "holds no file a.csv"),
    "pipe": (pack_tar(kind=tarfile.FIFOTYPE, content=b""), "holds no file a.csv"),
    "another name": (pack_tar(name="c.csv"), "holds no file a.csv"),
    "two files": (pack_zip("a.csv", "old/a.csv"), "holds a.csv and old/a.csv: unpack the one"),
    "encrypted": (set_flag(pack_zip("a.csv"), 1, 8), "can't be unpacked .*encrypted"),
    "unknown packing": (set_flag(pack_zip("a.csv"), 0, 99), "can't be unpacked .*compression"),
    "pointer": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
        "a Git LFS pointer, not the file itself: git lfs pull",
    ),
    "long name in a tar": (
        pack_tar(kind=tarfile.GNUTYPE_LONGNAME, content=bytes(packed._MAX_HEADER + 1)),
        "a header of many megabytes",
    ),
}


@pytest.mark.parametrize(("content", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_read_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path / "a")
    assert "\n" not in str(caught.value)


def test_an_old_tar_is_known_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        member = tarfile.TarInfo("a.csv")
        member.size = len(TEXT)
        header = bytearray(member.tobuf())
        header[257:265] = header[148:156] = bytes(8)
        header[148:156] = b"%06o\0 " % (sum(header) + 8 * ord(" "))
        archive.fileobj.write(bytes(header) + TEXT.ljust(512, b"\0"))  # type: ignore[union-attr]
    assert read(path) == TEXT


def test_a_damaged_tar_is_known_by_its_name(tmp_path: Path) -> None:
    for content in (TEXT, gzip.compress(TEXT), bytes(9000), b""):
        (tmp_path / "X.TAR.GZ").write_bytes(content)
        with pytest.raises(DataError, match=r"damaged or cut off|holds no file") as caught:
            read(tmp_path / "X.TAR.GZ")
        assert "\n" not in str(caught.value)


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        with pytest.raises(DataError, match="a folder, pipe or device, not a file"):
            read(path)


def test_what_follows_a_packed_file_is_ignored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(TEXT) + gzip.compress(TEXT) + bytes(9))
    assert read(path) == TEXT + TEXT
    path.write_bytes(gzip.compress(TEXT) + b"garbage")
    with caplog.at_level(logging.WARNING):
        assert read(path) == TEXT
    assert caplog.messages == [f"{path}: what follows the packed file is ignored"]


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_long_lines_are_cut_and_endless_files_refused(
    tmp_path: Path, pack: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_bytes(pack(b"1\n" + b"x" * (3 * MAX_LINE) + b"\n2\n"))
    with open_lines(path, NAMES) as lines:
        assert list(lines) == [b"1\n", b"x" * MAX_LINE, b"2\n"]
    monkeypatch.setattr(packed, "MAX_BYTES", 1 << 20)
    path.write_bytes(pack(bytes(2 << 20)))
    with pytest.raises(DataError, match="unpacks to more than"):
        read(path)
