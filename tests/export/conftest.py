from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.networks import make_checkpoint


@pytest.fixture(autouse=True, scope="session")
def _exporter(exporter: None) -> None:
    """Every file of this folder uses it."""


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A MobileNetV3-Small checkpoint."""
    return make_checkpoint("mobilenet_v3_small", tmp_path_factory.mktemp("checkpoint"))
