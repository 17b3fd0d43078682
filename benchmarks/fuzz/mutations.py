"""Damage to bytes: a random number generator decides all, so that a case can be repeated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

INTERESTING_BYTES = (0, 1, 0x0A, 0x0D, 0x22, 0x2C, 0x7F, 0x80, 0xC0, 0xFE, 0xFF)
TOKENS = (
    b"", b"\0", b"\n", b"\r\n", b"\t", b"\x1b[31m", b"\x07", b"\xc2\x9b", b"\xe2\x80\xae",
    b"\xff\xfe", b"\xed\xa0\x80", b"'", b'"', b"\\", b",", b";", b"{", b"}", b"[", b"]", b"<",
    b"&#0;", b"%s", b"{0}", b"-1", b"0", b"1e400", b"nan", b"-inf", b"Infinity", b"9" * 25,
    b"9" * 5000, b"0x10", b"1_0", b"None", b"null", b"true", b"=1+1", b"../", b"file:",
    b"concat:a|b", b"a" * 300,
)  # fmt: skip
"""Texts that parsers, terminals and spreadsheets treat specially."""
MAX_SIZE = 8 << 20
"""Bytes: what grows beyond is cut."""

Mutation = Callable[[Random, bytearray, Sequence[bytes]], None]


def mutate(random: Random, content: bytes, others: Sequence[bytes] = ()) -> bytes:
    """Damage `content` once or several times.

    Args:
        random: decides what is done.
        content: a valid input.
        others: valid inputs of the same kind, parts of which may be inserted.
    """
    data = bytearray(content)
    for _ in range(random.choice((1, 1, 1, 2, 3, 8))):
        random.choice(_MUTATIONS)(random, data, others or (content,))
    return bytes(data[:MAX_SIZE])


def set_integer(random: Random, data: bytearray, at: int, size: int) -> None:
    """Set the integer of `size` bytes at offset `at` to an extreme, or a little off its value."""
    order = random.choice(("little", "big"))
    end = 1 << (8 * size)
    value = int.from_bytes(data[at : at + size], order)
    extremes = (0, 1, 2, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x10000, end // 2 - 1, end // 2, end - 1)
    near = (value - 1, value + 1, value * 2, value // 2, -value)
    value = random.choice(extremes + near) % end
    data[at : at + size] = value.to_bytes(size, order)


def _range(random: Random, data: bytes) -> tuple[int, int]:
    """Offsets of a part, mostly a short one."""
    start = random.randrange(len(data) + 1)
    length = random.choice((1, 2, 4, 16, 64, 1024, len(data)))
    return start, min(len(data), start + random.randint(0, length))


def _flip_bit(random: Random, data: bytearray, _: Sequence[bytes]) -> None:
    if data:
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)


def _set_byte(random: Random, data: bytearray, _: Sequence[bytes]) -> None:
    if data:
        data[random.randrange(len(data))] = random.choice(INTERESTING_BYTES)


def _set_integer(random: Random, data: bytearray, _: Sequence[bytes]) -> None:
    size = random.choice((2, 4, 8))
    if len(data) >= size:
        # headers, where most integers are, are often at the beginning
        last = len(data) - size if random.random() < 0.5 else min(64, len(data) - size)
        set_integer(random, data, random.randint(0, last), size)


def _cut_off(random: Random, data: bytearray, _: Sequence[bytes]) -> None:
    del data[random.randrange(len(data) + 1) :]


def _delete(random: Random, data: bytearray, _: Sequence[bytes]) -> None:
    start, end = _range(random, data)
    del data[start:end]


def _duplicate(random: Random, data: bytearray, _: Sequence[bytes]) -> None:
    start, end = _range(random, data)
    data[start:start] = data[start:end] * random.choice((1, 1, 2, 50))
    del data[MAX_SIZE:]


def _repeat(random: Random, data: bytearray, _: Sequence[bytes]) -> None:
    """Make a short part ten thousand: parsers may take time in the square of their number."""
    start = random.randrange(max(1, len(data)))
    part = data[start : start + random.randint(1, 64)]
    data[start:start] = part * 10_000
    del data[MAX_SIZE:]


def _fill(random: Random, data: bytearray, _: Sequence[bytes]) -> None:
    start, end = _range(random, data)
    data[start:end] = bytes([random.choice(INTERESTING_BYTES)]) * (end - start)


def _scramble(random: Random, data: bytearray, _: Sequence[bytes]) -> None:
    start, end = _range(random, data)
    data[start:end] = random.randbytes(end - start)


def _insert_token(random: Random, data: bytearray, _: Sequence[bytes]) -> None:
    start, end = _range(random, data)
    data[start : random.choice((start, end))] = random.choice(TOKENS)


def _splice(random: Random, data: bytearray, others: Sequence[bytes]) -> None:
    other = random.choice(others)
    start, end = _range(random, other)
    at, until = _range(random, data)
    data[at : random.choice((at, until))] = other[start:end]
    del data[MAX_SIZE:]


_MUTATIONS: tuple[Mutation, ...] = (
    _flip_bit, _set_byte, _set_integer, _set_integer, _cut_off, _delete, _duplicate, _fill,
    _scramble, _insert_token, _splice, _repeat,
)  # fmt: skip
