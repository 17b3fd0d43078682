from __future__ import annotations

from fer_edge.render.doctor import describe_detectors
from fer_edge.runtime.diagnostics.detectors import DetectorState, EngineTest


def state(name: str, *engines: str, failure: str | None = None) -> DetectorState:
    """A detector that was tested under engines, with the same result under each."""
    tests = tuple(EngineTest(engine, name, failure) for engine in engines)
    return DetectorState(name, name, tests, samples=2 if name == "built-in" else 0)


def test_an_optional_detector_is_not_asked_for() -> None:
    shown = describe_detectors((state("built-in", "onnxruntime"), DetectorState("yunet")))
    assert {name: text.plain for name, text in shown.items()} == {
        "face detector built-in": "built-in; right under onnxruntime",
        "face detector yunet": "not installed (optional): fer detector install",
    }
    assert {text.style for text in shown.values()} == {""}


def test_no_engine_reads_the_built_in_one() -> None:
    ours, yunet = describe_detectors((state("built-in"), DetectorState("yunet"))).values()
    assert (ours.plain, ours.style) == (
        "built-in; no engine that works here reads it",
        "red",
    )
    assert yunet.plain == "not installed: fer detector install"
    ours, yunet = describe_detectors((state("built-in"), state("yunet", "ncnn"))).values()
    assert (ours.plain, ours.style) == (
        "built-in; no engine that works here reads it",
        "yellow",
    )
    assert (yunet.plain, yunet.style) == ("yunet; opens under ncnn", "")


def test_a_broken_built_in_one_is_broken_beside_yunet() -> None:
    broken = state("built-in", "onnxruntime", failure="it crashed")
    ours, _ = describe_detectors((broken, state("yunet", "onnxruntime"))).values()
    assert (ours.plain, ours.style) == ("built-in; onnxruntime: it crashed", "red")
