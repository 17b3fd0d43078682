"""`fer info`."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.commands import Fer
from tests.support.detectors import save_detector


def test_info(fer: Fer) -> None:
    assert "angry, disgust, fear, happy, sad, surprise, neutral" in fer("info").out
    document = json.loads(fer("info", "--json").out)
    assert document["parity"]["passed"] is True
    assert (document["name"], document["version"]) == ("base", "3")


def test_a_model_by_name(fer: Fer) -> None:
    assert fer("info", "base").out == fer("info").out
    ran = fer("info", "bse")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (
        "ModelError: bse: there is no such file, and the models in the package are base, small\n"
    )


def test_a_face_detector(fer: Fer, tmp_path: Path) -> None:
    path = save_detector(tmp_path)
    ran = fer("info", path)
    assert ran.code == 0, ran.err
    assert "faces (face detector), schema 1" in ran.out
    document = json.loads(fer("info", path, "--json").out)
    assert (document["task"], document["score_threshold"]) == ("face-detection", 0.5)
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(path.read_bytes().replace(b"score_threshold", b"score_thresholt"))
    ran = fer("info", damaged)
    assert (ran.code, ran.out) == (1, "")
    assert "score_threshold" in ran.err
