from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from fer_edge.errors import DataError, ModelError
from fer_edge.spec import ModelSpec
from fer_edge.train.callbacks import read_log
from fer_edge.train.data.loading import read_data
from fer_edge.train.evaluation.evaluate import (
    match_labels,
    open_model,
    predict_all,
)
from fer_edge.train.evaluation.plots import plot_curves, save_figure
from fer_edge.train.networks import checkpoint
from fer_edge.train.networks.classifier import get_head
from tests.support.networks import make_checkpoint, predict_by_brightness


def test_labels_in_another_order_are_matched_by_name(spec: ModelSpec, csv_file: Path) -> None:
    data = read_data(csv_file)
    reordered = replace(spec, labels=tuple(reversed(spec.labels)))
    faces = match_labels(data, data.split("test"), reordered, "m")
    assert [reordered.labels[i] for i in faces.labels] == [
        data.labels[i] for i in data.split("test").labels
    ]


def test_data_that_does_not_fit_the_model(spec: ModelSpec, csv_file: Path) -> None:
    data = read_data(csv_file)
    with pytest.raises(DataError, match="m doesn't know the labels 'angry', 'disgust', "):
        match_labels(data, data.split("test"), replace(spec, labels=("happy", "sad")), "m")
    larger = replace(spec, input=replace(spec.input, side=64))
    with pytest.raises(DataError, match="faces of 48 px, m takes 64"):
        match_labels(data, data.split("test"), larger, "m")
    del data.splits["test"]  # type: ignore[attr-defined]
    with pytest.raises(DataError, match="there is no test split, only train, val"):
        data.split("test")


def test_batches_change_nothing() -> None:
    faces = np.random.default_rng(0).integers(0, 256, (600, 48, 48), dtype=np.uint8)
    assert np.array_equal(predict_all(predict_by_brightness, faces), predict_by_brightness(faces))


def test_curves(tmp_path: Path) -> None:
    log = tmp_path / "metrics.csv"
    log.write_text(
        "epoch,lr,train_loss,val_loss,val_accuracy,seconds,images_per_second\n"
        "1,0.1,2,2,0.3,1,9\n2,0.1,1,1.5,0.5,1,9\n"
    )
    save_figure(plot_curves(read_log(log)), tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 5000


def test_a_checkpoint_whose_logits_overflow_is_named(tmp_path: Path) -> None:
    path = make_checkpoint("tiny", tmp_path, half=False)
    loaded = checkpoint.load(path)
    with torch.no_grad():
        get_head(loaded.model, "tiny").weight.fill_(3e38)
    checkpoint.save(loaded, path)
    with pytest.raises(ModelError, match="logits that are NaN or infinite"):
        open_model(path).predict(np.full((1, 48, 48), 255, np.uint8))
