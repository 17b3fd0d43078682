"""The counts of all kinds: as a table, and in a file so that parts of a long run add up."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from benchmarks.fuzz.judge import OUTCOMES
from benchmarks.fuzz.kinds import KINDS
from benchmarks.fuzz.supervisor import Counts

COLUMNS = ["kind", "cases", *OUTCOMES, "slowest"]

Totals = Mapping[str, Counts]
_SAVING = threading.Lock()


def make_rows(totals: Totals) -> list[list[str | int | float]]:
    """One row for each kind with cases, then their sum."""
    rows: list[list[str | int | float]] = []
    for name, counts in totals.items():
        if counts.outcomes.total():
            note = " (the engine may die)" if KINDS[name].may_die else ""
            rows.append([KINDS[name].what + note, *_cells(counts.outcomes, counts.slowest)])
    every = Counter[str]()
    for counts in totals.values():
        every.update(counts.outcomes)
    slowest = max((counts.slowest for counts in totals.values()), default=0.0)
    return [*rows, ["all", *_cells(every, slowest)]]


def _cells(outcomes: Mapping[str, int], slowest: float) -> list[str]:
    numbers = [sum(outcomes.values()), *(outcomes.get(name, 0) for name in OUTCOMES)]
    return [*(f"{number:,}" for number in numbers), f"{slowest:.1f} s"]


def find_faults(totals: Totals) -> dict[str, int]:
    """Number of faults by outcome, without signals of engines that may die."""
    found = Counter[str]()
    for name, counts in totals.items():
        for outcome in OUTCOMES[2:]:
            if outcome == "signal" and KINDS[name].may_die:
                continue
            found[outcome] += counts.outcomes[outcome]
    return {outcome: number for outcome, number in found.items() if number}


def format_faults(totals: Totals, limit: int = 40) -> list[str]:
    """The most frequent faults of all kinds, one a line."""
    every = Counter[str]()
    for name, counts in totals.items():
        every.update({f"{name}: {key}": number for key, number in counts.keys.items()})
    return [f"{number:>7,}  {key}" for key, number in every.most_common(limit)]


def save_totals(path: Path, seed: int, totals: Totals) -> None:
    """Write the counts; a kind's next case comes after those counted."""
    document = {
        "seed": seed,
        "kinds": {
            name: {
                "outcomes": counts.outcomes,
                "keys": counts.keys,
                "seconds": round(counts.seconds, 1),
                "slowest": round(counts.slowest, 2),
                "next_case": counts.next_case,
            }
            for name, counts in totals.items()
        },
    }
    with _SAVING:
        beside = path.with_name(f"{path.name}.new")
        beside.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
        beside.replace(path)


def load_totals(path: Path, seed: int) -> dict[str, Counts]:
    """Read the counts of earlier parts.

    Raises:
        ValueError: they have another seed.
    """
    document = json.loads(path.read_text("utf-8"))
    if document["seed"] != seed:
        raise ValueError(f"{path}: its cases have the seed {document['seed']}, not {seed}")
    return {
        name: Counts(
            Counter(counts["outcomes"]),
            Counter(counts["keys"]),
            counts["seconds"],
            counts["slowest"],
            counts["next_case"],
        )
        for name, counts in document["kinds"].items()
    }
