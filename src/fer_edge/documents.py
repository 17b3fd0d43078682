"""JSON and TOML documents as plain values: whatever is wrong with one is a ValueError of one line.

Stricter than Python's parsers: a bounded size, UTF-8 alone, no nesting beyond the stack; in JSON no
NaN or infinity, and no key twice.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable
from importlib.resources.abc import Traversable
from typing import Any

MAX_BYTES = 64 << 20
"""Largest document that is read; the largest that fer-edge writes has a few megabytes."""
_MAX_DIGITS = 4000
"""Longest whole number, below Python's own limit; `fer_edge.schema` checks the value of each."""


def read_json(path: Traversable) -> Any:
    """Read a JSON file.

    Raises:
        ValueError: it isn't such a document; the message doesn't name the file.
        OSError: it can't be read.
    """
    return parse_json(_read_bytes(path))


def read_toml(path: Traversable) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        ValueError, OSError: as `read_json`.
    """
    import tomllib  # here: reading a model's spec needs no TOML

    content = _read_bytes(path)

    def load() -> dict[str, Any]:
        try:
            return tomllib.loads(_decode(content))
        except ValueError as error:
            if "set_int_max_str_digits" in str(error):
                raise ValueError("a number has too many digits") from None
            raise

    document: dict[str, Any] = _within_stack(load)
    return document


def parse_json(content: str | bytes) -> Any:
    """Parse a JSON document.

    Raises:
        ValueError: it isn't one.
    """
    return _within_stack(
        lambda: json.loads(
            content if isinstance(content, str) else _decode(content),
            object_pairs_hook=_make_object,
            parse_constant=_refuse_constant,
            parse_float=_parse_float,
            parse_int=_parse_int,
        )
    )


def _read_bytes(path: Traversable) -> bytes:
    with path.open("rb") as stream:
        content: bytes = stream.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"larger than {MAX_BYTES >> 20} MB")
    return content


def _decode(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")  # editors on Windows write a byte order mark
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start + 1} isn't UTF-8") from None


def _within_stack(load: Callable[[], Any]) -> Any:
    try:
        return load()
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _make_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = next(name for name, count in counts.items() if count > 1)
        raise ValueError(f"the key {twice!r} is there twice")
    return document


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} isn't a number")


def _parse_float(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text[:20]} isn't a finite number")
    return number


def _parse_int(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise ValueError("a number has too many digits")
    return int(text)
