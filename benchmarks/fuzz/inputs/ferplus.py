"""FER+'s votes: fields, rows and bytes."""

from __future__ import annotations

from pathlib import Path
from random import Random

from benchmarks.fuzz.mutations import mutate
from benchmarks.fuzz.seeds.faces import make_votes, write_csv
from fer_edge.train.data.fer2013 import read_fer2013
from fer_edge.train.data.ferplus import read_votes

_VOTES = (
    b"",
    b"-1",
    b"11",
    b"0.5",
    b"1e3",
    b"nan",
    b"inf",
    b"9223372036854775808",
    b"9" * 5000,
    b" 1",
    b"+1",
)


class Target:
    """A damaged file of votes for sound faces."""

    def __init__(self, folder: Path) -> None:
        self._votes = make_votes()
        self._faces = read_fer2013(write_csv(folder))

    def write(self, random: Random, folder: Path) -> Path:
        """Damage the votes."""
        content = self._votes
        if random.random() < 0.5:
            rows = [row.split(b",") for row in content.splitlines()]
            for _ in range(random.choice((1, 1, 2, 10))):
                row = random.choice(rows)
                if row:
                    row[random.randrange(len(row))] = random.choice(_VOTES)
            if random.random() < 0.3:
                random.shuffle(rows)
            content = b"\n".join(b",".join(row) for row in rows)
        else:
            content = mutate(random, content)
        path = folder / "fer2013new.csv"
        path.write_bytes(content)
        return path

    def run(self, case: Path) -> None:
        """Read the votes, and use them."""
        for votes in read_votes(case, self._faces).values():
            votes.for_labels(self._faces.labels)
            votes.is_no_face()
