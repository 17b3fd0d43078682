from __future__ import annotations

import json
from pathlib import Path

import pytest

from fer_edge.errors import ConfigError
from fer_edge.train.recipe_files import list_recipes, read_recipe
from fer_edge.train.run_folder import resolve_config


@pytest.mark.parametrize("name", list_recipes())
def test_recipes_of_the_package_are_settings(name: str, tmp_path: Path) -> None:
    recipe = read_recipe(name)
    votes = {"ferplus": "v.csv"} if "soft_targets" in recipe else {}
    given = {"data": "d", **votes}
    if "teacher_weight" in recipe:
        with pytest.raises(ConfigError, match="teacher_weight needs teachers: --teacher, --teach"):
            resolve_config(given, tmp_path, resume=False, recipe=recipe)
        given["teacher_logits"] = "l.safetensors"
    if "weights_data" in recipe:
        with pytest.raises(ConfigError, match="weights_data is for weights of another origin"):
            resolve_config(given, tmp_path, resume=False, recipe=recipe)
        (tmp_path / "w.safetensors").touch()
        given["weights"] = str(tmp_path / "w.safetensors")
    config = resolve_config(given, tmp_path, resume=False, recipe=recipe)
    kept = json.loads(config.to_json())
    for key, value in recipe.items():
        if isinstance(value, dict):
            assert value.items() <= kept[key].items()
        else:
            assert kept[key] == value


def test_what_is_asked_for_has_the_last_word(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text("epochs = 7\nlr = 1\n[augmentation]\nflip = 0.25\n")
    recipe = read_recipe(str(tmp_path / "r.toml"))
    config = resolve_config({"data": "d", "epochs": 2}, tmp_path, resume=False, recipe=recipe)
    assert (config.epochs, config.lr, config.augmentation.flip) == (2, 1.0, 0.25)
    assert config.augmentation.erase == 0.25


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch = 3", "unknown key 'epoch'; the keys are architecture, augmentation"),
        ("epochs = '3'", "settings.epochs: expected int, found '3'"),
        ("epochs = 0", "epochs must be at least 1, not 0"),
        ("schedule = 'linear'", "'linear' is none of 'cosine', 'onecycle'"),
        ("[augmentation]\nflip = 2", "flip must be in"),
        ("soft_targets = 0.5", "soft_targets needs FER+'s file of votes: --ferplus FILE"),
        ("ferplus = 'v.csv'", "ferplus needs soft_targets above 0: --soft-targets"),
        ("mixup = -1", "mixup must be at least 0, not -1"),
        ("seed = 100000000", "seed must be below 100,000,000, not 100000000"),
        ("name = 'a/b'", "name must be a plain name, not 'a/b'"),
        (f"version = '{'1' * 5001}'", "version is over 5,000 characters long"),
        ("teacher_weight = 0.7", "teacher_weight needs teachers: --teacher, --teacher-logits"),
        ("name = 'a\u202eb'", "name must be at most 1,000 characters without control"),
        (
            f"weights = 'imagenet'\nweights_licence = 'x'\nweights_data = '{'1' * 1001}'",
            "weights_data must be at most 1,000 characters",
        ),
        (
            'weights = "imagenet"\nweights_data = "x"\nweights_licence = "a\\nb"',
            "weights_licence must be at most 1,000 characters without control",
        ),
        ("weights_data = 'x'\nweights_licence = 'y'", "weights_data is for weights of another"),
        ("weights = ''", "data and weights must not be empty"),
    ],
)
def test_a_wrong_recipe_is_named(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text(text)
    recipe = read_recipe(str(tmp_path / "r.toml"))
    with pytest.raises(ConfigError) as caught:
        resolve_config({"data": "d"}, tmp_path, resume=False, recipe=recipe)
    assert message in str(caught.value)


def test_no_recipe(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing: no such file; the recipes are base, "):
        read_recipe("nothing")
    (tmp_path / "r.toml").write_text("epochs =")
    with pytest.raises(ConfigError, match=r"r\.toml: not TOML"):
        read_recipe(str(tmp_path / "r.toml"))
    (tmp_path / "r.toml").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="not TOML"):
        read_recipe(str(tmp_path / "r.toml"))
