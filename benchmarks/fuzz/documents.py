"""Damage to documents: values of JSON and TOML by their structure, then their text."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from random import Random
from typing import Any

from benchmarks.fuzz.mutations import mutate

VALUES: tuple[Any, ...] = (
    None, True, False, "", " ", "a" * 5000, "\x1b[31mred", "two\nlines", "\0", "\u202e", "\ud800",
    "../..", "/etc/passwd", "nan", "=1+1", "1", 0, -1, 1, 2, 255, 2**31, 2**63, -(2**63), 2**64,
    10**400, 0.0, -0.0, 0.5, 1e-320, 1e39, 1e308, -1e308, float("nan"), float("inf"),
    float("-inf"), [], {}, [[]], [None], [1, "a"], {"": None}, {"a": {"b": [1]}}, list(range(1000)),
)  # fmt: skip
"""Values that are wrong nearly everywhere."""
DEEP = ("[" * 100_000, '{"a":' * 100_000, "[" * 900 + "]" * 900)
"""Nesting: beyond any stack, and within it."""


def damage_value(random: Random, document: Any) -> Any:
    """A copy of a document of dicts and lists with one to three of its values changed."""
    document = copy.deepcopy(document)
    for _ in range(random.choice((1, 1, 2, 3))):
        places = list(_places(document))
        if not places:
            return random.choice(VALUES)
        holder, key = random.choice(places)
        _damage_place(random, holder, key)
    return document


def damage_json(random: Random, document: Any) -> bytes:
    """A document as JSON, its values or its text damaged, or both."""
    is_value_damaged = random.random() < 0.85
    if is_value_damaged:
        document = damage_value(random, document)
    text = json.dumps(document, ensure_ascii=random.random() < 0.5)
    return _damage_text(random, text, is_value_damaged)


def damage_toml(random: Random, document: dict[str, Any]) -> bytes:
    """As `damage_json`, as TOML."""
    is_value_damaged = random.random() < 0.85
    if is_value_damaged:
        document = damage_value(random, document)
    lines = [f"{_toml_key(name)} = {_toml(value)}" for name, value in document.items()]
    return _damage_text(random, "\n".join(lines) + "\n", is_value_damaged)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    keys = list(value) if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key
        if isinstance(value[key], (dict, list)):
            yield from _places(value[key])


def _damage_place(random: Random, holder: Any, key: Any) -> None:
    action = random.randrange(10)
    if action == 0:
        del holder[key]
    elif action == 1 and isinstance(holder, list):
        holder.insert(key, copy.deepcopy(holder[key]))
    elif action == 1:
        holder[random.choice((f"{key}2", "", key.upper(), "\x1b"))] = holder.pop(key)
    elif action == 2:
        holder[key] = random.choice(([holder[key]], {str(key): holder[key]}))
    elif action == 3 and isinstance(holder[key], str):
        text = mutate(random, holder[key].encode("utf-8", "surrogatepass"))
        holder[key] = text.decode("utf-8", "replace")
    elif action == 4 and isinstance(holder[key], (int, float)):
        # no factor of 1.5, which integers beyond the floats don't have
        more = holder[key] + holder[key] // 2
        holder[key] = random.choice((-holder[key], more, str(holder[key])))
    else:
        holder[key] = copy.deepcopy(random.choice(VALUES))


def _damage_text(random: Random, text: str, is_value_damaged: bool) -> bytes:
    content = text.encode("utf-8", "surrogatepass")
    if not is_value_damaged or random.random() < 0.1:
        content = mutate(random, content)
    if random.random() < 0.02:
        at = random.randrange(len(content) + 1)
        content = content[:at] + random.choice(DEEP).encode() + content[at:]
    return content


def _toml_key(name: str) -> str:
    return name if name.isidentifier() and name.isascii() else json.dumps(name)


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml_key(k)} = {_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value)
