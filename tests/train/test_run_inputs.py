from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fer_edge.errors import ConfigError, DataError
from fer_edge.runtime.formats.model_files import bundled
from fer_edge.train.config import TrainConfig
from fer_edge.train.data.dataset import FaceData, Faces
from fer_edge.train.data.unlabelled import UnlabelledFaces
from fer_edge.train.networks.checkpoint import sha256
from fer_edge.train.ranges import Corruption
from fer_edge.train.run_inputs import INPUTS_FILE, describe_inputs


def make_data(
    labels: tuple[str, ...] = ("sad", "happy"), seed: int = 0, count: int = 4
) -> FaceData:
    random = np.random.default_rng(seed)
    numbers = np.arange(count, dtype=np.int64)
    faces = Faces(random.integers(0, 255, (count, 16, 16), np.uint8), numbers % 2, numbers)
    return FaceData("mine", "own", Path("x"), labels, {"train": faces, "val": faces})


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (make_data(("sad", "happy", "calm")), "the label 'calm' is new"),
        (make_data(("sad", "calm")), "the label 'happy' is gone"),
        (make_data(("happy", "sad")), r"the labels are in another order \(happy, sad\)"),
        (make_data(count=6), "6 faces in train, not 4"),
        (make_data(seed=1), "the pixels or labels of train and val changed"),
        (
            replace(make_data(), splits={"train": make_data().splits["train"]}),
            "0 faces in val, not 4",
        ),
    ],
)
def test_other_data_is_refused_by_what_differs(
    tmp_path: Path, other: FaceData, message: str
) -> None:
    config = TrainConfig("faces", weights="none")
    describe_inputs(config, make_data(), has_begun=False).save(tmp_path)
    for has_begun in (False, True):
        describe_inputs(config, make_data(), has_begun=has_begun).check_resumed(
            tmp_path, config, has_begun=has_begun
        )
        with pytest.raises(DataError, match=f"faces: not the data that the run in .*: {message};"):
            describe_inputs(config, other, has_begun=has_begun).check_resumed(
                tmp_path, config, has_begun=has_begun
            )


def test_files_are_the_same_wherever_they_lie(tmp_path: Path) -> None:
    def check(config: TrainConfig, *, has_begun: bool = True) -> None:
        found = describe_inputs(config, make_data(), has_begun=has_begun)
        found.check_resumed(tmp_path, config, has_begun=has_begun)

    names = ("votes.csv", "one.safetensors", "two.safetensors", "first.pth")
    votes, one, two, first = (str(tmp_path / name) for name in names)
    for name in (votes, one, two, first):
        Path(name).write_text(name)
    config = TrainConfig("d", weights=first, ferplus=votes, soft_targets=0.5, teachers=(one, two))
    describe_inputs(config, make_data(), has_begun=False).save(tmp_path)
    moved = Path(one).rename(tmp_path / "moved.safetensors")
    config = replace(config, teachers=(str(moved), two))
    check(config, has_begun=False)
    for path, setting in (
        (moved, r"teachers\[0\]"),
        (Path(votes), "ferplus"),
        (Path(first), "weights"),
    ):
        before = path.read_text()
        path.write_text("other")
        with pytest.raises(ConfigError, match=rf"{path}: not what .* as {setting}: restore it"):
            check(config, has_begun=False)
        if path == Path(first):  # the first epoch's checkpoint holds all weights
            check(config)
        path.write_text(before)
    for teachers in ((two, str(moved)), (str(moved),), (str(moved), two, two)):
        with pytest.raises(ConfigError, match=r"as teachers\["):
            check(replace(config, teachers=teachers))


def test_faces_without_labels_are_the_same(tmp_path: Path) -> None:
    own = {"teachers": (str(tmp_path / "t"),), "unlabelled": "photographs"}
    (tmp_path / "t").touch()
    config = TrainConfig("d", weights="none", **own)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 16, 16), np.uint8)
    describe_inputs(config, make_data(), UnlabelledFaces(pixels), has_begun=False).save(tmp_path)
    for has_begun in (False, True):
        same = UnlabelledFaces(pixels.copy(), "moved")
        found = describe_inputs(config, make_data(), same, has_begun=has_begun)
        found.check_resumed(tmp_path, config, has_begun=has_begun)
        for other in (UnlabelledFaces(pixels[:2]), UnlabelledFaces(pixels[::-1]), None):
            found = describe_inputs(config, make_data(), other, has_begun=has_begun)
            with pytest.raises(ConfigError, match=r"photographs: not what .* as unlabelled: rest"):
                found.check_resumed(tmp_path, config, has_begun=has_begun)


def test_settings_that_were_edited_are_named(tmp_path: Path) -> None:
    config = TrainConfig("d", weights="none", epochs=3)
    describe_inputs(config, make_data(), has_begun=False).save(tmp_path)
    for change, message in (
        ({"epochs": 4}, r"config\.json: epochs is 4, but was 3"),
        ({"frozen": ("features.0",)}, r'frozen is \["features\.0"\], but was \[\]'),
    ):
        edited = replace(config, **change)
        found = describe_inputs(edited, make_data(), has_begun=True)
        with pytest.raises(ConfigError, match=message):
            found.check_resumed(tmp_path, edited, has_begun=True)


def test_settings_that_an_older_version_lacks_have_their_defaults(tmp_path: Path) -> None:
    config = TrainConfig("d", weights="none")
    describe_inputs(config, make_data(), has_begun=False).save(tmp_path)
    path = tmp_path / INPUTS_FILE
    document = json.loads(path.read_text())
    del document["settings"]["ema"]
    augmentation = json.loads(document["settings"]["augmentation"])
    del augmentation["flip"]
    document["settings"]["augmentation"] = json.dumps(augmentation)
    path.write_text(json.dumps(document))
    describe_inputs(config, make_data(), has_begun=True).check_resumed(
        tmp_path, config, has_begun=True
    )
    for change, message in (
        ({"ema": 0.9}, r"ema is 0\.9, but was 0"),
        ({"augmentation": replace(config.augmentation, flip=0.1)}, r"augmentation is .* but was"),
    ):
        edited = replace(config, **change)
        found = describe_inputs(edited, make_data(), has_begun=True)
        with pytest.raises(ConfigError, match=message):
            found.check_resumed(tmp_path, edited, has_begun=True)


def test_a_run_from_before_a_setting_existed_goes_on_as_it_began(tmp_path: Path) -> None:
    def forget(name: str) -> None:
        document = json.loads((tmp_path / INPUTS_FILE).read_text())
        del document["settings"][name]
        (tmp_path / INPUTS_FILE).write_text(json.dumps(document))

    def check(config: TrainConfig) -> None:
        found = describe_inputs(config, make_data(), has_begun=True)
        found.check_resumed(tmp_path, config, has_begun=True)

    config = TrainConfig("d", weights="none")
    describe_inputs(config, make_data(), has_begun=False).save(tmp_path)
    forget("corruption")
    check(replace(config, corruption=Corruption(fraction=0.0)))
    with pytest.raises(ConfigError, match=r"corruption is .* but was"):
        check(config)
    (tmp_path / "t").touch()
    taught = replace(config, teachers=(str(tmp_path / "t"),))
    describe_inputs(taught, make_data(), has_begun=False).save(tmp_path)
    forget("teacher_weight")
    with pytest.raises(ConfigError, match="the run's teachers count otherwise in this version"):
        check(taught)


def test_the_checkpoint_in_the_package_is_a_file_too() -> None:
    config = TrainConfig("d")
    expected = {"weights": sha256(bundled("checkpoint"))}
    assert describe_inputs(config, make_data(), has_begun=False).files == expected


def test_a_run_without_its_inputs_is_not_resumed(tmp_path: Path) -> None:
    config = TrainConfig("d", weights="none")
    found = describe_inputs(config, make_data(), has_begun=True)
    with pytest.raises(ConfigError, match=rf"{INPUTS_FILE} is missing"):
        found.check_resumed(tmp_path, config, has_begun=True)
