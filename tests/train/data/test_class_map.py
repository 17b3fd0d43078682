from __future__ import annotations

from pathlib import Path

import pytest

from fer_edge.errors import ConfigError
from fer_edge.train.data.class_map import ClassMap, read_class_map

LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")


@pytest.mark.parametrize(
    ("name", "label"),
    [
        *zip(("AN", "DI", "FE", "HA", "SA", "SU", "NE"), LABELS, strict=True),  # JAFFE
        *zip(("AN", "DI", "AF", "HA", "SA", "SU", "NE"), LABELS, strict=True),  # KDEF
        *zip(("anger", "disgust", "fear", "happy", "sadness", "surprise"), LABELS, strict=False),
        ("Smiling", "happy"),
        ("HAPPINESS", "happy"),
        ("0_angry", "angry"),
        ("6 - Neutral", "neutral"),
        ("No-Expression", "neutral"),
    ],
)
def test_names_of_other_data_sets(name: str, label: str) -> None:
    assert ClassMap().find_label(name, LABELS) == LABELS.index(label)


@pytest.mark.parametrize("name", ["0", "7", "contempt", "happy sad", ""])
def test_what_has_no_label(name: str) -> None:
    assert ClassMap().find_label(name, LABELS) is None


def test_a_models_own_label_comes_before_a_synonym() -> None:
    labels = ("Very_Happy", "joy", "smiling")
    found = [ClassMap().find_label(name, labels) for name in ("very happy", "joy", "smiling")]
    assert found == [0, 1, 2]
    assert ClassMap().find_label("happy", labels) is None  # two labels mean it
    assert ClassMap().find_label("happy", ("joy", "bored")) == 0


def test_a_map_extends_the_synonyms(tmp_path: Path) -> None:
    path = tmp_path / "map.toml"
    path.write_text('1 = "surprise"\n"very happy" = "Joy"\nunsure = "-"\nignore = ["contempt"]\n')
    found = read_class_map(path, ["blurred"])
    assert found.find_label("1", LABELS) == LABELS.index("surprise")
    assert found.find_label("Very_Happy", LABELS) == LABELS.index("happy")
    ignored = ("Unsure", "contempt", "blurred", "1", "happy")
    assert [found.is_ignored(name) for name in ignored] == [True, True, True, False, False]
    found.check_ignored(["happy", "Blurred"])
    with pytest.raises(ConfigError, match="--ignore-class blurred: no such class, only happy, sad"):
        found.check_ignored(["happy", "sad"])


def test_a_map_with_a_label_that_the_model_lacks(tmp_path: Path) -> None:
    path = tmp_path / "map.toml"
    path.write_text('grin = "hapy"')
    with pytest.raises(ConfigError, match=r"map.toml: grin = 'hapy': no label of the model"):
        read_class_map(path).find_label("grin", LABELS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"grin = 3", "grin: its value must be a label in quotes"),
        (b'grin = " "', "grin: its value must be a label"),
        (b'very.happy = "happy"', "very: its value .*; a name with a dot goes in quotes"),
        (b"ignore = [1]", "ignore holds 1: a class's name goes in quotes"),
        (b'AN = "angry"\nan = "sad"', "AN, an are one name"),
        (b'AN = "angry"\nignore = ["an"]', "an, AN are one name"),
        (b"grin: happy", "not a class map in TOML: "),
        (b"\xff", "not a class map in TOML: byte 1 isn't UTF-8"),
    ],
)
def test_damaged_maps(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "map.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=f"map.toml: {message}") as raised:
        read_class_map(path)
    assert "\n" not in str(raised.value)


def test_a_missing_map_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="none: there is no such file"):
        read_class_map(tmp_path / "none")
    with pytest.raises(ConfigError, match="can't be read: Is a directory"):
        read_class_map(tmp_path)


@pytest.mark.timeout(20)
def test_many_names_are_not_compared_with_each_other(tmp_path: Path) -> None:
    path = tmp_path / "map.toml"
    path.write_text("".join(f'{i} = "sad"\n' for i in range(60_000)) + 'AN = "sad"\nan = "sad"\n')
    with pytest.raises(ConfigError, match=": AN, an are one name"):
        read_class_map(path)
