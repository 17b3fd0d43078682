"""The spec inside a face detector as a table."""

from __future__ import annotations

from rich.text import Text

from fer_edge.detector_spec import DetectorMetrics, DetectorParity, DetectorSpec
from fer_edge.render.spec import (
    closing_rows,
    describe_precision,
    format_counts,
    rows_table,
    show_verdict,
)
from fer_edge.render.table import Table


def detector_spec_table(spec: DetectorSpec, where: str) -> Table:
    """The spec inside a face detector as a table."""
    image = spec.input
    rows: dict[str, str | Text] = {
        "name": f"{spec.name} (face detector), schema {spec.schema}",
        **({"version": spec.version} if spec.version else {}),
        "input": f"images {image.dtype} [N, H, W] {image.colour}, "
        f"sides multiples of {image.multiple}",
        "inside the graph": f"mean {image.mean:g}, std {image.std:g}, boxes and scores decoded",
        "cells": f"every {', '.join(map(str, spec.strides))} px",
        "channels": ", ".join(map(str, spec.widths)),
        "searched at": f"{spec.side} px, the longer side of a larger photograph",
        "score": f"{spec.score_threshold:g} or more",
        "overlap": f"IoU of {spec.nms_threshold:g} at most",
        "faces": f"{spec.min_face} to {spec.max_face} px, the shorter side as searched",
        "precision": describe_precision(spec.quantization),
        "trained on": f"{spec.data.name}: {format_counts(spec.data.faces)}",
        "data licence": spec.data.licence,
        **{f"on {m.split} at {m.side} px": _metrics(m) for m in spec.metrics},
        **closing_rows(spec, _parity(spec.parity) if spec.parity else None),
    }
    return rows_table(rows, where)


def _metrics(metrics: DetectorMetrics) -> str:
    return (
        f"recall {metrics.recall:.2%} of {metrics.marked:,} marked faces, average precision "
        f"{metrics.average_precision:.2%}, {metrics.false_faces:.3f} false faces on each of "
        f"{metrics.empty:,} photographs without people"
    )


def _parity(parity: DetectorParity) -> Text:
    lost = parity.recall_lost
    text = (
        f"{parity.same:.2%} of {parity.faces:,} faces in {parity.photographs:,} photographs and "
        f"the golden samples, boxes within {parity.max_box_difference:.2g} px"
        + ("" if lost is None else f", recall lost {100 * lost:.2f} points")
    )
    return show_verdict(text, parity.gate, passed=parity.passed)
