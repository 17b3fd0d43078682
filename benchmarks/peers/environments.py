"""Virtual environments for `benchmarks/peers/run.py`, one for each way of installing."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PINS = Path(__file__).parent / "requirements.txt"
PIP_TIMEOUT = 1800
"""Seconds."""
EVERY_VENV_HAS = ("pip", "setuptools", "pkg_resources", "_distutils_hack", "distutils-precedence")
THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "OPENCV_FOR_THREADS_NUM",
    "TORCHINDUCTOR_COMPILE_THREADS",
)
"""Environment variables that set numbers of threads."""


@dataclass(frozen=True)
class Environment:
    """What pip installs, step by step; `{wheel}` is this project's own.

    Attributes:
        name: the folder's name.
        steps: arguments of `pip install`, one call each.
    """

    name: str
    steps: tuple[str, ...]


class NotInstalled(Exception):  # noqa: N818
    """An environment can't be made; the message is pip's."""


def build_wheel(cache: Path) -> Path:
    """Build this project's wheel from the working tree.

    Raises:
        NotInstalled: pip can't build it.
    """
    folder = cache / "wheel"
    for old in folder.glob("*.whl"):
        old.unlink()
    _pip(sys.executable, f"wheel --no-deps --wheel-dir {shlex.quote(str(folder))} {ROOT}")
    return next(folder.glob("fer_edge-*.whl"))


def make(environment: Environment, cache: Path, wheel: Path) -> Path:
    """The environment's Python; the environment is made where it is missing or outdated.

    Raises:
        NotInstalled: with pip's first error.
    """
    folder = cache / environment.name
    python = folder / "bin" / "python"
    made = folder / "made.json"
    wanted = json.dumps([environment.steps, PINS.read_text(), sys.version])
    if not made.is_file() or made.read_text() != wanted:
        venv.create(folder, clear=True, with_pip=True)
        for step in environment.steps:
            _pip(str(python), f"install --constraint {PINS} {step.format(wheel=wheel)}")
        made.write_text(wanted)
    elif any("{wheel}" in step for step in environment.steps):
        _pip(str(python), f"install --no-deps --force-reinstall {wheel}")
    return python


def installed_bytes(python: Path) -> int:
    """Size of site-packages without what every fresh environment has."""
    command = [str(python), "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    packages = Path(done.stdout.strip())
    return sum(
        file.lstat().st_size
        for entry in packages.iterdir()
        if not entry.name.startswith(EVERY_VENV_HAS)
        for file in ([entry] if entry.is_file() else entry.rglob("*"))
        if file.is_file()
    )


def single_threaded(cache: Path) -> dict[str, str]:
    """The environment variables of every contender: one thread, no packages of this process."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return (
        inherited
        | dict.fromkeys(THREADS, "1")
        | {"TORCHINDUCTOR_CACHE_DIR": str(cache / "inductor")}
    )


def _pip(python: str, arguments: str) -> None:
    command = [python, "-m", "pip", *shlex.split(arguments), "--quiet"]
    print("$", shlex.join(command), file=sys.stderr, flush=True)
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PIP_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        raise NotInstalled(f"pip took more than {PIP_TIMEOUT // 60} minutes") from None
    if done.returncode:
        lines = done.stderr.splitlines()
        errors = [x for x in lines if x.startswith("ERROR") and "Ignored the following" not in x]
        raise NotInstalled(f"pip: {errors[0] if errors else f'ended with {done.returncode}'}"[:200])
