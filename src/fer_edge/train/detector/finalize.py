"""The spec of a trained detector, and what it reaches on the photographs of val."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fer_edge.detector_spec import DetectorInput, DetectorMetrics, DetectorSpec
from fer_edge.runtime.detection.cells import select_faces
from fer_edge.runtime.detection.searches import SIDE
from fer_edge.spec import DataSpec, Int8Recipe
from fer_edge.train.detector.checkpoint import DetectorCheckpoint
from fer_edge.train.detector.config import DetectorConfig
from fer_edge.train.detector.labels import Labels, Photograph
from fer_edge.train.detector.metrics import Tally
from fer_edge.train.detector.module import LOWEST_SCORE, NMS_THRESHOLD, SCORE_THRESHOLD
from fer_edge.train.detector.network import FaceDetector
from fer_edge.train.detector.whole import WholePhotographs
from fer_edge.train.finalize import TOOLS

INTENDED_USE = (
    "Finding faces in photographs and video on small boards, so that their expressions can be "
    "read, with the consent of those seen. It recognizes nobody. Not for surveillance."
)
_DATA = "photographs labelled by YuNet (MIT licence) and by people"
_LICENCE = "see the model card; photographs of the web and of research data sets"


def finalize_detector(
    trained: FaceDetector,
    widths: Sequence[int],
    config: DetectorConfig,
    labels: Labels,
    val: WholePhotographs,
) -> DetectorCheckpoint:
    """The checkpoint of a trained float network with these `Widths`, with its metrics on val."""
    spec = DetectorSpec(
        name=config.name,
        version=config.version,
        widths=tuple(widths),
        input=DetectorInput(trained.mean, trained.std),
        score_threshold=SCORE_THRESHOLD,
        nms_threshold=NMS_THRESHOLD,
        min_face=config.min_face,
        max_face=config.max_face,
        side=SIDE,
        data=DataSpec(
            config.data_name or _DATA,
            config.data_licence or _LICENCE,
            {name: _count_faces(labels.split(name)) for name in ("train", "val")},
        ),
        metrics=(),
        intended_use=INTENDED_USE,
        tools=TOOLS,
    )
    checkpoint = DetectorCheckpoint(trained, spec)
    return replace(checkpoint, spec=replace(spec, metrics=(measure(checkpoint, val),)))


def add_quantized_detector(
    source: DetectorCheckpoint, trained: FaceDetector, recipe: Int8Recipe, config: DetectorConfig
) -> DetectorCheckpoint:
    """The float checkpoint with a trained quantized model; name and version are the run's own."""
    quantization = replace(
        source.spec.quantization,
        method=f"quantization-aware training, {config.epochs} epochs",
        calibration="pieces of photographs of train",
        int8=recipe,
    )
    spec = replace(
        source.spec,
        name=config.name,
        version=config.version,
        quantization=quantization,
        tools={**source.spec.tools, **TOOLS},
    )
    return DetectorCheckpoint(source.model, spec, trained)


def measure(checkpoint: DetectorCheckpoint, photographs: WholePhotographs) -> DetectorMetrics:
    """The metrics of a checkpoint on whole photographs, at its thresholds."""
    spec = checkpoint.spec
    tally = Tally(spec.score_threshold)
    for index, photograph in enumerate(photographs.photographs):
        output = checkpoint.run(photographs[index].pixels[None])[0]
        scale = photographs.scales[index]
        found = select_faces(output, LOWEST_SCORE, spec.nms_threshold)
        found[:, :8] /= np.float32(scale)
        tally.add(found, photograph, scale)
    return tally.metrics("val", photographs.side)


def _count_faces(photographs: Sequence[Photograph]) -> int:
    return sum(int(one.is_certain.sum()) for one in photographs)
