"""`fer info`."""

from __future__ import annotations

import json

from fer_edge.runtime.formats.model_files import bundled
from fer_edge.runtime.formats.spec_reader import read_spec
from tests.support.commands import Fer


def test_info(fer: Fer) -> None:
    assert "angry, disgust, fear, happy, sad, surprise, neutral" in fer("info").out
    document = json.loads(fer("info", "--json").out)
    assert document["parity"]["passed"] is True
    spec = read_spec(bundled("model"))
    assert (document["name"], document["version"]) == (spec.name, spec.version)


def test_a_model_by_name(fer: Fer) -> None:
    assert fer("info", "base").out == fer("info").out
    ran = fer("info", "bse")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (
        "ModelError: bse: there is no such file, and the models in the package are base\n"
    )
