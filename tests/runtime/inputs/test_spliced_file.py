from __future__ import annotations

import io

import pytest

from fer_edge.runtime.inputs.spliced_file import Part, SplicedFile, append_span, splice

PARTS: list[Part] = [b"", (0, 3), (5, 5), b"xyz", b"", (7, 10), b""]


def test_the_parts_follow_one_another() -> None:
    whole = b"012xyz789"
    file = io.BytesIO(b"0123456789")
    assert splice(file, PARTS).read() == whole
    for place in range(12):
        spliced = SplicedFile(file, PARTS)
        spliced.seek(place)
        assert spliced.readall() == whole[place:]
    assert spliced.seek(-2, io.SEEK_END) == 7
    assert spliced.read(9) == b"89"


def test_neighbours_are_one_part() -> None:
    parts: list[Part] = [(0, 2)]
    for start in range(2, 20_000, 2):
        append_span(parts, start, start + 2)
    assert parts == [(0, 20_000)]


def test_too_many_parts_are_refused() -> None:
    parts: list[Part] = [(0, 2)]
    for start in range(3, 12_000, 3):
        append_span(parts, start, start + 2)
    assert len(parts) == 4000
    with pytest.raises(ValueError, match="damaged: more than 4,000 pieces"):
        append_span(parts, 12_000, 12_002)
