"""Runs of `fer` in an empty home folder, with every socket and every written file on record."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.support.processes import run_process

COMMANDS = """
import json, sys
from fer_edge.cli import main
for arguments in json.loads(sys.argv.pop()):
    sys.argv = ["fer", *arguments]
    try:
        main()
    except SystemExit as stop:
        if stop.code:
            raise
"""
AUDITED = """
import sys
def record(event, arguments):
    if event == "socket.__new__":
        print(f"audit: {arguments[1].name}", file=sys.stderr)
    elif event == "socket.getaddrinfo":
        print("audit: AF_INET", file=sys.stderr)
sys.addaudithook(record)
"""
"""Where strace isn't installed: it sees Python's sockets, but not those of an engine in C++."""
NO_NETWORK = ("unshare", "--map-root-user", "--net")
SOCKET = re.compile(r"^(?:socket\(|audit: )(AF_INET\w*)", re.MULTILINE)
"""A socket that reaches other machines, as the lookup of a name does.

AF_UNIX (a process of this machine) and AF_NETLINK (the kernel) don't.
"""
OPENED = re.compile(
    r"^(?:creat\(|open.*\b(?:O_WRONLY|O_RDWR|O_CREAT)\b).* = \d+<(.*)>$", re.MULTILINE
)


@dataclass(frozen=True)
class Watched:
    """What commands did outside the folder in which they ran.

    Attributes:
        sockets: families of the sockets that reach other machines; without strace, Python's only.
        written: files that were opened for writing; empty without strace: see `needs_strace`.
        left: what is in the home folder and in the temporary folder at the end.

    In paths `HOME` and `TMP` are these folders.
    """

    sockets: frozenset[str]
    written: frozenset[str]
    left: frozenset[str]


@cache
def has_namespaces() -> bool:
    """Whether a process may leave the network (util-linux's `unshare`)."""
    unshare = shutil.which("unshare")
    return unshare is not None and not run_process(*NO_NETWORK, "true").returncode


@cache
def has_strace() -> bool:
    """Whether a process can be traced, in a network namespace where there are any."""
    strace = shutil.which("strace")
    prefix = NO_NETWORK if has_namespaces() else ()
    return strace is not None and not run_process(*prefix, strace, "-f", "true").returncode


def needs_strace() -> None:
    """Skip the rest of a test: without strace, nothing is known of what an engine in C++ does."""
    if not has_strace():
        pytest.skip("strace is missing: written files and an engine's sockets aren't checked")


def watch(
    folder: Path,
    *commands: Sequence[object],
    environment: Mapping[str, str] | None = None,
    consent: str | None = None,
) -> Watched:
    """Run `fer` with each of these arguments, one after the other in one process.

    Nothing of this process's environment is inherited: CI's variables would disable telemetry.

    Args:
        folder: an empty folder, for the home folder, the temporary folder and the working folder.
        commands: arguments of each `fer`.
        environment: more variables.
        consent: what the user has answered to OpenVINO.
    """
    home, scratch, work = (folder / name for name in ("home", "tmp", "work"))
    for path in (home, scratch, work):
        path.mkdir(parents=True)
    if consent is not None:
        (home / "intel").mkdir()
        (home / "intel" / "openvino_telemetry").write_text(consent)
    command = [sys.executable, "-c", COMMANDS if has_strace() else AUDITED + COMMANDS]
    if has_strace():
        traced = "trace=socket,open,openat,creat"
        # -ff: a file for each thread, so that no call's line is cut in two
        command = [
            "strace",
            "-ff",
            "-qq",
            "-y",
            "-o",
            str(folder / "trace"),
            "-e",
            traced,
            *command,
        ]
    done = run_process(
        *(NO_NETWORK if has_namespaces() else ()),
        *command,
        json.dumps([[str(word) for word in arguments] for arguments in commands]),
        cwd=work,
        env={
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(home),
            "TMPDIR": str(scratch),
            "OMP_NUM_THREADS": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            **(environment or {}),
        },
    )
    assert done.returncode == 0, done.stderr
    calls = [done.stderr, *(path.read_text() for path in folder.glob("trace.*"))]
    left = (path for root in (home, scratch) for path in root.rglob("*"))

    def shorten(path: object) -> str:
        return str(path).replace(str(home), "HOME").replace(str(scratch), "TMP")

    return Watched(
        sockets=frozenset(name for text in calls for name in SOCKET.findall(text)),
        written=frozenset(
            shorten(path)
            for text in calls
            for path in OPENED.findall(text)
            if not path.startswith(f"{work}/")
        ),
        left=frozenset(shorten(path) for path in left if path.is_file() or not any(path.iterdir())),
    )
