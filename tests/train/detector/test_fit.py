"""Whole runs of a detector on synthetic photographs: folder, resuming, quantization."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from fer_edge.errors import ConfigError, DataError, ModelError, SpecError
from fer_edge.runtime.detection.find_detector import BUILT_IN, find_detector
from fer_edge.runtime.formats.spec_reader import read_detector_spec, read_spec
from fer_edge.train.callbacks import read_log
from fer_edge.train.detector import checkpoint
from fer_edge.train.detector.config import DetectorConfig
from fer_edge.train.detector.fit import DetectorFit, fit_detector
from fer_edge.train.detector.inputs import resolve_detector_config
from fer_edge.train.detector.module import METRIC
from tests.support.detectors import save_detector
from tests.support.photographs import write_photographs

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 64, 96), dtype=np.uint8)


@pytest.fixture(scope="module")
def config(photographs: Path) -> DetectorConfig:
    return DetectorConfig(
        str(photographs),
        str(photographs / "labels.json"),
        epochs=2,
        pieces=16,
        piece_side=64,
        max_face=60,
        batch_size=8,
        workers=0,
    )


@pytest.fixture(scope="module")
def result(config: DetectorConfig, tmp_path_factory: pytest.TempPathFactory) -> DetectorFit:
    return fit_detector(config, tmp_path_factory.mktemp("runs") / "run")


def test_the_run_folder(result: DetectorFit, config: DetectorConfig) -> None:
    run = result.path.parent
    assert {p.name for p in run.iterdir()} == {
        "checkpoints", "config.json", "curves.png", "inputs.json", "metrics.csv",
        "model.safetensors", "tensorboard",
    }  # fmt: skip
    assert DetectorConfig.load(run / "config.json") == config
    assert [row["epoch"] for row in read_log(run / "metrics.csv", METRIC)] == ["1", "2"]


def test_what_is_returned_is_what_was_saved(result: DetectorFit) -> None:
    saved = checkpoint.load(result.path)
    assert saved.spec == result.checkpoint.spec == read_detector_spec(result.path)
    assert np.array_equal(saved.run(IMAGES), result.checkpoint.run(IMAGES))
    (metrics,) = saved.spec.metrics
    assert (metrics.split, metrics.side, metrics.photographs) == ("val", 320, 6)
    assert saved.spec.data.faces == {"train": 12, "val": 6}
    with pytest.raises(SpecError, match=r"a face detector, not a model of expressions"):
        read_spec(result.path)


def test_a_resumed_run_ends_like_an_unbroken_one(
    result: DetectorFit, config: DetectorConfig, tmp_path: Path
) -> None:
    def interrupt(stage: str, *_: int) -> None:
        if stage == "epoch 2/2":
            raise KeyboardInterrupt

    with pytest.raises((KeyboardInterrupt, SystemExit)):
        fit_detector(config, tmp_path / "run", on_progress=interrupt)
    assert len(read_log(tmp_path / "run" / "metrics.csv", METRIC)) == 1
    resumed = fit_detector(config, tmp_path / "run", resume=True)
    one, other = load_file(result.path), load_file(resumed.path)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_training_starts_from_given_weights(
    result: DetectorFit, config: DetectorConfig, tmp_path: Path
) -> None:
    settings = replace(
        config, weights=str(result.path), epochs=1, pieces=8, lr=1e-9, weight_decay=0.0, ema=0.0
    )
    path = fit_detector(settings, tmp_path / "run").path
    one, other = load_file(result.path), load_file(path)
    weights = [name for name in one if name.endswith("weight")]
    assert weights
    assert all(torch.allclose(one[name], other[name], atol=1e-7) for name in weights)
    # the run knows them by content
    initial = resolve_detector_config({"weights": path}, path.parent, resume=True)
    with pytest.raises(ConfigError, match="weights: not what the run started with"):
        fit_detector(initial, path.parent, resume=True)


def test_the_channels_of_given_weights_are_kept(config: DetectorConfig, tmp_path: Path) -> None:
    small = save_detector(tmp_path)
    path = fit_detector(
        replace(config, weights=str(small), epochs=1, pieces=8), tmp_path / "run"
    ).path
    assert checkpoint.load(path).spec.widths == checkpoint.load(small).spec.widths


def test_an_exported_detector_is_no_checkpoint() -> None:
    with pytest.raises(ModelError, match=r"detector\.onnx: an exported detector, not a checkpoint"):
        checkpoint.load(find_detector(BUILT_IN))


@pytest.fixture(scope="module")
def quantized(
    result: DetectorFit, config: DetectorConfig, tmp_path_factory: pytest.TempPathFactory
) -> DetectorFit:
    settings = replace(config, qat_from=str(result.path), epochs=1, lr=1e-4, version="2")
    return fit_detector(settings, tmp_path_factory.mktemp("qat") / "run")


def test_a_quantized_detector_is_saved_beside_its_float_one(
    result: DetectorFit, quantized: DetectorFit
) -> None:
    saved = checkpoint.load(quantized.path)
    assert saved.spec == quantized.checkpoint.spec
    assert saved.spec.version == "2"
    assert saved.spec.quantization.int8 is not None
    assert saved.spec.quantization.int8.trained == 1
    assert np.array_equal(saved.run(IMAGES), result.checkpoint.run(IMAGES))
    int8 = saved.int8()
    assert np.array_equal(int8.run(IMAGES), quantized.checkpoint.int8().run(IMAGES))
    # close to the float one, and not the same
    difference = np.abs(int8.run(IMAGES) - saved.run(IMAGES))
    assert 0 < difference[:, -1].max() < 0.05


def test_a_folder_that_holds_a_run(result: DetectorFit, config: DetectorConfig) -> None:
    with pytest.raises(ConfigError, match="already holds a run"):
        fit_detector(config, result.path.parent)


def test_other_inputs_are_refused(result: DetectorFit, tmp_path: Path) -> None:
    write_photographs(tmp_path, {"web": 2, "animal": 1})
    moved = {"photographs": tmp_path, "labels": tmp_path / "labels.json"}
    config = resolve_detector_config(moved, result.path.parent, resume=True)
    with pytest.raises(ConfigError, match="labels: not what the run started with"):
        fit_detector(config, result.path.parent, resume=True)


def test_settings_of_a_resumed_run(result: DetectorFit, tmp_path: Path) -> None:
    run = result.path.parent
    with pytest.raises(ConfigError, match=r"epochs is 2 in .*, not 3"):
        resolve_detector_config({"epochs": 3}, run, resume=True)
    assert resolve_detector_config({"workers": 3}, run, resume=True).workers == 3
    with pytest.raises(ConfigError, match="no run to resume"):
        resolve_detector_config({}, tmp_path, resume=True)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"piece_side": 100}, "piece_side must be a multiple of 32"),
        ({"pieces": 1}, "pieces must be batch_size or more"),
        ({"min_face": 300}, "are no range of faces"),
        ({"lr": 0.0}, "lr must be above 0"),
        ({"background": 2.0}, "background must be in"),
        ({"rotated": 1.5}, "rotated must be in"),
        ({"eye_weight": float("nan")}, "eye_weight must be in"),
        ({"name": "a/b"}, "name must be a plain name"),
        ({"labels": ""}, "must not be empty"),
        ({"weights": "a", "qat_from": "b"}, "--weights and --from are both given"),
    ],
)
def test_settings_out_of_range(settings: dict[str, object], message: str) -> None:
    given = {"photographs": "p", "labels": "l", **settings}
    with pytest.raises(ConfigError, match=message):
        DetectorConfig(**given)  # type: ignore[arg-type]


def test_a_photograph_that_is_gone(config: DetectorConfig, tmp_path: Path) -> None:
    write_photographs(tmp_path)
    (tmp_path / "train" / "web" / "web-0.png").unlink()
    moved = replace(config, photographs=str(tmp_path))
    with pytest.raises(DataError, match=r"web-0\.png: there is no such photograph"):
        fit_detector(moved, tmp_path / "run")
    assert not (tmp_path / "run" / "config.json").exists()
