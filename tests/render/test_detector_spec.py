"""The spec of a face detector as a table."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fer_edge.detector_spec import DetectorMetrics, DetectorParity, DetectorSpec
from fer_edge.render.detector_spec import detector_spec_table


@pytest.fixture(scope="module")
def spec() -> DetectorSpec:
    from tests.support.detectors import make_detector_spec

    return make_detector_spec()


def rows(spec: DetectorSpec) -> dict[str, str]:
    names, texts = (column.cells for column in detector_spec_table(spec, "d.onnx").columns)
    return dict(zip(map(str, names), map(str, texts), strict=True))


def test_what_a_host_needs_is_shown(spec: DetectorSpec) -> None:
    assert rows(spec).items() >= {
        ("name", "faces (face detector), schema 1"),
        ("input", "images uint8 [N, H, W] gray, sides multiples of 32"),
        ("score", "0.5 or more"),
        ("faces", "7 to 200 px, the shorter side as searched"),
        ("trained on", "synthetic: train 12"),
        ("precision", "fp32, weights fp32"),
    }
    assert not {"version", "parity", "checkpoint"} & rows(spec).keys()


def test_metrics_and_parity(spec: DetectorSpec) -> None:
    metrics = DetectorMetrics("val", 320, 600, 500, 0.981, 0.9, 105, 0.0381)
    parity = DetectorParity(600, 700, 0.999, 0.12, -0.002, passed=True)
    shown = rows(replace(spec, version="1", metrics=(metrics,), parity=parity))
    assert shown["version"] == "1"
    assert shown["on val at 320 px"] == (
        "recall 98.10% of 500 marked faces, average precision 90.00%, 0.038 false faces on each "
        "of 105 photographs without people"
    )
    assert shown["parity"] == (
        "99.90% of 700 faces in 600 photographs and the golden samples, boxes within 0.12 px, "
        "recall lost -0.20 points, passed"
    )
    off = replace(parity, gate="off", recall_lost=None)
    assert rows(replace(spec, parity=off))["parity"].endswith(
        "within 0.12 px, passed, gate off: no threshold was enforced"
    )
