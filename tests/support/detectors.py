"""Detectors that are not trained, and checkpoints of them."""

from __future__ import annotations

from dataclasses import astuple, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from fer_edge.detector_spec import DetectorInput, DetectorSpec
from fer_edge.export.golden import draw_faces
from fer_edge.spec import DataSpec, Int8Recipe
from fer_edge.train.calibrate import calibrate
from fer_edge.train.detector import checkpoint
from fer_edge.train.detector.checkpoint import DetectorCheckpoint
from fer_edge.train.detector.network import (
    HEADS,
    MEAN,
    STD,
    DetectorNetwork,
    FaceDetector,
    Widths,
)
from fer_edge.train.networks.quantized import quantize_model

WIDTHS = Widths(8, 8, 16, 16, 24)


def make_detector_spec() -> DetectorSpec:
    """A spec of a small network."""
    return DetectorSpec(
        name="faces",
        widths=astuple(WIDTHS),
        input=DetectorInput(MEAN, STD),
        score_threshold=0.5,
        nms_threshold=0.3,
        min_face=7,
        max_face=200,
        side=640,
        data=DataSpec("synthetic", "none", {"train": 12}),
        metrics=(),
        intended_use="tests",
        tools={},
    )


def make_detector() -> FaceDetector:
    """A random detector whose scores differ between cells, some of them above a half.

    Its batch norms are calibrated on synthetic faces; else the activations die out on the way.
    """
    torch.manual_seed(0)
    detector = FaceDetector(DetectorNetwork(WIDTHS)).train()
    images = torch.from_numpy(draw_faces(96))
    for norm in (one for one in detector.modules() if isinstance(one, nn.BatchNorm2d)):
        norm.momentum = None
    with torch.no_grad():
        for _ in range(3):
            detector(images)
        detector.eval()
        for name in HEADS:
            head = detector.network.get_submodule(name)
            assert isinstance(head, nn.Conv2d)
            assert head.bias is not None
            head.weight *= 10
            head.bias[8] = 0
    return detector


def make_detector_checkpoint() -> DetectorCheckpoint:
    """A random detector with a quantized model that is calibrated on synthetic faces."""
    detector, recipe = make_detector(), Int8Recipe("mse", HEADS, 1)
    quantized = quantize_model(detector, recipe)
    calibrate(quantized, draw_faces(96), recipe)
    spec = make_detector_spec()
    spec = replace(spec, quantization=replace(spec.quantization, int8=recipe))
    return DetectorCheckpoint(detector, spec, quantized.eval())


def save_detector(folder: Path) -> Path:
    """Save `make_detector_checkpoint`."""
    path = folder / "faces.safetensors"
    checkpoint.save(make_detector_checkpoint(), path)
    return path


def draw_image(height: int, width: int) -> np.ndarray:
    """An image of noise and drawn faces, uint8 `[height, width]`."""
    image = np.random.default_rng(height).integers(0, 256, (height, width), dtype=np.uint8)
    faces = draw_faces(64)[6:]
    for i, left in enumerate(range(0, width - 63, 64)):
        image[:64, left : left + 64] = faces[i % len(faces)]
    return image
