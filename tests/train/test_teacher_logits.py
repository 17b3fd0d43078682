from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from fer_edge.errors import ConfigError, DataError, ModelError
from fer_edge.spec import DataSpec
from fer_edge.train.augment import draw_view
from fer_edge.train.config import TrainConfig
from fer_edge.train.data.loading import read_data
from fer_edge.train.data.unlabelled import UnlabelledFaces
from fer_edge.train.ranges import Augmentation
from fer_edge.train.teacher_logits import Header, StoredViews, TeacherLogits, load_logits
from tests.support.data import draw_face

LABELS = ("happy", "sad", "angry")
HEADER = Header(LABELS, 3, Augmentation(rotation=9), (DataSpec("mine", "own", {"train": 5}),))
FACES = torch.stack([torch.from_numpy(draw_face(i % 7, i)) for i in range(20)])
LOGITS = torch.randn(4, 20, 3, generator=torch.Generator().manual_seed(0)) * 3


@pytest.fixture
def kept() -> TeacherLogits:
    return TeacherLogits.collect(HEADER, FACES, 4, lambda number: LOGITS[number])


def test_a_file_keeps_the_probabilities(kept: TeacherLogits, tmp_path: Path) -> None:
    kept.save(tmp_path / "a.safetensors")
    read = TeacherLogits.load(tmp_path / "a.safetensors")
    assert read.header == HEADER
    views = StoredViews(read, FACES)
    for epoch in range(6):
        view = views.get(epoch, is_mild=False)
        wanted = LOGITS[epoch % 4].softmax(1)
        assert torch.allclose(view.logits.softmax(1), wanted, atol=0.02)
        assert torch.equal(view.draws, draw_view(epoch % 4, 3, 20))


def test_logits_follow_their_faces_in_any_order(kept: TeacherLogits) -> None:
    order = torch.tensor([19, 3, 3, 0])
    view = StoredViews(kept, FACES[order]).get(1, is_mild=False)
    whole = StoredViews(kept, FACES).get(1, is_mild=False)
    assert torch.equal(view.logits, whole.logits[order])
    assert torch.equal(view.draws, whole.draws[order])


def test_a_mild_view_has_the_mean_logits_and_draws_of_its_own(kept: TeacherLogits) -> None:
    views = StoredViews(kept, FACES)
    mild, other = views.get(5, is_mild=True), views.get(6, is_mild=True)
    full = [views.get(number, is_mild=False) for number in range(4)]
    mean = torch.stack([view.logits for view in full]).mean(0)
    assert torch.allclose(mild.logits, mean, atol=1e-5)
    assert not any(torch.equal(mild.draws, view.draws) for view in (*full, other))


def test_logits_far_below_the_largest_stay_lowest() -> None:
    logits = torch.tensor([[0.0, -400.0, 9.0]])
    kept = TeacherLogits.collect(HEADER, FACES[:1], 1, lambda _: logits)
    found = StoredViews(kept, FACES[:1]).get(0, is_mild=False).logits
    assert found.tolist() == [[-9.0, -255 / 16, 0.0]]


def test_faces_without_logits_are_counted(kept: TeacherLogits) -> None:
    with pytest.raises(DataError, match="lack 2 of 20 faces: they are of other data"):
        StoredViews(kept, torch.cat([FACES[:18], 255 - FACES[:2]]))


@pytest.mark.parametrize("size", [0, 100, -1])
def test_a_damaged_file_is_named(kept: TeacherLogits, tmp_path: Path, size: int) -> None:
    path = tmp_path / "a.safetensors"
    kept.save(path)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises((DataError, ModelError), match=r"a\.safetensors: damaged"):
        TeacherLogits.load(path)


def test_a_file_without_a_version_has_views_of_the_first(
    kept: TeacherLogits, tmp_path: Path
) -> None:
    kept.save(tmp_path / "a.safetensors")
    with safe_open(tmp_path / "a.safetensors", framework="pt") as file:
        (key, text), *_ = file.metadata().items()
    header = json.loads(text)
    del header["views_version"]
    save_file(
        {"faces": kept.faces, "levels": kept.levels},
        tmp_path / "b.safetensors",
        metadata={key: json.dumps(header)},
    )
    assert TeacherLogits.load(tmp_path / "b.safetensors").header == HEADER


def test_a_file_of_another_kind_is_named(kept: TeacherLogits, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    with pytest.raises(ModelError, match=r"a\.safetensors: there is no such file"):
        TeacherLogits.load(path)
    save_file({"faces": kept.faces}, path)
    with pytest.raises(DataError, match="holds no logits of teachers"):
        TeacherLogits.load(path)
    levels = kept.levels
    for other in (levels[:, :5], levels[0], levels[0, 0, 0], levels[:0], levels.float()):
        replace(kept, levels=other.contiguous()).save(path)
        with pytest.raises(DataError, match=r"damaged .its tensors don't belong together"):
            TeacherLogits.load(path)
    replace(kept, faces=kept.faces[0]).save(path)
    with pytest.raises(DataError, match=r"damaged .its tensors don't belong together"):
        TeacherLogits.load(path)


def test_logits_of_other_runs_are_refused(
    tmp_path: Path, csv_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = read_data(csv_file)
    faces = torch.from_numpy(data.split("train").pixels)
    config = TrainConfig(
        str(csv_file),
        teacher_logits=str(tmp_path / "a.safetensors"),
        augmentation=HEADER.augmentation,
    )

    def put(header: Header, of: torch.Tensor = faces) -> None:
        logits = torch.zeros(len(of), len(header.labels))
        TeacherLogits.collect(header, of, 1, lambda _: logits).save(Path(config.teacher_logits))

    right = replace(HEADER, labels=data.labels)
    put(right)
    views, _ = load_logits(config, data)
    assert views.get(0, is_mild=False).logits.shape == (len(faces), len(data.labels))
    web = UnlabelledFaces(255 - data.split("train").pixels[:5], "web")
    put(right, torch.cat([faces, torch.from_numpy(web.pixels[[3, 1]])]))
    with caplog.at_level(logging.WARNING):
        views, known = load_logits(config, data, web)
    assert "web: 3 of 5 faces without labels are left out: " in caplog.text
    assert "a.safetensors has no logits of them" in caplog.text
    assert known is not None
    assert np.array_equal(known.pixels, web.pixels[[1, 3]])
    assert views.places.tolist() == [*range(len(faces)), len(faces) + 1, len(faces)]
    put(right)
    with pytest.raises(DataError, match="web: no face without a label remains"):
        load_logits(config, data, web)
    put(HEADER)
    with pytest.raises(DataError, match="of the labels happy, sad, angry, not the data's"):
        load_logits(config, data)
    put(right, faces[1:])
    with pytest.raises(DataError, match=r"a\.safetensors: .*lack 1 of"):
        load_logits(config, data)
    put(replace(right, views_version=2))
    with pytest.raises(DataError, match="its views are of version 2, not 1: write it again"):
        load_logits(config, data)
    put(replace(right, augmentation=Augmentation()))
    with pytest.raises(
        ConfigError, match=r"needs \[augmentation\] in the recipe with rotation = 12"
    ):
        load_logits(config, data)
