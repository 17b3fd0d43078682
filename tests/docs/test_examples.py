"""The output that the documents show is that of the shipped model and detector."""

from __future__ import annotations

import pytest

from tests.support.commands import Fer
from tests.support.files import PHOTO, ROOT


@pytest.mark.parametrize("page", ["README.md", "docs/get-started.md", "docs/raspberry-pi.md"])
def test_the_demo_shows_what_the_documents_say(page: str, fer: Fer) -> None:
    shown = [line.strip() for line in fer("infer", str(PHOTO)).out.splitlines()]
    text = (ROOT / page).read_text("utf-8")
    assert shown[1].startswith("happy, ")
    assert shown[1] in text
    block = text.partition("examples/astronaut.jpg  (512 x 512)\n")[2].partition("```")[0]
    assert [line.strip() for line in block.splitlines()] == shown[1 : 1 + block.count("\n")]
