"""Results as text."""

from __future__ import annotations

import unicodedata
from pathlib import Path

from fer_edge.render.faces import result_text
from fer_edge.runtime.results import Face, Result


def test_bars_stand_under_each_other_behind_labels_of_any_script() -> None:
    shares = {"驚き": 0.5, "müde": 0.3, unicodedata.normalize("NFD", "müde!"): 0.2}
    face = Face((0, 0, 9, 9), 1.0, "驚き", 0.5, shares)
    lines = result_text(Result("a.png", 9, 9, (face,), Path("a.png"))).splitlines()[2:]
    starts = [line.index("█") for line in lines]
    # two signs take two columns each, a letter and its accent one together
    assert [starts[0] + 2, starts[1], starts[2] - 1] == [starts[1]] * 3
