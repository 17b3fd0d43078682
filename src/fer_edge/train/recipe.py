"""Recipes: settings of a run as a TOML file, by its path or by the name of one in the package."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path

from fer_edge.errors import ConfigError

_FOLDER = files("fer_edge.train") / "recipes"


def names() -> list[str]:
    """The recipes in the package."""
    return sorted(p.name.removesuffix(".toml") for p in _FOLDER.iterdir() if ".toml" in p.name)


def read_recipe(name: str) -> dict[str, object]:
    """What a recipe sets, by the names of `TrainConfig`; `settings` checks them.

    Args:
        name: of a recipe in the package, else the path of a TOML file.

    Raises:
        ConfigError: there is no such recipe, or it isn't TOML.
    """
    source = _FOLDER / f"{name}.toml" if name in names() else Path(name)
    try:
        return tomllib.loads(source.read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            f"--recipe {name}: no such file, and none of {', '.join(names())}"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"--recipe {name}: not TOML ({error})") from None
