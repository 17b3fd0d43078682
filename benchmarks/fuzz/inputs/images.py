"""Image files: bytes changed, and fields of PNG, JPEG and TIFF so that decoders read on."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random

from benchmarks.fuzz.judge import WrongResultError
from benchmarks.fuzz.mutations import mutate, set_integer
from benchmarks.fuzz.seeds.images import make_images
from fer_edge import Recognizer, Result

_DIMENSIONS = (0, 1, 2, 255, 4096, 16384, 30_000, 65_500, 65_535, 100_000, 2**31 - 1, 2**32 - 1)
_SUFFIXES = {"jpeg": ".jpg", "mpo": ".jpg"}


def check_result(result: Result) -> None:
    """See that a result is what its documentation says.

    Raises:
        WrongResultError: it isn't.
    """
    if not (result.width > 0 and result.height > 0):
        raise WrongResultError(f"an image of {result.width} x {result.height} pixels")
    for face in result.faces:
        total = sum(face.probabilities.values())
        if not abs(total - 1) < 1e-3 or not 0 <= face.confidence <= 1:
            raise WrongResultError("probabilities that don't add up to 1")
        x, y, width, height = face.box
        is_inside = 0 <= x <= x + width <= result.width and 0 <= y <= y + height <= result.height
        if not is_inside:
            raise WrongResultError("a box outside the image")


class Target:
    """Images as paths, bytes and file objects."""

    def __init__(self, _: Path) -> None:
        self._seeds = make_images()
        self._all = [content for contents in self._seeds.values() for content in contents]
        self._recognizer = Recognizer.load(faces="whole", threads=1)

    def write(self, random: Random, folder: Path) -> Path | bytes | io.BytesIO:
        """A damaged image."""
        name = random.choice(list(self._seeds))
        content = random.choice(self._seeds[name])
        if (special := _BY_FORMAT.get(name)) and random.random() < 0.6:
            content = special(random, content)
        if content in self._all or random.random() < 0.3:
            content = mutate(random, content, self._all)
        path = folder / f"image{_SUFFIXES.get(name, f'.{name}')}"
        path.write_bytes(content)
        way = random.randrange(4)
        return content if way == 0 else io.BytesIO(content) if way == 1 else path

    def run(self, case: Path | bytes | io.BytesIO) -> None:
        """Recognize it."""
        check_result(self._recognizer(case))


def _damage_png(random: Random, content: bytes) -> bytes:
    """Change chunks; their checksums stay right."""
    chunks, at = [], 8
    while at < len(content):
        (size,) = struct.unpack_from(">I", content, at)
        chunks.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + size]))
        at += size + 12
    which = random.randrange(len(chunks))
    kind, data = chunks[which]
    action = random.randrange(5)
    if action == 0:  # the size
        header = bytearray(chunks[0][1])
        struct.pack_into(">I", header, random.choice((0, 4)), random.choice(_DIMENSIONS))
        chunks[0] = (b"IHDR", bytes(header))
    elif action == 1 and kind == b"IDAT":
        chunks[which] = (kind, zlib.compress(mutate(random, zlib.decompress(data))))
    elif action == 2:
        chunks.insert(random.randrange(len(chunks) + 1), chunks[random.randrange(len(chunks))])
    elif action == 3:
        names = (b"IDAT", b"PLTE", b"tRNS", b"acTL", b"fcTL", b"iCCP", b"zTXt", b"eXIf", b"IEND")
        chunks[which] = (random.choice(names), data)
    else:
        chunks[which] = (kind, mutate(random, data))
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    return content[:8] + body


def _damage_jpeg(random: Random, content: bytes) -> bytes:
    """Change one segment, its length, or the size in the frame's header."""
    starts, at = [], 2
    while at + 4 <= len(content) and content[at] == 0xFF and content[at + 1] != 0xDA:
        starts.append(at)
        at += 2 + struct.unpack_from(">H", content, at + 2)[0]
    start = random.choice(starts)
    data = bytearray(content)
    frames = [at for at in starts if data[at + 1] in (0xC0, 0xC2)]
    action = random.randrange(3)
    if action == 0 and frames:
        side = random.choice(_DIMENSIONS) & 0xFFFF
        struct.pack_into(">H", data, frames[0] + random.choice((5, 7)), side)
    elif action == 1:
        set_integer(random, data, start + 2, 2)
    else:
        (size,) = struct.unpack_from(">H", data, start + 2)
        inner = mutate(random, bytes(data[start + 4 : start + 2 + size]))[:65_000]
        data[start + 2 : start + 2 + size] = struct.pack(">H", len(inner) + 2) + inner
    return bytes(data)


def _damage_tiff(random: Random, content: bytes) -> bytes:
    """Change entries of the first directory: tag, type, count and value."""
    data = bytearray(content)
    order = "<" if data[:2] == b"II" else ">"
    (at,) = struct.unpack_from(f"{order}I", data, 4)
    (entries,) = struct.unpack_from(f"{order}H", data, at)
    for _ in range(random.choice((1, 1, 2))):
        entry = at + 2 + 12 * random.randrange(max(1, entries))
        offset, size = random.choice(((0, 2), (2, 2), (4, 4), (8, 4), (8, 2)))
        if entry + 12 <= len(data):
            set_integer(random, data, entry + offset, size)
    return bytes(data)


_BY_FORMAT: dict[str, Callable[[Random, bytes], bytes]] = {
    "png": _damage_png,
    "jpeg": _damage_jpeg,
    "mpo": _damage_jpeg,
    "tiff": _damage_tiff,
}
