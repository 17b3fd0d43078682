from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fer_edge.errors import ConfigError
from fer_edge.runtime.formats.model_files import bundled
from fer_edge.runtime.formats.spec_reader import read_spec
from fer_edge.spec import DataSpec, ModelSpec
from fer_edge.train.config import TrainConfig
from fer_edge.train.data.dataset import FaceData, Faces
from fer_edge.train.data.unlabelled import UnlabelledFaces
from fer_edge.train.provenance import (
    INITIAL_SPEC_FILE,
    describe_initial_data,
    describe_start,
    describe_training_data,
    find_initial_checkpoint,
    read_initial_spec,
)


def data(*, name: str = "mine", copies: int = 0) -> FaceData:
    faces = np.random.default_rng(0).integers(0, 256, (40, 48, 48), dtype=np.uint8)
    faces[30 : 30 + copies] = faces[:copies]
    one = Faces(faces, np.arange(40) % 2, np.arange(40))
    splits = {"train": one.take(np.arange(30)), "val": one.take(np.arange(30, 40))}
    return FaceData(name, "own", Path("x"), ("happy", "bored"), splits, (), ("val",))


def test_what_weights_were_trained_on_is_kept() -> None:
    counts = {"train": 30, "val": 10}
    mine = describe_training_data(None, data())
    assert mine == DataSpec("mine", "own", counts)
    fer = DataSpec("FER2013", "research", {"train": 28709})
    both = describe_training_data(fer, data())
    assert both == DataSpec("FER2013, then mine", "research; own", counts)
    assert describe_training_data(both, data()) == both
    third = describe_training_data(both, data(name="yours"))
    assert third == DataSpec("FER2013, then mine, then yours", "research; own", counts)


def test_what_teachers_and_weights_of_other_origin_were_trained_on_is_kept() -> None:
    config = TrainConfig(
        "x", weights="w.pth", weights_data="a million faces", weights_licence="CC0"
    )
    before = describe_initial_data(config, None)
    assert describe_initial_data(replace(config, weights_data="", weights_licence=""), None) is None
    teacher = describe_training_data(before, data(name="FER2013"))
    assert (teacher.name, teacher.licence) == ("a million faces, then FER2013", "CC0; own")
    taught = describe_training_data(None, data(), [teacher, teacher])
    assert taught.name == "mine"
    assert taught.teachers == ("a million faces, then FER2013",)
    assert taught.licence == "own; CC0"
    assert describe_training_data(taught, data(name="yours")).teachers == taught.teachers
    web = DataSpec("mine", "own", {"train": 5}, ("faces of films",), {"web": 7})
    assert describe_training_data(None, data(), [web]).teachers == (
        "mine",
        "faces of films",
        "web (without labels)",
    )
    with pytest.raises(ConfigError, match="belong together"):
        replace(config, weights_licence="")


def test_faces_without_labels_are_counted_by_their_origin() -> None:
    faces = UnlabelledFaces(np.zeros((3, 48, 48), np.uint8), "web photographs", "research; CC0")
    first = describe_training_data(None, data(), unlabelled=faces)
    assert first.unlabelled == {"web photographs": 3}
    assert first.faces == {"train": 30, "val": 10}
    assert (first.name, first.licence) == ("mine", "own; research; CC0")
    assert describe_training_data(first, data(), unlabelled=faces) == first
    more = UnlabelledFaces(faces.pixels[:1], "films", "own")
    both = describe_training_data(first, data(), unlabelled=more)
    assert both.unlabelled == {"web photographs": 3, "films": 1}
    lines = list(describe_start(data(), None, faces))
    assert "web photographs: 3 faces without labels join train" in lines


def test_where_a_run_begins(tmp_path: Path, spec: ModelSpec) -> None:
    for weights, first in (("base", bundled("checkpoint")), ("none", None), ("a.pth", None),
                           ("a.safetensors", Path("a.safetensors"))):  # fmt: skip
        assert find_initial_checkpoint(TrainConfig("x", weights=weights)) == first
    config = TrainConfig("x")
    assert read_initial_spec(config, tmp_path) == read_spec(bundled("checkpoint"))
    (tmp_path / INITIAL_SPEC_FILE).write_text(spec.to_json())
    assert read_initial_spec(replace(config, weights="gone.safetensors"), tmp_path) == spec


def test_what_is_said_before_the_first_epoch(spec: ModelSpec) -> None:
    assert list(describe_start(data(), None)) == [
        "mine: 2 labels; train 30, val 10 faces; val taken from train"
    ]
    known = list(describe_start(data(), spec))
    assert known[1] == "labels: happy (with initial weights); bored (new)"
    assert len(list(describe_start(data(), replace(spec, labels=("happy", "bored"))))) == 1
    (_, warned) = describe_start(data(copies=4), None)
    assert warned.startswith("4 of 10 val faces are near copies of faces in train")
    assert len(list(describe_start(replace(data(copies=4), derived_splits=()), None))) == 1
