"""Recipes, thresholds and maps of classes in TOML, and the settings of runs in JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from random import Random

from benchmarks.fuzz.documents import damage_json, damage_toml
from fer_edge.export.thresholds import DEFAULT_THRESHOLDS, read_gate
from fer_edge.train.config import TrainConfig
from fer_edge.train.data.class_map import read_class_map
from fer_edge.train.recipe_files import list_recipes, read_recipe
from fer_edge.train.run_folder import CONFIG_FILE, resolve_config

_CLASSES = {"smiling": "happy", "AN": "angry", "other": "-", "ignore": ["x", "y z"]}


class Target:
    """A damaged document, read and checked as by the command that takes it."""

    def __init__(self, _: Path) -> None:
        plain = TrainConfig(data="faces", weights="none")
        self._settings = json.loads(json.dumps(asdict(plain)))
        self._recipes = [read_recipe(name) for name in list_recipes()]
        self._thresholds = {
            name: {key: value for key, value in asdict(one).items() if value is not None}
            for name, one in DEFAULT_THRESHOLDS.items()
        }

    def write(self, random: Random, folder: Path) -> tuple[str, Path]:
        """Damage a recipe, the settings of a run, thresholds or a map of classes."""
        which = random.choice(tuple(_READERS))
        if which == "settings":
            path = folder / CONFIG_FILE
            path.write_bytes(damage_json(random, self._settings))
            return which, path
        document = {"thresholds": self._thresholds, "classes": _CLASSES}.get(which)
        if document is None:
            more = dict(random.sample(list(self._settings.items()), 4))
            recipe = {**random.choice(self._recipes), **more}
            document = {name: value for name, value in recipe.items() if value is not None}
        path = folder / "own.toml"
        path.write_bytes(damage_toml(random, document))
        return which, path

    def run(self, case: tuple[str, Path]) -> None:
        """Read it."""
        which, path = case
        _READERS[which](path)


def _start_run(path: Path) -> None:
    recipe = read_recipe(str(path))
    resolve_config({"data": "faces"}, path.parent / "run", resume=False, recipe=recipe)


def _resume_run(path: Path) -> None:
    resolve_config({}, path.parent, resume=True)


_READERS: dict[str, Callable[[Path], object]] = {
    "recipe": _start_run,
    "settings": _resume_run,
    "thresholds": read_gate,
    "classes": read_class_map,
}
