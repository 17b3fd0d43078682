"""Results that are kept: `benchmarks/results/NAME.json`, and the tables that are written from them.

python -m benchmarks.lib.result_tables          writes the tables of README.md and docs/*.md anew
python -m benchmarks.lib.result_tables --check  says which don't agree with the results, exit code 1

A benchmark calls `keep(name, columns, rows, ...)` with its rows as they are to be read. A document
has the place `<!-- results: NAME -->` ... `<!-- end -->`, between which the table is written, with
the machine, the date and the command under it. Lines between NAME and `-->` choose rows by what
stands in their first column.
"""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from fer_edge.runtime.device.board import read_board

ROOT = Path(__file__).parent.parent.parent
RESULTS = ROOT / "benchmarks" / "results"
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
PLACE = re.compile(
    r"(<!-- results: ([\w-]+)((?:\n(?!-->)[^\n]*)*?)\s*-->\n).*?(<!-- end -->)", re.DOTALL
)
PACKAGES = ("fer-edge", "numpy", "pillow", "onnxruntime", "openvino", "torch", "ai-edge-litert")


def keep(
    name: str,
    columns: list[str],
    rows: list[list[str | int | float]],
    *,
    command: str,
    machine: str = "",
    versions: dict[str, str] | None = None,
    figures: object = None,
) -> Path:
    """Write one result.

    Args:
        name: of the file, and of its place in a document.
        columns: of the table; each row has as many values, strings as they are to be read.
        rows: of the table.
        command: that measures it again.
        machine: what it was measured on, where that isn't this machine.
        versions: of packages, where they aren't this environment's.
        figures: anything more to keep, unrounded: it isn't in the table.
    """
    if any(len(row) != len(columns) for row in rows):
        raise ValueError(f"{name}: a row hasn't {len(columns)} values")
    here = read_board()
    cores = "one core" if here.cores == 1 else f"{here.cores} cores"
    document = {
        "name": name,
        "command": command,
        "date": datetime.now(UTC).date().isoformat(),
        "commit": _commit(),
        "machine": machine or f"{here.cpu}, {cores}, {here.system}",
        "versions": versions or _versions(),
        "columns": columns,
        "rows": rows,
        "figures": figures,
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return path


def table(document: dict[str, object], chosen: Sequence[str] = ()) -> str:
    """The table and the line under it, in Markdown.

    Args:
        document: a result.
        chosen: rows by what stands in their first column; none: all.

    Raises:
        ValueError: there is no such row.
    """
    names = [row[0] for row in document["rows"]]
    kept = [document["rows"][names.index(name)] for name in chosen] or document["rows"]
    rows = [document["columns"], ["---"] * len(document["columns"]), *kept]
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    versions = ", ".join(f"{name} {version}" for name, version in document["versions"].items())
    under = f"`{document['command']}`, {document['date']}, {document['machine']}; {versions}."
    under = textwrap.fill(under, 118, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines) + f"\n\n{under}\n"


def written(text: str) -> str:
    """A document with its tables as the results have them."""

    def fill(match: re.Match[str]) -> str:
        path = RESULTS / f"{match[2]}.json"
        if not path.is_file():
            return f"{match[1]}No run is kept yet.\n{match[4]}"
        chosen = [line for line in (match[3] or "").split("\n") if line]
        return match[1] + table(json.loads(path.read_text("utf-8")), chosen) + match[4]

    new, places = PLACE.subn(fill, text)
    if places != text.count("<!-- results"):
        raise ValueError("a place for results isn't closed, or not written as it should be")
    return new


def _commit() -> str:
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _versions() -> dict[str, str]:
    found = {"Python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def main() -> None:
    wrong = []
    for path in DOCUMENTS:
        text = path.read_text("utf-8")
        if (new := written(text)) != text:
            wrong.append(path.name)
            if "--check" not in sys.argv:
                path.write_text(new, "utf-8")
    if wrong:
        print("written: " if "--check" not in sys.argv else "not as measured: ", *wrong)
    sys.exit(bool(wrong) and "--check" in sys.argv)


if __name__ == "__main__":
    main()
