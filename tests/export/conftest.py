from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.networks import make_checkpoint


@pytest.fixture(autouse=True, scope="session")
def _exporter(exporter: None) -> None:
    """The tests of this folder share one cache of exported graphs."""


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of the tiny architecture."""
    return make_checkpoint("tiny", tmp_path_factory.mktemp("checkpoint"))
