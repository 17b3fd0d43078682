"""`fer info`."""

from __future__ import annotations

import json

from tests.support.commands import Fer


def test_info(fer: Fer) -> None:
    assert "angry, disgust, fear, happy, sad, surprise, neutral" in fer("info").out
    document = json.loads(fer("info", "--json").out)
    assert document["parity"]["passed"] is True
