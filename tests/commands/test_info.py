"""`fer info`."""

from __future__ import annotations

import json

from tests.support.commands import Fer


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
