from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.networks import make_checkpoint


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of the tiny architecture with random weights."""
    return make_checkpoint("tiny", tmp_path_factory.mktemp("tiny"))
