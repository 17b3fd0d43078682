"""An emulated board: a Debian root, aarch64 wheels, QEMU and its instruction counter.

Root and wheels are cached; README.md explains each step.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from email.parser import Parser
from pathlib import Path
from typing import NoReturn

HERE = Path(__file__).parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fer-edge-board"
PACKAGES = ("python3-minimal", "libpython3-stdlib", "libstdc++6", "libgomp1")
OLDEST_GLIBC = 17
NOT_HERE = 77
"""Exit code where a requirement is missing on this machine, so that nothing was checked."""
INTERFACES = (1, 2)
"""Versions of QEMU's plugin interface: 1 up to QEMU 8.1, 2 later."""


@dataclass(frozen=True)
class Board:
    """A Raspberry Pi.

    Attributes:
        name: the product's name.
        core: QEMU's name of the core.
        part, variant, revision, features: the core's, as in /proc/cpuinfo.
        ghz: clock.
        per_cycle: assumed minimum and maximum of instructions per cycle.
    """

    name: str
    core: str
    part: str
    variant: str
    revision: int
    features: str
    ghz: float
    per_cycle: tuple[float, float]

    def cpu(self) -> str:
        """The core's name as `fer doctor` shows it."""
        return self.core.title()

    def cpuinfo(self) -> str:
        one = (
            "processor\t: {}\nBogoMIPS\t: 108.00\n"
            f"Features\t: {self.features}\nCPU implementer\t: 0x41\nCPU architecture: 8\n"
            f"CPU variant\t: {self.variant}\nCPU part\t: {self.part}\n"
            f"CPU revision\t: {self.revision}\n\n"
        )
        return "".join(one.format(i) for i in range(os.cpu_count() or 1))

    def milliseconds(self, instructions: int) -> str:
        """The range of milliseconds for a count of instructions."""
        low, high = (instructions / (self.ghz * 1e6 * rate) for rate in self.per_cycle[::-1])
        return f"{low:.1f} to {high:.1f}"


_OLD = "fp asimd evtstrm crc32 cpuid"
_NEW = (
    "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop "
    "asimddp"
)
BOARDS = {
    "a53": Board("Raspberry Pi 3", "cortex-a53", "0xd03", "0x0", 4, _OLD, 1.2, (0.4, 1.2)),
    "a72": Board("Raspberry Pi 4", "cortex-a72", "0xd08", "0x0", 3, _OLD, 1.5, (0.7, 2.0)),
    "a76": Board("Raspberry Pi 5", "cortex-a76", "0xd0b", "0x4", 1, _NEW, 2.4, (1.0, 3.0)),
}


@dataclass(frozen=True)
class Machine:
    """What a board is started with; `scratch` is the folder of this run."""

    root: Path
    packages: tuple[Path, ...]
    counter: Path
    scratch: Path

    def start(
        self, board: str, job: list[str], more: dict[str, str], seconds: float
    ) -> subprocess.CompletedProcess[str]:
        """Run a Python script on a board.

        Args:
            board: a name of `BOARDS`.
            job: the script and its arguments; the file with the counts is added as the last.
            more: environment variables.
            seconds: time limit.

        Raises:
            subprocess.TimeoutExpired: it takes longer.
        """
        home = Path(tempfile.mkdtemp(dir=self.scratch))
        counts = home / "counts"
        qemu, python = self.command(board)
        command = [*qemu, "-plugin", f"{self.counter},out={counts}", *python]
        return subprocess.run(
            # a crash is an outcome; its core file isn't needed
            ["prlimit", "--core=0", *command, *job, str(counts)],
            env={**self.environment(board, home), **more},
            cwd=home,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def environment(self, board: str, home: Path) -> dict[str, str]:
        """The environment variables of a program on a board, with its home folder."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "COLUMNS": "200",
            "LANG": "C.UTF-8",
            "OMP_NUM_THREADS": "1",
            "PYTHONHASHSEED": "0",
            "PYTHONPATH": os.pathsep.join(map(str, self.packages)),
            "QEMU_CPU": BOARDS[board].core,
        }

    def python(self, board: str) -> Path:
        """A script that starts the board's Python: `sys.executable` for child processes."""
        return self.scratch / f"{board}-python"

    def lay_out(self, board: str) -> None:
        """Make the root folder with the board's own /proc, where QEMU looks for files first."""
        prefix = self._prefix(board)
        proc = prefix / "proc"
        (proc / "device-tree").mkdir(parents=True)
        for entry in self.root.iterdir():
            if entry.name != "proc":
                (prefix / entry.name).symlink_to(entry.resolve())
        (proc / "cpuinfo").write_text(BOARDS[board].cpuinfo())
        (proc / "device-tree" / "model").write_text(f"{BOARDS[board].name}, emulated\0")
        qemu, python = self.command(board)
        self.python(board).write_text(f'#!/bin/sh\nexec {shlex.join(qemu + python)} "$@"\n')
        self.python(board).chmod(0o755)

    def _prefix(self, board: str) -> Path:
        return self.scratch / board

    def command(self, board: str) -> tuple[list[str], list[str]]:
        """QEMU, and the Python that it runs: without the packages of a system (-S) and a script's
        folder (-P)."""
        prefix = self._prefix(board)
        python = prefix / "usr" / "bin" / python_of(self.root)
        return ["qemu-aarch64", "-L", str(prefix)], [str(python), "-S", "-P"]


def build(
    boards: list[str],
    cache: Path,
    scratch: Path,
    wheel: Path | None,
    onnxruntime: str | None,
    *,
    ncnn: bool = False,
) -> Machine:
    """Make what isn't in the cache yet.

    Args:
        boards: names of `BOARDS`.
        cache: the cache folder.
        scratch: a folder for this run.
        wheel: the project's own; None: it is built.
        onnxruntime: a version, in place of what the wheel asks for.
        ncnn: whether the extra of that name is installed too.
    """
    root = once(cache / f"root-{release()}", debian)
    wheel = wheel or wheel_of(scratch)
    wanted = [
        f"onnxruntime=={onnxruntime}" if onnxruntime and one.startswith("onnxruntime") else one
        for one in _requirements(wheel, "ncnn" if ncnn else None)
    ]
    tags = tags_of(root)
    key = hashlib.sha256(" ".join([*wanted, *tags]).encode()).hexdigest()[:12]
    site = once(cache / f"packages-{key}", lambda to: install(to, tags, wanted))
    install(scratch / "project", tags, ["--no-deps", str(wheel)])
    machine = Machine(root, (scratch / "project", site), _counter(scratch), scratch)
    for board in boards:
        machine.lay_out(board)
    return machine


def qemu_version() -> str:
    return _output("qemu-aarch64", "--version").split("version ")[1].split()[0]


def debian(to: Path, architecture: str = "arm64", more: tuple[str, ...] = ()) -> None:
    """A Debian of the release that this machine has, from the sources that it has.

    The release as it came out: a mirror's updates for another architecture may lag behind their
    own index, and nothing that is checked depends on them.

    Args:
        to: the folder that becomes its root.
        architecture: as Debian calls it.
        more: packages beside `PACKAGES`.
    """
    fields = "$(ORIGIN) deb $(REPO_URI) $(RELEASE) $(COMPONENT)"
    listed = _output("apt-get", "indextargets", "--format", fields, "Created-By: Packages")
    words = [line.split() for line in listed.splitlines()]
    sources = sorted(
        {" ".join(deb) for origin, *deb in words if origin == "Debian" and deb[2] == release()}
    )
    if not sources:
        _not_here("apt-get knows no Debian archive: on Debian, apt-get update finds it")
    command = ["mmdebstrap", "--quiet", "--variant=extract", f"--architectures={architecture}"]
    command += [f"--include={','.join((*PACKAGES, *more))}", release(), str(to), "-"]
    if subprocess.run(command, input="\n".join(sources), text=True, check=False).returncode:
        _not_here("its Debian can't be had")


def _not_here(why: str) -> NoReturn:
    """Exit as `run` does where the system's packages can't be installed."""
    print(f"no board is emulated: {why}", file=sys.stderr)
    sys.exit(NOT_HERE)


def python_of(root: Path) -> str:
    return next((root / "usr" / "bin").glob("python3.*[0-9]")).name


def release() -> str:
    return platform.freedesktop_os_release().get("VERSION_CODENAME", "unknown")


def wheel_of(scratch: Path) -> Path:
    project = str(HERE.parent.parent)
    _pip("wheel", "--no-deps", "--wheel-dir", str(scratch / "wheel"), project)
    return next((scratch / "wheel").glob("*.whl"))


def _requirements(wheel: Path, extra: str | None = None) -> list[str]:
    """The base dependencies that a wheel names, and those of an extra."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        headers = Parser().parsestr(archive.read(name).decode())
    required = headers.get_all("Requires-Dist", [])
    own = [one.split(";")[0] for one in required if extra and f"extra == '{extra}'" in one]
    return [*(one for one in required if "extra ==" not in one), *own]


def tags_of(root: Path, architecture: str = "aarch64") -> list[str]:
    """What pip must know of the board; the root's release is this machine's, and so its glibc."""
    newest = int(platform.libc_ver()[1].split(".")[1])
    return tags(python_of(root).removeprefix("python"), newest, architecture)


def tags(python: str, newest: int, architecture: str = "aarch64") -> list[str]:
    """pip's options for a system that isn't this one.

    Every level of glibc is named, down to the oldest: pip doesn't know that one includes those
    below, and would step back to an old release.

    Args:
        python: its version, like "3.11".
        newest: glibc's minor version there.
        architecture: as Python calls it.
    """
    levels = [f"manylinux_2_{i}_{architecture}" for i in range(newest, OLDEST_GLIBC - 1, -1)]
    platforms = [f"--platform={name}" for name in (*levels, f"manylinux2014_{architecture}")]
    abis = [f"--abi={name}" for name in (f"cp{python.replace('.', '')}", "abi3", "none")]
    return [*platforms, *abis, f"--python-version={python}", "--implementation=cp"]


def install(to: Path, tags: list[str], wanted: list[str]) -> None:
    _pip("install", "--only-binary=:all:", "--target", str(to), *tags, *wanted)


def _pip(command: str, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "pip", "--quiet", command, *arguments], check=True)


def _counter(scratch: Path) -> Path:
    """The plugin, for the interface that this QEMU has."""
    for interface in INTERFACES:
        made = scratch / f"count-{interface}.so"
        flags = ["-O2", "-shared", "-fPIC", f"-DINTERFACE={interface}", "-o", str(made)]
        subprocess.run(["cc", *flags, str(HERE / "count.c")], check=True)
        # no program: QEMU loads its plugins first, and says which it can't
        command = ["qemu-aarch64", "-plugin", f"{made},out=/dev/null", "/nothing"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if "plugin" not in done.stderr:
            return made
    raise SystemExit(f"QEMU {qemu_version()} takes no plugin: {done.stderr.strip()}")


def once(path: Path, make: Callable[[Path], None]) -> Path:
    """A folder of the cache: made beside and renamed when it is whole."""
    if not path.is_dir():
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
        try:
            make(beside / "made")
            if not path.is_dir():  # another run at the same time may have been first
                (beside / "made").rename(path)
        finally:
            shutil.rmtree(beside)
    return path


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
