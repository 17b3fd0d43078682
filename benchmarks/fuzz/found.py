"""Cases with a fault, kept in a folder: their input, and how to repeat them."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

from benchmarks.fuzz.judge import Verdict

MAX_ALIKE = 3
"""Cases that are kept of those with one key."""
MAX_BYTES = 20 << 20


def keep_case(
    found: Path, folder: Path, kind: str, seed: int, number: int, verdict: Verdict
) -> None:
    """Copy a case's files to `found/KIND/KEY/NUMBER`, with `case.json` beside them."""
    alike = found / kind / (re.sub(r"\W+", "-", f"{verdict.outcome} {verdict.key}")[:80].strip("-"))
    if alike.is_dir() and len(list(alike.iterdir())) >= MAX_ALIKE:
        return
    kept = alike / str(number)
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            # no pipes, which would never end, and no links, which may lead out
            if path.is_symlink() or not path.is_file() or path.stat().st_size > MAX_BYTES:
                continue
            to = kept / "input" / path.relative_to(folder)
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, to)
    about = {
        "kind": kind,
        "seed": seed,
        "case": number,
        "outcome": verdict.outcome,
        "key": verdict.key,
        "message": verdict.message.splitlines(),
        "command": f"python -m benchmarks.fuzz --kind {kind} --seed {seed} --case {number}",
    }
    (kept / "case.json").write_text(json.dumps(about, indent=1) + "\n")
