"""What a data set holds, before anything is trained on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from fer_edge.train.data import duplicates
from fer_edge.train.data.dataset import Bad, FaceData
from fer_edge.train.data.ferplus import read_votes


@dataclass(frozen=True)
class Copies:
    """How many faces of `split` are in `of` too: exactly, and nearly (exact ones included)."""

    split: str
    of: str
    exact: int
    near: int


@dataclass(frozen=True)
class VotesSummary:
    """FER+ against the data's own labels, in one split.

    Attributes:
        agreement: share of faces whose label has the most votes among the data's labels.
        no_face: faces that most people called no face.
    """

    split: str
    agreement: float
    no_face: int


@dataclass(frozen=True)
class Inspection:
    """The figures that `fer data inspect` prints."""

    name: str
    path: str
    side: int
    labels: tuple[str, ...]
    counts: dict[str, dict[str, int]]
    copies: tuple[Copies, ...]
    bad: tuple[Bad, ...]
    votes: tuple[VotesSummary, ...]
    cut: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return asdict(self)


def inspect(data: FaceData, ferplus: Path | None = None) -> Inspection:
    """Count classes, duplicates across splits, and FER+'s agreement where its votes are given.

    Raises:
        DataError: the votes aren't this data's.
    """
    splits = list(data.splits.items())
    copies = [
        Copies(
            later,
            earlier,
            int(duplicates.exact(faces, others).sum()),
            int(duplicates.near(faces, others).sum()),
        )
        for i, (earlier, others) in enumerate(splits)
        for later, faces in splits[i + 1 :]
    ]
    counts: dict[str, dict[str, int]] = {
        name: dict(
            zip(
                data.labels,
                np.bincount(faces.labels, minlength=len(data.labels)).tolist(),
                strict=True,
            )
        )
        for name, faces in splits
    }
    votes = []
    for name, joined in read_votes(ferplus, data).items() if ferplus else ():
        ballots = joined.of(data.labels)
        own = ballots[np.arange(len(ballots)), data.splits[name].labels]
        agreement = float((own == ballots.max(1)).mean())
        votes.append(VotesSummary(name, agreement, int(joined.no_face().sum())))
    return Inspection(
        data.name,
        str(data.path),
        data.split("train").pixels.shape[1],
        data.labels,
        counts,
        tuple(copies),
        data.bad,
        tuple(votes),
        data.cut,
    )


def tables(found: Inspection) -> Iterator[Table | str]:
    """The inspection for a terminal."""
    table = Table("label", *found.counts, title=f"{found.name}: {found.side} px faces")
    for label in found.labels:
        table.add_row(label, *(f"{counts[label]:,}" for counts in found.counts.values()))
    table.add_section()
    table.add_row("all", *(f"{sum(counts.values()):,}" for counts in found.counts.values()))
    yield table
    if found.cut:
        yield f"{found.path} has no {' and no '.join(found.cut)}: cut from train, class by class"
    copies = Table("faces of", "also in", "exact copies", "near copies", title="duplicates")
    for pair in found.copies:
        copies.add_row(pair.split, pair.of, str(pair.exact), str(pair.near))
    yield copies
    if found.votes:
        votes = Table("split", "label has most votes", "called no face", title="FER+")
        for row in found.votes:
            votes.add_row(row.split, f"{row.agreement:.1%}", str(row.no_face))
        yield votes
    yield f"bad rows or pictures left out: {len(found.bad)}"
    for bad in found.bad[:20]:
        yield f"  {bad.where}: {bad.why}"
