"""Which bars hold for a file, and whether one that misses them is refused."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from fer_edge.errors import ConfigError
from fer_edge.export.thresholds import BARS, Bars, Kind
from fer_edge.schema import parse
from fer_edge.spec import GateState


@dataclass(frozen=True)
class Gate:
    """The default bars, changed or not. Valid once made.

    Attributes:
        tables: bars that stand in for a kind's default ones.
        changes: single bars by their name in `Bars`, for every kind, on top of the tables; see
            `exact`.
        enforced: whether a file that misses a bar is refused.

    Raises:
        ValueError: at construction, when a change is out of range.
    """

    tables: Mapping[Kind, Bars] = field(default_factory=dict)
    changes: Mapping[str, Any] = field(default_factory=dict)
    enforced: bool = True

    def __post_init__(self) -> None:
        for kind in BARS:
            self.bars(kind)

    def bars(self, kind: Kind) -> Bars:
        """What a file of this kind must reach."""
        return replace(self.tables.get(kind, BARS[kind]), **exact(self.changes))

    def state(self, kind: Kind) -> GateState:
        """How a file of this kind was judged, as its spec says it."""
        if not self.enforced:
            return "off"
        return "default" if self.bars(kind) == BARS[kind] else "changed"


def exact(changes: Mapping[str, Any]) -> dict[str, Any]:
    """The changes; where they name a loss, it counts to the face: no few are left to chance."""
    named = {"accuracy_loss", "recall_loss"} & set(changes)
    return {**({"few": 0} if named else {}), **changes}


DEFAULT_GATE = Gate()


def read_gate(path: Path) -> dict[Kind, Bars]:
    """The tables of a TOML file: `[int8]`, then keys of `Bars`; one left out keeps its default.

    Raises:
        ConfigError: the file can't be read, or a table or key is unknown, of the wrong type or out
            of range.
    """
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not a TOML file ({error})") from None
    if unknown := sorted(set(document) - set(BARS)):
        raise ConfigError(f"{path}: unknown table {unknown[0]!r}; the tables are {', '.join(BARS)}")
    tables: dict[Kind, Bars] = {}
    for kind, bars in BARS.items():
        table = document.get(kind, {})
        given = {**asdict(bars), **exact(table)} if isinstance(table, dict) else table
        try:
            tables[kind] = parse(Bars, given, f"{path}: {kind}", unknown="reject")
        except ValueError as error:
            raise ConfigError(str(error)) from None
    return tables
