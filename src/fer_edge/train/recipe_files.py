"""Recipes: settings of a training in a TOML file. Importing it needs no torch."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from fer_edge.documents import read_toml
from fer_edge.errors import ConfigError

_RECIPES = files("fer_edge.train") / "recipes"


def list_recipes() -> list[str]:
    """List the names of the recipes in the package."""
    return sorted(p.name.removesuffix(".toml") for p in _RECIPES.iterdir() if ".toml" in p.name)


def read_recipe(name: str) -> dict[str, object]:
    """Read a recipe: settings by the names of `TrainConfig`, not yet checked.

    Args:
        name: a name of `list_recipes`, else the path of a TOML file.

    Raises:
        ConfigError: there is no such recipe, or it isn't TOML.
    """
    source = _RECIPES / f"{name}.toml" if name in list_recipes() else Path(name)
    try:
        return read_toml(source)
    except FileNotFoundError:
        raise ConfigError(
            f"--recipe {name}: no such file; the recipes are {', '.join(list_recipes())}"
        ) from None
    except ValueError as error:
        raise ConfigError(f"--recipe {name}: not TOML ({error})") from None
