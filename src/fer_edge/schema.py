"""Frozen dataclasses from plain JSON or TOML values, each field checked against its annotation.

Supports the types that the project's documents use: `str`, `int`, `float`, `bool`, `Literal`,
`X | None`, `tuple[X, ...]`, `dict[str, X]` and nested dataclasses.
"""

from __future__ import annotations

import dataclasses
import types
from functools import cache
from math import isfinite
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")
_MAX_INT = 2**63 - 1
"""Largest whole number, as in every library that takes one."""


def parse(cls: type[T], value: object, where: str, *, unknown: Literal["ignore", "reject"]) -> T:
    """Build the dataclass `cls` from a mapping that `documents.read_json` or `read_toml` returned.

    Args:
        cls: a dataclass type.
        value: the document; lists become tuples, and integers are accepted for floats.
        where: what every error message begins with.
        unknown: whether a key that `cls` does not have is an error.

    Raises:
        ValueError: a key is missing, unknown or of the wrong type, a number is out of range, a text
            holds NUL, or `cls` rejects the values; the message begins with the path of the key.
    """
    if not isinstance(value, dict):
        raise ValueError(f"{where}: expected an object, found {type(value).__name__}")
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    if unknown == "reject" and (extra := sorted(set(value) - set(fields))):
        raise ValueError(
            f"{where}: unknown key {extra[0]!r}; the keys are {', '.join(sorted(fields))}"
        )
    hints = _type_hints(cls)  # type: ignore[arg-type]  # mypy: a class is hashable
    given: dict[str, Any] = {}
    for name, field in fields.items():
        if name in value:
            given[name] = _convert(hints[name], value[name], f"{where}.{name}", unknown)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ValueError(f"{where}: the key {name!r} is missing")
    try:
        return cls(**given)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _check_text(text: str, where: str) -> None:
    if "\0" in text:
        raise ValueError(f"{where}: holds a NUL character")
    try:
        text.encode()
    except UnicodeEncodeError:  # JSON can name half of a character that has two halves
        raise ValueError(f"{where}: holds half a character (a lone surrogate)") from None


@cache
def _type_hints(cls: type) -> dict[str, Any]:
    """The fields' types; a spec has many objects of one class."""
    return get_type_hints(cls)


def _convert(hint: Any, value: object, where: str, unknown: Literal["ignore", "reject"]) -> Any:
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in args:
            return None
        (hint,) = (a for a in args if a is not type(None))
        return _convert(hint, value, where, unknown)
    if origin is Literal:
        if value not in args:
            raise ValueError(f"{where}: {value!r:.60} is none of {', '.join(map(repr, args))}")
        return value
    if origin is tuple and isinstance(value, (list, tuple)):
        return tuple(
            _convert(args[0], item, f"{where}[{i}]", unknown) for i, item in enumerate(value)
        )
    if origin is dict and isinstance(value, dict):
        for key in value:
            _check_text(key, where)
        return {k: _convert(args[1], v, f"{where}.{k}", unknown) for k, v in value.items()}
    if dataclasses.is_dataclass(hint):
        return parse(hint, value, where, unknown=unknown)  # type: ignore[arg-type]
    if type(value) is int and abs(value) > _MAX_INT:
        raise ValueError(f"{where}: a number too large")
    if type(value) is float and not isfinite(value):
        raise ValueError(f"{where}: {value} isn't a finite number")
    if isinstance(value, str):
        _check_text(value, where)
    if hint is float and type(value) is int:
        return float(value)
    # bool is an int to Python, not to a document
    if origin is None and isinstance(value, hint) and (hint is bool or not isinstance(value, bool)):
        return value
    expected = getattr(hint, "__name__", str(hint))
    raise ValueError(f"{where}: expected {expected}, found {value!r:.60}")
