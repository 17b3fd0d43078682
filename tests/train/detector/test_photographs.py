"""Photographs stay in memory up to a limit."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from fer_edge.errors import DataError
from fer_edge.train.detector.photographs import GrayPhotographs


def test_photographs_stay_in_memory_up_to_a_limit(tmp_path: Path) -> None:
    for name in "ab":
        Image.new("RGB", (10, 8), "white").save(tmp_path / f"{name}.png")
    photographs = GrayPhotographs(tmp_path, cache_bytes=100)
    first = photographs.read("a.png")
    assert (first.mode, first.size) == ("L", (10, 8))
    assert photographs.read("a.png") is first
    photographs.read("b.png")  # there is no place for it
    (tmp_path / "b.png").unlink()
    assert photographs.read("a.png") is first
    with pytest.raises(DataError, match=r"b\.png"):
        photographs.read("b.png")
