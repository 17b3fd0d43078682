"""Files that `--resume` is given: results that were damaged, and files that never were results."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

from benchmarks.fuzz.documents import damage_json
from benchmarks.fuzz.judge import WrongResultError
from benchmarks.fuzz.mutations import mutate
from benchmarks.fuzz.seeds.models import make_spec
from fer_edge.commands.results_file import ResultsFile
from fer_edge.errors import FerEdgeError
from fer_edge.render.faces import csv_header, result_csv, result_json
from fer_edge.runtime.results import Face, Result

_STRANGERS = (
    b"a note", b"a note\n", b"a,b\n1,2\n", b"{}\n", b"[]\n", b'{"a": 1}\n{"b": 2}\n', b"source\n",
    b"source,x\nmine,1\n", b'{"source": 1}\n', b"\0\0\0\n", b'{"source": "a"}\n', b"{", b"\n", b"s",
)  # fmt: skip
"""Files of others, which must stay as they are."""
_BEGINNING = b'{"source": "'


class Target:
    """A file that is opened to go on with, and closed again."""

    def __init__(self, folder: Path) -> None:
        self._spec = make_spec()
        labels = self._spec.labels
        probabilities = {label: 1 / len(labels) for label in labels}
        face = Face((1, 2, 30, 40), 0.9, labels[0], 1 / len(labels), probabilities)
        names = ("a.png", "b.png", 'c "quoted".png', "d\ne.png", "é,f.png")
        results = [
            Result(name, 64, 48, (face,) * i, folder / "x", seconds=0.0, faces_from="whole")
            for i, name in enumerate(names)
        ]
        json_lines = [result_json(result) for result in results]
        csv_lines = [
            csv_header(self._spec),
            *(result_csv(result, self._spec) for result in results),
        ]
        self._seeds = {
            "json": "".join(f"{line}\n" for line in json_lines).encode(),
            "csv": "".join(f"{line}\n" for line in csv_lines if line).encode(),
        }
        self._record = json.loads(json_lines[1])

    def write(self, random: Random, folder: Path) -> tuple[Path, str, bytes]:
        """Damage results, or take a file that isn't ours."""
        kind = random.choice(("json", "csv"))
        content = self._seeds[kind]
        way = random.random()
        if way < 0.15:
            content = random.choice(_STRANGERS)
        elif way < 0.3:  # killed while it wrote
            content = content[: random.randrange(len(content) + 1)]
        elif way < 0.5 and kind == "json":
            lines = content.splitlines(keepends=True)
            lines[random.randrange(len(lines))] = damage_json(random, self._record) + b"\n"
            content = b"".join(lines)
        else:
            content = mutate(random, content, _STRANGERS)
        suffix = ".jsonl" if kind == "json" else ".csv"
        path = folder / f"results{suffix}{random.choice(('', '', '.part'))}"
        path.write_bytes(content)
        return folder / f"results{suffix}", kind, content

    def run(self, case: tuple[Path, str, bytes]) -> None:
        """Resume it, and see that nothing is lost but the last result of ours."""
        path, kind, content = case
        part = path.with_name(f"{path.name}.part")
        try:
            with ResultsFile(path, kind, self._spec, resume=True):
                pass
        except FerEdgeError:
            left = path if path.exists() else part
            if left.read_bytes() != content:
                raise WrongResultError("a file that was refused has changed") from None
            raise
        left = path.read_bytes()
        header = csv_header(self._spec).encode() + b"\n" if kind == "csv" else b""
        if not content.startswith(left) and left != header:
            raise WrongResultError("the kept part isn't the beginning of the file")
        lost = content[len(left) :] if content.startswith(left) else content
        _check_lost(lost, header, is_ours=bool(header) and content.startswith(header))


def _check_lost(lost: bytes, header: bytes, *, is_ours: bool) -> None:
    """See that what was cut off is a last result of ours, whole or begun.

    Args:
        lost: what was cut off.
        header: of a CSV file of ours; empty: the file is JSON.
        is_ours: whether the file began with that header.
    """
    if is_ours or header.startswith(lost):
        return
    *whole, begun = lost.split(b"\n")
    try:
        sources = {json.loads(line)["source"] for line in whole}
    except (ValueError, TypeError, KeyError):
        sources = set(range(2))
    if header or len(sources) > 1 or begun[: len(_BEGINNING)] != _BEGINNING[: len(begun)]:
        raise WrongResultError(f"lost what isn't a last result of ours: {lost[:200]!r}")
