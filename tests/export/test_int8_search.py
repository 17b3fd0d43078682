"""int8 files: by rounding alone, of a trained twin, and the search."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from fer_edge.errors import ConfigError, DataError, ParityError
from fer_edge.export import to_onnx as of_onnx
from fer_edge.export.exporter import Exported, export_checkpoint
from fer_edge.export.formats import FORMATS
from fer_edge.export.golden import draw_faces
from fer_edge.export.int8_search import (
    default_int8_recipe,
    quantize,
    read_int8_recipe,
    search_int8_recipe,
    search_target,
)
from fer_edge.export.thresholds import Gate
from fer_edge.runtime.backends import open_backend
from fer_edge.runtime.results import softmax
from fer_edge.spec import Int8Recipe
from fer_edge.train.data.dataset import FaceData
from fer_edge.train.data.loading import read_data
from fer_edge.train.networks import checkpoint as checkpoints
from fer_edge.train.networks.checkpoint import Checkpoint
from tests.support.data import draw_rows, write_csv
from tests.support.exported import exporting
from tests.support.networks import make_checkpoint

ANY = Gate(changes={"agreement": 0.0, "accuracy_loss": 1.0, "recall_loss": 1.0})
"""Random networks lose what they will: here it counts that the file is the twin."""


@pytest.fixture(scope="module")
def data(larger_csv_file: Path) -> FaceData:
    return read_data(larger_csv_file)


@pytest.fixture(scope="module")
def twins(data: FaceData, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Checkpoints with a twin that counts as trained."""
    folder = tmp_path_factory.mktemp("twins")
    found = {}
    for architecture in ("mobilenet_v2", "mobilenet_v3_small"):
        path = make_checkpoint(architecture, folder)
        source = checkpoints.load(path)
        recipe = replace(default_int8_recipe(source), trained=1)
        twin = quantize(source, data, recipe)
        own = replace(twin.spec.quantization, temperature=2.5)
        checkpoints.save(replace(twin, spec=replace(twin.spec, quantization=own)), path)
        found[architecture] = path
    return found


@pytest.fixture(scope="module")
def files(
    twins: dict[str, Path], data: FaceData, tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[str, str], Exported]:
    folder = tmp_path_factory.mktemp("files")
    return {
        (architecture, format): export_checkpoint(
            path, folder / f"{architecture}{FORMATS[format].suffix}", data,
            format=format, precision="int8", gate=ANY,
        )
        for architecture, path in twins.items()
        for format, kind in FORMATS.items()
        if "int8" in kind.precisions
    }  # fmt: skip


def test_a_file_of_a_twin_has_the_twins_temperature(
    files: dict[tuple[str, str], Exported], twins: dict[str, Path], tmp_path: Path
) -> None:
    checkpoint, made_int8 = twins["mobilenet_v2"], files["mobilenet_v2", "onnx"]
    made_fp32 = export_checkpoint(checkpoint, tmp_path / "fp32.onnx")
    assert (made_fp32.spec.temperature, made_int8.spec.temperature) == (1.5, 2.5)
    for done in (made_fp32, made_int8):
        logits, probabilities = onnxruntime.InferenceSession(done.path).run(
            ["logits", "probabilities"], {"faces": draw_faces(48)}
        )
        expected = softmax(logits / done.spec.temperature)
        assert np.abs(probabilities - expected).max() < 1e-6
    assert made_int8.spec.quantization.temperature is None
    assert checkpoints.load(checkpoint).spec.temperature == 1.5


@pytest.mark.parametrize("architecture", ["mobilenet_v2", "mobilenet_v3_small"])
def test_onnx_runtime_computes_the_twin_bit_for_bit(
    files: dict[tuple[str, str], Exported], twins: dict[str, Path], architecture: str
) -> None:
    path = files[architecture, "onnx"].path
    twin = checkpoints.load(twins[architecture]).int8()
    faces = np.concatenate([draw_faces(48), np.random.default_rng(1).integers(
        0, 256, (48, 48, 48)).astype(np.uint8)])  # fmt: skip
    expected = twin.predict(faces)
    assert expected.std(0).min() > 0.01
    for batch in (1, 7, 64):
        got = np.concatenate(
            [open_backend(path)(faces[i : i + batch]) for i in range(0, 64, batch)]
        )
        assert np.abs(got - expected).max() < 1e-5


def test_openvino_computes_the_twin_too(
    files: dict[tuple[str, str], Exported], twins: dict[str, Path], data: FaceData
) -> None:
    """MobileNetV3's gates, which aren't rounded, it computes otherwise: a last bit grows."""
    pixels = data.split("test").pixels
    for (architecture, _), done in files.items():
        expected = checkpoints.load(twins[architecture]).int8().predict(pixels)
        got = open_backend(done.path, backend="openvino")(pixels)
        if architecture == "mobilenet_v2":
            assert np.abs(got - expected).max() < 1e-5
        else:
            assert (got.argmax(1) == expected.argmax(1)).mean() > 0.9
            assert np.abs(got - expected).mean() < 0.05 * expected.std()


def test_the_engine_fuses_every_layer(
    files: dict[tuple[str, str], Exported], tmp_path: Path
) -> None:
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(files["mobilenet_v2", "onnx"].path, options)
    kinds = Counter(node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node)
    assert kinds["QLinearConv"] == 52
    assert kinds["QLinearAdd"] == 10
    assert kinds["Conv"] == 0


def test_the_spec_tells_how_it_was_rounded(files: dict[tuple[str, str], Exported]) -> None:
    for done in files.values():
        quantization = done.spec.quantization
        assert (quantization.precision, quantization.weights) == ("int8", "int8")
        assert quantization.calibration == "63 faces of FER2013 train, up to 9 a label, seed 0"
        assert quantization.int8 is not None
        assert quantization.int8.trained == 1
        assert done.savings is not None
        assert done.savings.bytes == done.size
        assert done.savings.bytes < done.savings.bytes_fp32
        assert done.savings.milliseconds > 0
        assert "times as fast" in str(done.savings)
        test = done.parities[1]
        assert test.accuracy_float is not None
        assert done.to_dict()["savings"]["speedup"] == done.savings.speedup


def test_int8_by_rounding_alone_is_counted_from_the_float_network(
    source: Path, data: FaceData, tmp_path: Path
) -> None:
    done = export_checkpoint(source, tmp_path / "m.onnx", data, precision="int8", gate=ANY)
    golden, test = done.parities
    assert golden.max_abs_logit_diff < 1e-5  # against the same rounding in PyTorch
    assert test.max_abs_logit_diff > 1e-3  # against float
    assert test.accuracy_float is None
    assert done.spec.quantization.method == "rounded, ranges by answer"

    again = read_int8_recipe(done.path)
    assert again == done.spec.quantization.int8
    other = export_checkpoint(
        source, tmp_path / "n.onnx", data, precision="int8", gate=ANY, recipe=again
    )
    assert np.array_equal(
        open_backend(other.path)(draw_faces(48)), open_backend(done.path)(draw_faces(48))
    )


def test_a_spoiled_int8_file_is_refused(
    twins: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = of_onnx.to_onnx

    def spoiled(checkpoint: Checkpoint, precision: object) -> onnx.ModelProto:
        model = build(checkpoint, precision)  # type: ignore[arg-type]
        tensor = max(model.graph.initializer, key=lambda t: len(t.raw_data))
        tensor.raw_data = bytes(reversed(tensor.raw_data))
        return model

    exporting(monkeypatch, spoiled)
    with pytest.raises(
        ParityError, match=r"label agreement on golden .* What to try: run fer train"
    ):
        export_checkpoint(twins["mobilenet_v2"], tmp_path / "m.onnx", precision="int8")
    assert list(tmp_path.iterdir()) == []


def test_what_int8_cannot_be_made_of(
    source: Path, files: dict[tuple[str, str], Exported], twins: dict[str, Path], tmp_path: Path
) -> None:
    path = tmp_path / "m.onnx"
    with pytest.raises(ConfigError, match="int8 needs --data"):
        export_checkpoint(source, path, precision="int8")
    few = read_data(write_csv(draw_rows(7, 1, 1), tmp_path / "few.csv"))
    with pytest.raises(DataError, match="49 faces in train to calibrate int8 with, at least 50"):
        export_checkpoint(source, path, few, precision="int8")
    with pytest.raises(ConfigError, match="has no layer 'tail'"):
        export_checkpoint(
            source, path, few, precision="int8", recipe=Int8Recipe(float_layers=("tail",))
        )
    with pytest.raises(ConfigError, match="comes from quantization-aware training"):
        read_int8_recipe(files["mobilenet_v2", "onnx"].path)
    with pytest.raises(ConfigError, match="not an int8 file"):
        read_int8_recipe(twins["mobilenet_v2"].with_name("mobilenet_v2.safetensors"))
    assert not path.exists()


@pytest.mark.parametrize(("bar", "wanted"), [(0.97, 0.98), (0.99, 0.995), (0.996, 0.998)])
def test_the_search_asks_for_more_than_the_bar_but_not_for_all(bar: float, wanted: float) -> None:
    assert search_target(bar) == pytest.approx(wanted)


def test_the_search_leaves_in_float_what_it_must(source: Path, data: FaceData) -> None:
    lines: list[str] = []
    easy = search_int8_recipe(source, data, lines.append, wanted=0.0)
    assert easy.ranges in ("answer", "mse", "percentile", "minmax")
    assert len(lines) == 5

    lines.clear()
    found = search_int8_recipe(source, data, lines.append, wanted=1.0)
    start = default_int8_recipe(checkpoints.load(source))
    assert set(found.float_layers) > set(start.float_layers)
    assert any(" blocks in float, from features." in line for line in lines)
    best = quantize(checkpoints.load(source), data, found).int8()
    plain = quantize(checkpoints.load(source), data, replace(start, ranges=found.ranges)).int8()
    val = data.split("val").pixels
    reference = checkpoints.load(source).predict(val).argmax(1)
    assert (best.predict(val).argmax(1) == reference).sum() > (
        plain.predict(val).argmax(1) == reference
    ).sum()

    # a bar that so many blocks in float reach, and rounding all doesn't: no more of them are left
    def share(line: str) -> float:
        return float(line.split()[-1][:-1]) / 100

    all_rounded = max(share(line) for line in lines if line.startswith("ranges by"))
    tried = (line for line in lines if " blocks in float" in line)
    some = next(line for line in tried if share(line) > all_rounded)
    bar = share(some) - 0.0101
    middle = search_int8_recipe(source, data, lambda _: None, wanted=bar)
    blocks = {layer.split(".")[1] for layer in set(middle.float_layers) - set(start.float_layers)}
    assert 0 < len(blocks) <= int(some.split()[0])
