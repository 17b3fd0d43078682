"""The promise, for every file of the models in the package: format x precision x engine."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from fer_edge.export.exporter import export_checkpoint
from fer_edge.export.formats import FORMATS
from fer_edge.export.golden import draw_faces
from fer_edge.export.judge import check_thresholds, reference_models, threshold_kind
from fer_edge.export.parity import measure
from fer_edge.export.thresholds import DEFAULT_THRESHOLDS, Thresholds
from fer_edge.runtime.backends.registry import ENGINES
from fer_edge.runtime.formats.model_files import BUNDLED, bundled, companion
from fer_edge.runtime.formats.spec_reader import read_spec
from fer_edge.spec import Precision
from fer_edge.train.data.loading import read_data
from fer_edge.train.evaluation.evaluate import Model, open_model, predict_all
from fer_edge.train.networks import checkpoint as checkpoints
from tests.support.networks import with_float32_weights
from tests.support.requirements import needs_ncnn

Cell = tuple[str, Precision, str]
CELLS: list[Cell] = [
    (format, precision, engine)
    for format, kind in FORMATS.items()
    for precision in kind.precisions
    for engine in ENGINES
    if kind.suffix.endswith(ENGINES[engine].suffixes)
]
EXACT = Thresholds(agreement=1.0, max_abs_logit_diff=1e-4)
"""For fp32 and int8 under every engine."""


@pytest.fixture(scope="module", params=BUNDLED)
def name(request: pytest.FixtureRequest) -> str:
    """The name of a model in the package."""
    return str(request.param)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, name: str) -> dict[tuple[str, Precision], Path]:
    """The files of the model's checkpoint.

    float16 holds its weights exactly, so the fp16 files come from a checkpoint of the same function
    with other weights; otherwise fp16 would round nothing.
    """
    folder = tmp_path_factory.mktemp("files")
    float32 = with_float32_weights(bundled("checkpoint", name), folder)
    return {
        (format, precision): export_checkpoint(
            float32 if precision == "fp16" else bundled("checkpoint", name),
            folder / f"{precision}{kind.suffix}",
            format=format,
            precision=precision,
        ).path
        for format, kind in FORMATS.items()
        if format != "ncnn" or all(map(find_spec, ("ncnn", "pnnx")))
        for precision in kind.precisions
    }


class References:
    """PyTorch's logits, computed once for each model and set of faces."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.checkpoint = checkpoints.load(bundled("checkpoint", name))
        self.known: dict[tuple[str, int], npt.NDArray[np.float32]] = {}

    def logits(self, model: Model, faces: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        key = (model.name, len(faces))
        if key not in self.known:
            self.known[key] = model.predict(faces)
        return self.known[key]

    def check(
        self,
        model: Model,
        got: npt.NDArray[np.float32],
        pixels: npt.NDArray[np.uint8],
        truth: npt.NDArray[np.int64] | None = None,
    ) -> None:
        """Check the default thresholds, and those of this module."""
        reference, float_model = reference_models(self.checkpoint, self.name, model.spec)
        kind = threshold_kind(model, float_model)
        baseline = (
            [] if float_model is None or truth is None else [self.logits(float_model, pixels)]
        )
        expected = self.logits(reference, pixels)
        parity = measure(expected, got, model.spec, "test", truth, *baseline)
        exact = [EXACT] if kind in ("fp32", "int8-qat") else []
        for thresholds in (DEFAULT_THRESHOLDS[kind], *exact):
            assert check_thresholds(parity, thresholds).failures == ()


@pytest.fixture(scope="module")
def references(name: str) -> References:
    return References(name)


@pytest.mark.parametrize(("format", "precision", "engine"), CELLS)
def test_golden_samples_in_any_batch_with_any_threads(
    files: dict[tuple[str, Precision], Path], references: References,
    format: str, precision: Precision, engine: str,
) -> None:  # fmt: skip
    needs_ncnn(format)
    pixels = draw_faces(48)
    for threads in (1, 2):
        model = open_model(files[format, precision], backend=engine, threads=threads)
        for batch in (1, 7, 64):
            batches = range(0, len(pixels), batch)
            got = np.concatenate([model.predict(pixels[i : i + batch]) for i in batches])
            references.check(model, got, pixels)


@pytest.mark.slow
@pytest.mark.parametrize(("format", "precision", "engine"), CELLS)
def test_the_whole_test_split(
    files: dict[tuple[str, Precision], Path], references: References, fer2013: Path,
    format: str, precision: Precision, engine: str,
) -> None:  # fmt: skip
    needs_ncnn(format)
    faces = read_data(fer2013).split("test")
    model = open_model(files[format, precision], backend=engine, threads=os.cpu_count() or 1)
    got = predict_all(model.predict, faces.pixels)
    references.check(model, got, faces.pixels, faces.labels)


def test_the_spec_describes_the_file(files: dict[tuple[str, Precision], Path]) -> None:
    for (format, precision), path in files.items():
        spec = read_spec(path)
        assert spec.quantization.precision == precision
        exact = precision == "fp32" and format != "ncnn"  # whose batch norms are folded
        assert spec.quantization.weights == ("fp16-exact" if exact else precision)
        assert (spec.ncnn is not None) == (format == "ncnn")
        assert spec.parity is not None
        assert spec.parity.passed
        assert spec.parity.gate == "default"
        if precision == "fp16":  # or nothing was rounded
            assert spec.parity.max_abs_logit_diff is not None
            assert spec.parity.max_abs_logit_diff > 1e-4
            weights = companion(path, ".bin") if format != "onnx" else path
            float32 = path.with_name("float32.safetensors")
            assert weights.stat().st_size < 0.6 * float32.stat().st_size
