from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.photographs import write_photographs


@pytest.fixture(scope="session")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of synthetic photographs, with `labels.json` in it."""
    folder = tmp_path_factory.mktemp("photographs")
    write_photographs(folder)
    return folder
