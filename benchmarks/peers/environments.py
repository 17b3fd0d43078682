"""Fresh virtual environments for `benchmarks/peers/run.py`, one for each way of installing."""

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
LONGEST = 1800
"""Seconds that pip may take."""
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
"""Variables that say how many, to whoever reads them."""


@dataclass(frozen=True)
class Environment:
    """What pip is asked for, step by step; `{wheel}` is this project's own.

    Attributes:
        name: of its folder.
        steps: arguments of `pip install`, one call each.
    """

    name: str
    steps: tuple[str, ...]


class NotInstalled(Exception):  # noqa: N818
    """pip's own answer."""


def build_wheel(cache: Path) -> Path:
    """This project's wheel, of the working tree as it is.

    Raises:
        NotInstalled: pip can't build it.
    """
    folder = cache / "wheel"
    for old in folder.glob("*.whl"):
        old.unlink()
    _pip(sys.executable, f"wheel --no-deps --wheel-dir {shlex.quote(str(folder))} {ROOT}")
    return next(folder.glob("fer_edge-*.whl"))


def make(environment: Environment, cache: Path, wheel: Path) -> Path:
    """The environment's Python; it is made where it isn't there, or was made otherwise.

    Raises:
        NotInstalled: with the first error of what pip said.
    """
    folder = cache / environment.name
    python = folder / "bin" / "python"
    made = folder / "made.json"
    asked = json.dumps([environment.steps, PINS.read_text(), sys.version])
    if not made.is_file() or made.read_text() != asked:
        venv.create(folder, clear=True, with_pip=True)
        for step in environment.steps:
            _pip(str(python), f"install --constraint {PINS} {step.format(wheel=wheel)}")
        made.write_text(asked)
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


def quiet(cache: Path) -> dict[str, str]:
    """The environment variables of every contender: one thread, no way to this one's packages."""
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
        done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST, check=False)
    except subprocess.TimeoutExpired:
        raise NotInstalled(f"pip took more than {LONGEST // 60} minutes") from None
    if done.returncode:
        lines = done.stderr.splitlines()
        said = [x for x in lines if x.startswith("ERROR") and "Ignored the following" not in x]
        raise NotInstalled(f"pip: {said[0] if said else f'ended with {done.returncode}'}"[:200])
