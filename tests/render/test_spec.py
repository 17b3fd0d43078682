"""The spec of a model as a table."""

from __future__ import annotations

import io
from dataclasses import replace

from fer_edge.spec import ModelSpec, ParitySummary


def test_info_shows_a_file_that_was_not_proved_in_red(spec: ModelSpec) -> None:
    from rich.console import Console

    from fer_edge.render.spec import spec_table

    def shown(parity: ParitySummary) -> str:
        out = io.StringIO()
        console = Console(file=out, width=200, force_terminal=True, color_system="standard")
        console.print(spec_table(replace(spec, parity=parity), "m"))
        (line,) = [line for line in out.getvalue().splitlines() if "parity" in line]
        return line

    good = ParitySummary("test", 9, 1.0, 1e-5, 0.5, 0.5, True)
    red = "\x1b[31m"
    assert red not in shown(good)
    line = shown(replace(good, gate="changed"))
    assert "passed changed thresholds" in line
    assert red not in line
    for bad in (
        replace(good, gate="off"),
        replace(good, passed=False, max_abs_logit_diff=None, gate="off"),
        replace(good, passed=False),
    ):
        assert red in shown(bad)


def test_info_names_teachers_and_unlabelled_faces(spec: ModelSpec) -> None:
    from fer_edge.render.spec import spec_table

    def rows(spec: ModelSpec) -> dict[str, str]:
        names, texts = (column.cells for column in spec_table(spec, "m").columns)
        return dict(zip(map(str, names), map(str, texts), strict=True))

    taught = replace(spec.data, teachers=("faces", "more"), unlabelled={"web": 4321, "films": 5})
    assert rows(replace(spec, data=taught)).items() >= {
        ("teachers trained on", "faces; more"),
        ("unlabelled faces", "web 4,321, films 5"),
    }
    assert not {name for name in rows(spec) if name in ("teachers trained on", "unlabelled faces")}
