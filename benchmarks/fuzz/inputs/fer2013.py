"""FER2013: its rows, and the archives that hold them."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from random import Random

from benchmarks.fuzz.mutations import mutate
from benchmarks.fuzz.seeds.faces import make_csv
from fer_edge.train.data.fer2013 import read_fer2013

_NAMES = (
    "fer2013.csv",
    "fer2013/fer2013.csv",
    "data.csv",
    "../x.csv",
    "/etc/x.csv",
    "a\nb.csv",
    "\x1b.csv",
    "",
)


class Target:
    """A damaged file of each kind."""

    def __init__(self, _: Path) -> None:
        self._content = make_csv()

    def write(self, random: Random, folder: Path) -> tuple[Path, bool]:
        """Damage the rows, the archive around them, or both."""
        suffix, pack = random.choice(list(_PACK.items()))
        content = self._content
        if random.random() < 0.6:
            content = _damage_rows(random, content)
        packed = pack(random, content)
        if suffix != ".csv" and random.random() < 0.6:
            packed = mutate(random, packed)
        path = folder / f"fer2013{suffix}"
        path.write_bytes(packed)
        return path, random.random() < 0.5

    def run(self, case: tuple[Path, bool]) -> None:
        """Read it."""
        path, skip_bad = case
        read_fer2013(path, skip_bad=skip_bad)


def _damage_rows(random: Random, content: bytes) -> bytes:
    """Change a row's fields, or bytes anywhere."""
    if random.random() < 0.5:
        return mutate(random, content)
    rows = [row.split(b",") for row in content.split(b"\n")]
    row = random.choice(rows[:-1])
    which = random.randrange(len(row))
    action = random.randrange(4)
    if action == 0:
        row[which] = mutate(random, row[which])
    elif action == 1:
        del row[which]
    elif action == 2:
        row[which] = random.choice(
            (b"", b"-1", b"7", b"256", b"9" * 30, b"nan", b"1e9", b" 1", b"+1")
        )
    else:
        rows.insert(random.randrange(len(rows)), row)
    return b"\n".join(b",".join(row) for row in rows)


def _zip(random: Random, content: bytes) -> bytes:
    stream = io.BytesIO()
    method = random.choice(
        (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    )
    with zipfile.ZipFile(stream, "w", method) as archive:
        for _ in range(random.choice((0, 1, 1, 1, 2))):
            archive.writestr(random.choice(_NAMES) or "x", content)
    return stream.getvalue()


def _tar(mode: str) -> Callable[[Random, bytes], bytes]:
    def pack(random: Random, content: bytes) -> bytes:
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode=mode) as archive:  # type: ignore[call-overload]
            for _ in range(random.choice((0, 1, 1, 1, 2))):
                member = tarfile.TarInfo(random.choice(_NAMES))
                member.type = random.choice(
                    (tarfile.REGTYPE,) * 4 + (tarfile.SYMTYPE, tarfile.DIRTYPE)
                )
                member.linkname = random.choice(_NAMES)
                member.size = len(content) if member.isreg() else 0
                archive.addfile(member, io.BytesIO(content))
        return stream.getvalue()

    return pack


_PACK: dict[str, Callable[[Random, bytes], bytes]] = {
    ".csv": lambda _, content: content,
    ".csv.gz": lambda _, content: gzip.compress(content, 1),
    ".zip": _zip,
    ".tar.gz": _tar("w:gz"),
    ".tar": _tar("w"),
}
