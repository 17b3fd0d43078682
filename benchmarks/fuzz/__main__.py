"""Try damaged and strange inputs by the thousand, each kind in child processes with limits.

python -m benchmarks.fuzz --minutes 10
python -m benchmarks.fuzz --cases 100000 --totals totals.json --keep
python -m benchmarks.fuzz --kind images --seed 0 --case 1234

A case is "ok" when fer-edge accepts it, "named" when one line says what is wrong. All else is a
fault: "unexpected" (another exception, an error of several lines, a control character or NaN
printed, a warning, a temporary file left, a socket opened), "signal", "hang" (over 30 s) and
"memory" (over 400 MB; with PyTorch, 400 MB beyond what it takes). The exit code is 1 where there is
a fault; signals of the two engines that SECURITY.md names are counted, but are none.

A case depends on its kind, seed and number alone. What has a fault is kept in the folder `--found`.
With `--totals`, the run goes on after the cases that the file counts, and adds to them.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from benchmarks.fuzz.judge import OUTCOMES
from benchmarks.fuzz.kinds import KINDS, Kind
from benchmarks.fuzz.supervisor import BrokenKindError, Budget, Counts, Supervisor
from benchmarks.fuzz.totals import (
    COLUMNS,
    find_faults,
    format_faults,
    load_totals,
    make_rows,
    save_totals,
)
from benchmarks.lib.result_tables import save_result
from fer_edge.runtime.formats.model_files import bundled
from fer_edge.runtime.formats.spec_reader import read_spec

_SCRATCH_BYTES = 2 << 30


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.fuzz",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    amount = parser.add_mutually_exclusive_group()
    amount.add_argument("--minutes", type=float, help="for all kinds together (default: 10)")
    amount.add_argument("--cases", type=int, help="of all kinds together, the same every time")
    amount.add_argument("--case", type=int, help="one case, of the one --kind")
    parser.add_argument("--kind", action="append", choices=KINDS, help="(default: all)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="kinds at a time")
    parser.add_argument(
        "--found", type=Path, help="(default: fer-edge-fuzz in the temporary folder)"
    )
    parser.add_argument("--totals", type=Path, help="file that the counts are added to")
    parser.add_argument("--keep", action="store_true", help="write benchmarks/results/fuzz.json")
    arguments = parser.parse_args()
    arguments.kind = arguments.kind or list(KINDS)
    if arguments.case is not None and len(arguments.kind) != 1:
        parser.error("--case needs one --kind")
    if arguments.minutes is None and arguments.cases is None and arguments.case is None:
        arguments.minutes = 10.0
    if arguments.found is None:
        arguments.found = Path(tempfile.gettempdir(), "fer-edge-fuzz")
    return arguments


def make_budgets(arguments: argparse.Namespace, totals: dict[str, Counts]) -> dict[str, Budget]:
    """By kind: how many cases, or for how long."""
    kinds = [KINDS[name] for name in arguments.kind]
    if arguments.minutes is not None:
        every = sum(kind.weight for kind in kinds)
        seconds = arguments.minutes * 60 * arguments.jobs
        return {kind.name: Budget(seconds=seconds * kind.weight / every) for kind in kinds}
    every = sum(kind.weight * kind.rate for kind in kinds)
    return {
        kind.name: Budget(
            end=totals[kind.name].next_case
            + max(1, round(arguments.cases * kind.weight * kind.rate / every))
        )
        for kind in kinds
    }


def main() -> None:
    arguments = parse_arguments()
    totals = {name: Counts() for name in KINDS}
    if arguments.totals and arguments.totals.exists():
        totals |= load_totals(arguments.totals, arguments.seed)
    if arguments.case is not None:
        totals[arguments.kind[0]].next_case = arguments.case
        budgets = {arguments.kind[0]: Budget(end=arguments.case + 1)}
    else:
        budgets = make_budgets(arguments, totals)
    with (
        tempfile.TemporaryDirectory(prefix="fer-edge-fuzz-", dir=_find_scratch()) as scratch,
        ThreadPoolExecutor(arguments.jobs) as pool,
    ):
        run = partial(_run_group, arguments, Path(scratch), totals, budgets)
        is_whole = all(list(pool.map(run, _group_kinds(budgets))))
    print()
    rows = make_rows(totals)
    widths = [max(len(str(row[i])) for row in [COLUMNS, *rows]) for i in range(len(COLUMNS))]
    for row in [COLUMNS, *rows]:
        first, *others = (str(cell) for cell in row)
        print(
            first.ljust(widths[0]), *(c.rjust(w) for c, w in zip(others, widths[1:], strict=True))
        )
    if faults := format_faults(totals):
        print("\n" + "\n".join(faults) + f"\n\ntheir inputs are in {arguments.found}")
    if arguments.keep:
        cases = sum(counts.outcomes.total() for counts in totals.values())
        command = f"python -m benchmarks.fuzz --cases {cases} --seed {arguments.seed} --keep"
        faults_found = find_faults(totals)
        model = read_spec(bundled("model")).title
        save_result("fuzz", COLUMNS, rows, command=command, model=model, figures=faults_found)
    sys.exit(bool(find_faults(totals)) or not is_whole)


def _find_scratch() -> str | None:
    """A folder in memory, where files cost least; None: the usual temporary folder."""
    memory = Path("/dev/shm")
    has_room = memory.is_dir() and shutil.disk_usage(memory).free > _SCRATCH_BYTES
    return str(memory) if has_room and os.access(memory, os.W_OK) else None


def _group_kinds(names: Iterable[str]) -> list[list[Kind]]:
    """Those with PyTorch together, since its import takes seconds; every other kind alone."""
    kinds = [KINDS[name] for name in names]
    heavy = [kind for kind in kinds if kind.has_torch]
    return [*([heavy] if heavy else []), *([kind] for kind in kinds if not kind.has_torch)]


def _run_group(
    arguments: argparse.Namespace,
    scratch: Path,
    totals: dict[str, Counts],
    budgets: dict[str, Budget],
    kinds: list[Kind],
) -> bool:
    """Run kinds one after the other and print their lines; False: the fuzzer itself failed."""
    folder = scratch / kinds[0].name
    try:
        with Supervisor(kinds, arguments.seed, folder, arguments.found) as supervisor:
            for kind in kinds:
                counts = totals[kind.name]
                before = counts.outcomes.copy()
                supervisor.run(kind, counts, budgets[kind.name])
                new = counts.outcomes - before
                shown = ", ".join(f"{new[one]:,} {one}" for one in OUTCOMES if new[one])
                print(f"{kind.name}: {shown}", file=sys.stderr, flush=True)
                if arguments.totals:
                    save_totals(arguments.totals, arguments.seed, totals)
    except BrokenKindError as error:
        print(f"the fuzzer failed: {error}", file=sys.stderr)
        return False
    return True


if __name__ == "__main__":
    main()
