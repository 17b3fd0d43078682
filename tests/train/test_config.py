from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from fer_edge.errors import ConfigError
from fer_edge.train.config import TrainConfig
from fer_edge.train.ranges import Corruption
from fer_edge.train.run_folder import resolve_config
from tests.support.processes import run_python


def test_faces_without_labels_need_teachers() -> None:
    with pytest.raises(ConfigError, match="unlabelled needs teachers: --teacher"):
        TrainConfig("d", unlabelled="web")
    for own in ({"teachers": ("t",)}, {"qat_from": "f"}, {"teacher_logits": "l"}):
        assert TrainConfig("d", unlabelled="web", unlabelled_data="x", **own)  # type: ignore[arg-type]
        for name in ("unlabelled_data", "unlabelled_licence"):
            with pytest.raises(ConfigError, match="need unlabelled: --unlabelled FOLDER"):
                TrainConfig("d", **own, **{name: "x"})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("epochs", 0), ("lr", 0.0), ("ema", 1.0), ("label_smoothing", 1.5), ("batch_size", 1)),
        *(("side", 8), ("network_side", 9999), ("mean", 5.0), ("std", 0.0)),
    ],
)
def test_wrong_settings_are_named(name: str, value: float, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=name):
        resolve_config({"data": "x", name: value}, tmp_path, resume=False)


def test_a_damaged_config_is_named(tmp_path: Path) -> None:
    for text in ("{", '{"data": "x", "epoch": 3}', '{"data": 3}'):
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(ConfigError, match=r"config\.json"):
            resolve_config({}, tmp_path, resume=True)


def test_faces_and_weights_for_the_spec_have_its_limits() -> None:
    for name in ("unlabelled_data", "unlabelled_licence"):
        with pytest.raises(ConfigError, match=f"{name} must be at most 1,000 characters"):
            TrainConfig("d", unlabelled="web", teachers=("t",), **{name: "\x1b"})
    for own in ({"weights": "none"}, {"weights": "w.pth", "qat_from": "f"}):
        with pytest.raises(ConfigError, match="not for those of the package, none or --qat"):
            TrainConfig("d", weights_data="x", weights_licence="y", **own)


def test_a_run_from_before_corruption_existed_has_none(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"data": "x"}')
    config = TrainConfig.load(tmp_path / "config.json")
    assert config == replace(TrainConfig("x"), corruption=Corruption(fraction=0.0))
    (tmp_path / "config.json").write_text(TrainConfig("x").to_json())
    assert TrainConfig.load(tmp_path / "config.json") == TrainConfig("x")


def test_an_unknown_architecture_is_named_when_the_config_is_made() -> None:
    with pytest.raises(ConfigError, match="unknown architecture 'lenet': choose from mobilenet_v2"):
        TrainConfig("d", architecture="lenet")


def test_mirrored_teachers_need_teachers() -> None:
    with pytest.raises(ConfigError, match="mirror_teachers needs teachers"):
        TrainConfig("d", mirror_teachers=True)
    assert TrainConfig("d", mirror_teachers=True, qat_from="f").mirror_teachers


@pytest.mark.parametrize(
    ("name", "value"),
    [("weights", "w" * 5001), ("architecture", "\x08" * 5001), ("views_folder", "v" * 5001)],
)
def test_a_text_without_end_is_named_by_its_setting(name: str, value: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"{name} is over 5,000 characters long$"):
        resolve_config({"data": "x"}, tmp_path, resume=False, recipe={name: value})


def test_settings_and_their_help_need_no_torch() -> None:
    """The base install shows them in `fer train --help`."""
    assert all(setting.metadata["help"].endswith(".") for setting in fields(TrainConfig))
    code = "import sys, fer_edge.train.config; sys.exit('torch' in sys.modules)"
    run_python("-c", code, check=True)
