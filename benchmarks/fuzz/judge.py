"""What became of a case: "ok", "named" (one line that says what is wrong), or a fault."""

from __future__ import annotations

import json
import re
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from fer_edge.errors import FerEdgeError

Outcome = Literal["ok", "named", "unexpected", "signal", "hang", "memory"]
OUTCOMES: tuple[Outcome, ...] = ("ok", "named", "unexpected", "signal", "hang", "memory")
FAULTS = OUTCOMES[2:]
MAX_MESSAGE = 12_000
"""Characters of an error message: it may repeat a name or a value, which have up to 5,000 in some
cases, but no file."""
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_NUMBERS = re.compile(r"\d+")
_NOT_A_NUMBER = re.compile(r"(?<![\w./-])(nan|NaN|-?inf|-?Infinity)(?![\w./-])")
_PACKAGE = "/fer_edge/"


class WrongResultError(Exception):
    """A result that fer-edge gave without an error is wrong."""


@dataclass(frozen=True)
class Verdict:
    """The outcome of a case.

    Attributes:
        outcome: one of `OUTCOMES`.
        key: of a fault: what alike cases share.
        message: the error's text, with its traceback for a fault.
    """

    outcome: Outcome
    key: str = ""
    message: str = ""


OK = Verdict("ok")


@dataclass
class Warned:
    """Warnings that a user would have seen."""

    messages: list[str] = field(default_factory=list)


@contextmanager
def collected_warnings() -> Iterator[Warned]:
    """Collect warnings that Python shows by default, but for Pillow's, which `fer` silences."""
    found = Warned()

    def show(message: Warning | str, category: type[Warning], file: str, line: int, *_: object):
        name = file.rpartition("site-packages/")[2]
        found.messages.append(f"{category.__name__} at {name}:{line}: {message}")

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        for hidden in (DeprecationWarning, PendingDeprecationWarning, ResourceWarning):
            warnings.simplefilter("ignore", hidden)
        warnings.filterwarnings("ignore", module=r"PIL\.")
        warnings.showwarning = show  # type: ignore[assignment]
        yield found


def judge_error(error: BaseException) -> Verdict:
    """The outcome of a case that ended with an exception."""
    if isinstance(error, MemoryError):
        return Verdict("memory", f"MemoryError at {_place(error)}", _trace(error))
    # the command shows both kinds in one line
    is_named = isinstance(error, FerEdgeError) or (
        isinstance(error, OSError) and error.errno is not None and error.filename is not None
    )
    if not is_named:
        what = f"{type(error).__name__} at {_place(error)}"
        if isinstance(error, WrongResultError):
            what += f": {_NUMBERS.sub('#', str(error))[:80]}"
        return Verdict("unexpected", what, _trace(error))
    message = str(error)
    if not message.strip():
        return Verdict("unexpected", f"no message at {_place(error)}", _trace(error))
    if "\n" in message.strip("\n"):
        return Verdict("unexpected", f"several lines at {_place(error)}", _trace(error))
    if len(message) > MAX_MESSAGE:
        return Verdict("unexpected", f"a long message at {_place(error)}", _trace(error))
    return Verdict("named", message=f"{type(error).__name__}: {message}")


@dataclass(frozen=True)
class CommandOutput:
    """Exit code, standard output and standard error of `fer`.

    Attributes:
        complaints: what each error wrote on standard error.
        kind: what standard output holds; a "spec" is text whose names may be "nan".
    """

    code: int
    out: str
    err: str
    complaints: tuple[str, ...] = ()
    kind: Literal["text", "spec", "json", "csv"] = "text"


def judge_command(done: CommandOutput) -> Verdict:
    """The outcome of a command that ended by itself."""
    problem = _find_problem(done)
    if problem is not None:
        shown = (
            f"exit code {done.code}\n--- stdout\n{done.out[:4000]}\n--- stderr\n{done.err[:4000]}"
        )
        return Verdict("unexpected", problem, shown)
    return OK if done.code == 0 else Verdict("named", message=done.err.strip()[-300:])


def _find_problem(done: CommandOutput) -> str | None:
    if done.code not in (0, 1, 2):
        return f"exit code {done.code}"
    for name, text in (("stdout", done.out), ("stderr", done.err)):
        # CSV holds every name exactly
        is_exact = name == "stdout" and done.kind == "csv"
        if not is_exact and (found := CONTROL.search(text)):
            return f"control character {found[0]!r} on {name}"
    if done.kind == "json":
        try:
            for line in done.out.splitlines():
                json.loads(line, parse_constant=_refuse)
        except ValueError as error:
            return f"not JSON on stdout: {_NUMBERS.sub('#', str(error))}"
    elif done.kind != "spec" and (found := _NOT_A_NUMBER.search(done.out)):
        return f"{found[0]} on stdout"
    for complaint in done.complaints:
        if complaint.count("\n") > 1:
            return f"several lines: {_NUMBERS.sub('#', complaint)[:60]!r}"
        if len(complaint) > MAX_MESSAGE:
            return f"a long message: {_NUMBERS.sub('#', complaint)[:60]!r}"
    if done.code and not done.err.strip():
        return f"exit code {done.code} without a message"
    return "a traceback on stderr" if "Traceback (most recent" in done.err else None


def _refuse(name: str) -> None:
    raise ValueError(name)


def _place(error: BaseException) -> str:
    """The innermost line of fer-edge that the exception passed."""
    frames = traceback.extract_tb(error.__traceback__)
    inner = [frame for frame in frames if _PACKAGE in frame.filename] or frames
    if not inner:
        return "no line"
    return f"{Path(inner[-1].filename).name}:{inner[-1].name}"


def _trace(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))[-6000:]
