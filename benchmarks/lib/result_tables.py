"""Saved results, `benchmarks/results/NAME.json`, and the tables that documents show of them.

python -m benchmarks.lib.result_tables          updates the tables of README.md and docs/*.md
python -m benchmarks.lib.result_tables --check  lists documents with outdated tables, exit code 1

A benchmark calls `save_result(name, columns, rows, ...)` with its rows as they are shown. The
block `<!-- results: NAME -->` ... `<!-- end -->` of a document is filled with the table, and with
the command, the model, the date, the machine and the versions below it. Lines between NAME and
`-->` select rows by their first column.
"""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from fer_edge.runtime.device.board import read_board
from fer_edge.runtime.formats.model_files import BUNDLED, DEFAULT_MODEL, bundled
from fer_edge.runtime.formats.spec_reader import read_spec

ROOT = Path(__file__).parent.parent.parent
RESULTS = ROOT / "benchmarks" / "results"
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
BLOCK = re.compile(
    r"(<!-- results: ([\w-]+)((?:\n(?!-->)[^\n]*)*?)\s*-->\n).*?(<!-- end -->)", re.DOTALL
)
PACKAGES = ("fer-edge", "numpy", "pillow", "onnxruntime", "openvino", "torch", "ai-edge-litert")


def format_models(given: Sequence[str], default: Sequence[str] = (DEFAULT_MODEL,)) -> str:
    """Models as arguments in a saved command: nothing for the default ones, no folders."""
    is_default = list(given) == list(default)
    return "" if is_default else "".join(f" {Path(one).name}" for one in given)


def packaged_titles() -> list[str]:
    """Name and version of each model in the package, for `save_result`."""
    return [read_spec(bundled("model", name)).title for name in BUNDLED]


def save_result(
    name: str,
    columns: list[str],
    rows: list[list[str | int | float]],
    *,
    command: str,
    model: str | Sequence[str],
    machine: str = "",
    versions: dict[str, str] | None = None,
    figures: object = None,
) -> Path:
    """Write one result and return its path.

    Args:
        name: the file's name, and that of its block in a document.
        columns: the table's header.
        rows: as many values each as there are columns; strings are shown as they are.
        command: the command that repeats the measurement.
        model: name and version of the model that was measured, as `ModelSpec.title`, or those
            of several; empty where no model was.
        machine: a description of the machine; this one by default.
        versions: versions by package; this environment's by default.
        figures: more values, unrounded, that the table doesn't show.

    Raises:
        ValueError: a row has too few or too many values.
    """
    if any(len(row) != len(columns) for row in rows):
        raise ValueError(f"{name}: a row has other than {len(columns)} values")
    here = read_board()
    cores = "one core" if here.cores == 1 else f"{here.cores} cores"
    document = {
        "name": name,
        "command": command,
        "model": model if isinstance(model, str) else list(model),
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


def to_markdown(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(map(str, cells)) + " |" for cells in lines)


def format_table(document: dict[str, object], chosen: Sequence[str] = ()) -> str:
    """Format the table and the line below it in Markdown.

    Args:
        document: a saved result.
        chosen: the first columns of the rows to show; all rows by default.

    Raises:
        ValueError: there is no such row.
    """
    names = [row[0] for row in document["rows"]]
    shown = [document["rows"][names.index(name)] for name in chosen] or document["rows"]
    table = to_markdown(document["columns"], shown)
    versions = ", ".join(f"{name} {version}" for name, version in document["versions"].items())
    models = document.get("model") or []
    titles = models if isinstance(models, str) else ", ".join(models)
    model = f"of {titles}, " if titles else ""
    below = (
        f"`{document['command']}`, {model}{document['date']}, {document['machine']}; {versions}."
    )
    below = textwrap.fill(below, 118, break_long_words=False, break_on_hyphens=False)
    return f"{table}\n\n{below}\n"


def fill_tables(text: str) -> str:
    """Fill the blocks of a document from the saved results.

    Raises:
        ValueError: a block isn't closed, or is misspelt.
    """

    def fill(match: re.Match[str]) -> str:
        path = RESULTS / f"{match[2]}.json"
        if not path.is_file():
            return f"{match[1]}No result is saved.\n{match[4]}"
        chosen = [line for line in (match[3] or "").split("\n") if line]
        return match[1] + format_table(json.loads(path.read_text("utf-8")), chosen) + match[4]

    new, blocks = BLOCK.subn(fill, text)
    if blocks != text.count("<!-- results"):
        raise ValueError("a block of results isn't closed, or is misspelt")
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
    check = "--check" in sys.argv
    outdated = []
    for path in DOCUMENTS:
        text = path.read_text("utf-8")
        if (new := fill_tables(text)) != text:
            outdated.append(path.name)
            if not check:
                path.write_text(new, "utf-8")
    if outdated:
        print("outdated:" if check else "updated:", *outdated)
    sys.exit(bool(outdated) and check)


if __name__ == "__main__":
    main()
