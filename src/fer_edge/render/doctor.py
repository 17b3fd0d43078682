"""The findings of `fer doctor` as tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.text import Text

from fer_edge.errors import install_command
from fer_edge.render.table import Table
from fer_edge.runtime.backends.registry import install_advice
from fer_edge.runtime.detection.find_detector import BUILT_IN
from fer_edge.runtime.device.board import Board
from fer_edge.runtime.diagnostics.detectors import DetectorState
from fer_edge.runtime.diagnostics.doctor import Diagnosis
from fer_edge.runtime.diagnostics.self_test import Row, Verdict
from fer_edge.text import printable

STYLES: dict[Verdict, str] = {"right": "green", "close": "yellow", "wrong": "red", "failed": "red"}
CLOSE = (
    "close: some int8 values are rounded differently, within an export's thresholds; "
    "--backend auto prefers an engine whose verdict is right"
)


def doctor_tables(found: Diagnosis) -> Iterable[Table | Text | str]:
    """The machine, the model under each engine, and the choice of `--backend auto`."""
    yield _machine(found)
    yield _tries(found)
    if any(row.verdict == "close" for row in found.rows):
        yield CLOSE
    yield _verdict(found)


def _machine(found: Diagnosis) -> Table:
    title, board = f"fer-edge {found.version}", found.board
    table = Table("", "", title=title, title_justify="left", show_header=False)
    rows: dict[str, str | Text] = {
        "board": board.name,
        "CPU": f"{board.cpu}, {board.cores} core{'s' if board.cores > 1 else ''} usable"
        + (f", {board.temperature:.0f} °C" if board.temperature is not None else ""),
        "CPU features": ", ".join(board.features) or "none that the engines use",
        "memory": f"{board.memory / 2**30:.1f} GiB" if board.memory else "unknown",
        "system": board.system,
        "Python": _python(board),
    }
    for engine in found.engines:
        works = f"{engine.version}: {', '.join(engine.devices)}"
        rows[engine.name] = Text(engine.failure, "yellow") if engine.failure else works
    picamera2 = "Picamera2 is installed" if found.picamera2 else "no Picamera2 in this environment"
    listed = [f"{camera.device} ({camera.name})" for camera in found.cameras]
    rows["cameras"] = f"{', '.join(listed) or 'none'}; {picamera2}"
    no_video = f"not installed: {install_command('av', 'video')}"
    rows["video"] = "PyAV is installed" if found.pyav else no_video
    rows |= describe_detectors(found.detectors)
    for name, text in rows.items():
        table.add_row(name, text)
    return table


def describe_detectors(states: Sequence[DetectorState]) -> dict[str, Text]:
    """What was found out about each detector, by the name of its row."""
    optional = " (optional)" if any(one.name == BUILT_IN and one.works for one in states) else ""
    missing = Text(f"not installed{optional}: fer detector install")
    works = any(one.works for one in states)
    return {
        f"face detector {one.name}": _detector(one, works) if one.path or one.failure else missing
        for one in states
    }


def _detector(state: DetectorState, works: bool) -> Text:
    """A detector's file, and the engines under which it passes its self-test.

    Args:
        state: of the detector.
        works: whether any detector works.
    """
    right = ", ".join(one.engine for one in state.engines if one.failure is None)
    wrong = [f"{one.engine}: {one.failure}" for one in state.engines if one.failure is not None]
    verdict = "right" if state.samples else "opens"
    parts = [state.path, state.failure, f"{verdict} under {right}" if right else None, *wrong]
    has_no_engine = not (state.engines or state.failure)
    if has_no_engine:
        parts.append("no engine that works here reads it")
    is_broken = state.name == BUILT_IN and not state.works and not (has_no_engine and works)
    style = "red" if is_broken else "yellow" if wrong or not state.works else ""
    return Text("; ".join(part for part in parts if part), style)


def _python(board: Board) -> str | Text:
    text = f"{board.python}, {board.machine}, {board.bits} bits"
    if board.bits == 64:
        return text
    return Text(f"{text}: ONNX Runtime is published for 64 bits only; ncnn for 32 too", "yellow")


def _tries(found: Diagnosis) -> Table:
    spec = found.spec
    accuracies = "".join(
        f", {one.accuracy:.2%} accuracy on {spec.data.name} {one.split}" for one in spec.metrics
    )
    name, precision = printable(spec.title), spec.quantization.precision
    title = f"{printable(found.path)}\n{name}, {precision}{accuracies}"
    columns = ("engine", "threads", "ms/face", "self-test")
    table = Table(*columns, title=title, title_justify="left")
    for column in table.columns[1:3]:
        column.justify = "right"
    for row in found.rows:
        ms = row.measured.ms if row.measured else None
        shown = "" if ms is None else f"{ms:.2f}"
        table.add_row(row.backend, str(row.threads), shown, _self_test(row))
    return table


def _self_test(row: Row) -> Text:
    text, style = row.verdict, STYLES.get(row.verdict, "")
    if row.failure is not None:
        return Text(f"{text}: {row.failure}", style)
    if row.measured is None or not row.measured.samples:
        return Text(f"{text}: the model has no golden samples", style)
    one, diff = row.measured, row.measured.max_abs_logit_diff
    same = one.samples - one.labels_differ
    shown = "not a number" if diff is None else f"{diff:.2g}"
    return Text(f"{text}: {same} of {one.samples} same label, max |Δlogit| {shown}", style)


def _verdict(found: Diagnosis) -> Text | str:
    choice = found.choice
    if not found.rows:
        return Text(install_advice(Path(found.path)), "red")
    if not found.works:
        return Text("the self-test failed: this model cannot be used on this machine", "red")
    if choice is None:
        return "latency was not measured: the choice of --backend auto is unchanged"
    text = f"{choice.backend} with {choice.threads} thread{'s' if choice.threads > 1 else ''}"
    if found.not_remembered is not None:
        return Text(f"fastest: {text}, but that cannot be stored: {found.not_remembered}", "yellow")
    return f"--backend auto now uses {text} for this model (stored in {found.remembered})"
