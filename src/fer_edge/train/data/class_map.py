"""The label that a class of a data set stands for: by its name, a synonym, or the user's map."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from fer_edge.documents import read_toml
from fer_edge.errors import ConfigError
from fer_edge.text import printable
from fer_edge.train.data.class_folders import SYNONYMS

LEFT_OUT = "-"
"""The label, in a class map, of a class that is left out."""
_MORE_SYNONYMS = {
    "angry": ("an", "mad"),
    "contempt": ("contemptuous", "scorn"),
    "disgust": ("di", "disgusting"),
    "fear": ("af", "fe", "afraid", "frightened"),
    "happy": ("ha", "joyful", "smile", "smiling"),
    "neutral": ("ne", "no expression"),
    "sad": ("sa", "sorrow"),
    "surprise": ("su", "astonished", "astonishment"),
}
"""Names that mean FER2013's labels in other data sets: JAFFE's and KDEF's codes (AF and FE are both
fear), those of CK+ and AffectNet, and common words. Training keeps such names as labels."""
_SYNONYMS = SYNONYMS | {name: label for label, names in _MORE_SYNONYMS.items() for name in names}


@dataclass(frozen=True)
class ClassMap:
    """What the user says about the classes of a data set.

    Names are compared without regard to case; "_", "-" and spaces are equal.

    Attributes:
        labels: label by class name; None for a class to leave out.
        ignored: further classes to leave out.
        path: the file with `labels`; None if there is none.
    """

    labels: Mapping[str, str | None] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    path: Path | None = None

    def __post_init__(self) -> None:
        known = {_normalize(name): label for name, label in self.labels.items()}
        object.__setattr__(self, "labels", known)

    def is_ignored(self, name: str) -> bool:
        """Whether the class of this name is left out."""
        key = _normalize(name)
        return key in map(_normalize, self.ignored) or self.labels.get(key, "") is None

    def check_ignored(self, names: Sequence[str]) -> None:
        """Check that every class in `ignored` is one of the data's classes `names`.

        Raises:
            ConfigError: it isn't.
        """
        known = set(map(_normalize, names))
        if odd := [name for name in self.ignored if _normalize(name) not in known]:
            raise ConfigError(
                f"--ignore-class {odd[0]}: no such class, only {_join(sorted(names))}"
            )

    def find_label(self, name: str, labels: Sequence[str]) -> int | None:
        """Find the index, in `labels`, of the label of the class `name`; None if there is none.

        Raises:
            ConfigError: the map gives the class a label that isn't one of `labels`.
        """
        given = self.labels.get(_normalize(name))
        found = _find_name(given or name, labels)
        if given and found is None:
            raise ConfigError(
                f"{self.path}: {name} = {given!r}: no label of the model, only {_join(labels)}"
            )
        return found


def read_class_map(path: Path | None, ignored: Sequence[str] = ()) -> ClassMap:
    """Read a class map: a TOML file of `class = "label"`; "-" leaves the class out.

    `ignore = ["a class", "another"]` leaves out several.

    Args:
        path: None: there is no file.
        ignored: further classes to leave out, each of which the data must have.

    Raises:
        ConfigError: the file can't be read or isn't such a map.
    """
    if path is None:
        return ClassMap(ignored=tuple(ignored))
    try:
        document = read_toml(path)
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file") from None
    except OSError as error:
        raise ConfigError(f"{path}: can't be read: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"{path}: not a class map in TOML: {error}") from None
    labels: dict[str, str | None] = {}
    left_out = document.get("ignore")
    if isinstance(left_out, list):
        del document["ignore"]
        document = {**dict.fromkeys(map(str, left_out), LEFT_OUT), **document}
        if odd := [one for one in left_out if not isinstance(one, str)]:
            raise ConfigError(f"{path}: ignore holds {odd[0]!r}: a class's name goes in quotes")
    for name, label in document.items():
        if not isinstance(label, str) or not label.strip():
            hint = "; a name with a dot goes in quotes" if isinstance(label, dict) else ""
            raise ConfigError(
                f'{path}: {printable(name)}: its value must be a label in quotes, or "-" to leave '
                f"the class out{hint}"
            )
        labels[name] = None if label.strip() == LEFT_OUT else label.strip()
    counts = Counter(map(_normalize, labels))
    if twice := [name for name in labels if counts[_normalize(name)] > 1]:
        raise ConfigError(f"{path}: {_join(twice)} are one name: keep one of them")
    return replace(ClassMap(labels, path=path), ignored=tuple(ignored))


def _find_name(name: str, labels: Sequence[str]) -> int | None:
    """The index of the label that is equal to a name, or else the only one that means the same."""
    if name in labels:
        return labels.index(name)
    for simplify in (_normalize, _find_meaning):
        found = [i for i, label in enumerate(labels) if simplify(label) == simplify(name)]
        if len(found) == 1:
            return found[0]
    return None


def _find_meaning(name: str) -> str:
    word = re.sub(r"^\d+[. ]+", "", _normalize(name))  # "3 Happy", "0_angry"
    return _SYNONYMS.get(word, word)


def _normalize(name: str) -> str:
    words = re.sub(r"[_\-\s]+", " ", unicodedata.normalize("NFC", name))
    return words.strip().casefold()


def _join(names: Sequence[str]) -> str:
    return ", ".join(map(printable, names))
