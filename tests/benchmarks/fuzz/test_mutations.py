from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from random import Random

import pytest
from benchmarks.fuzz.documents import damage_json, damage_toml
from benchmarks.fuzz.mutations import mutate

CONTENT = bytes(range(256)) * 4
DOCUMENT = {"a": 1, "b": [1.5, "text"], "c": {"d": True}}


def test_a_mutation_depends_on_the_seed_alone() -> None:
    first = [mutate(Random(seed), CONTENT) for seed in range(200)]
    assert first == [mutate(Random(seed), CONTENT) for seed in range(200)]
    assert len(set(first)) > 190
    # some mutations change nothing, like a byte set to what it was
    assert sum(content != CONTENT for content in first) > 190


@pytest.mark.parametrize("content", [b"", b"\0", b"ab"])
def test_any_content_can_be_damaged(content: bytes) -> None:
    for seed in range(200):
        mutate(Random(seed), content)


def test_a_short_part_may_be_repeated_ten_thousand_times() -> None:
    damaged = [mutate(Random(seed), CONTENT[:256]) for seed in range(200)]
    assert max(map(len, damaged)) > 300_000


def test_documents_are_damaged_by_their_structure_and_by_their_text() -> None:
    damaged = [damage_json(Random(seed), DOCUMENT) for seed in range(300)]
    assert damaged == [damage_json(Random(seed), DOCUMENT) for seed in range(300)]
    readable = 0
    for content in damaged:
        try:
            readable += json.loads(content) != DOCUMENT
        except (ValueError, RecursionError):
            continue
    assert 100 < readable < 300


def test_damaged_settings_are_mostly_still_toml() -> None:
    readable = 0
    for seed in range(300):
        try:
            tomllib.loads(damage_toml(Random(seed), DOCUMENT).decode())
            readable += 1
        except (ValueError, RecursionError):
            continue
    assert 100 < readable < 300


@pytest.mark.parametrize("damage", [damage_json, damage_toml])
def test_integers_beyond_the_floats_can_be_damaged(damage: Callable[..., bytes]) -> None:
    for seed in range(300):
        damage(Random(seed), {"a": 10**400, "b": [float("nan"), True]})
