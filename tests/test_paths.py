"""The user's folders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fer_edge import paths
from fer_edge.errors import ConfigError

FOLDERS = [
    (paths.data_folder, "XDG_DATA_HOME", ".local/share/fer-edge"),
    (paths.state_folder, "XDG_STATE_HOME", ".local/state/fer-edge"),
    (paths.cache_folder, "XDG_CACHE_HOME", ".cache/fer-edge"),
]


@pytest.fixture(autouse=True)
def _home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("FER_EDGE_CACHE", *(variable for _, variable, _ in FOLDERS)):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(("folder", "variable", "default"), FOLDERS)
def test_the_variable_goes_before_the_home_folder(
    folder: Callable[[], Path],
    variable: str,
    default: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    assert folder() == tmp_path / default
    monkeypatch.setenv(variable, "")  # as if it weren't set
    assert folder() == tmp_path / default
    monkeypatch.setenv(variable, str(tmp_path / "x"))
    assert folder() == tmp_path / "x" / "fer-edge"


def test_the_cache_has_a_variable_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    monkeypatch.setenv("FER_EDGE_CACHE", str(tmp_path / "own"))
    assert paths.cache_folder() == tmp_path / "own"


@pytest.mark.parametrize(("folder", "variable", "default"), FOLDERS)
def test_without_a_home_folder_the_error_names_the_variable(
    folder: Callable[[], Path], variable: str, default: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    del default

    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(ConfigError, match=f"set HOME or {variable}"):
        folder()
