"""Child processes of the tests: each has a time limit, and SIGINT interrupts each; memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

TIMEOUT = 240.0
"""Seconds for a child; pytest's own limit for a test is longer."""
Script = Callable[..., "subprocess.Popen[str]"]
Interpreter = Callable[[str], None]
HEAVY_PACKAGES = (
    "torch", "torchvision", "onnx", "onnxscript", "openvino", "lightning", "safetensors", "cv2",
    "scipy", "matplotlib", "av", "tensorboard", "nncf", "starlette", "uvicorn", "websockets",
    "prometheus_client", "ray", "pyarrow",
)  # fmt: skip
WITHOUT_PACKAGES = """
import sys

class Refuse:
    names = {names!r}

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"refused: {{name}}", name=name)

sys.meta_path.insert(0, Refuse())
from fer_edge.cli import main
main()
"""
KILL_IN_SECOND_EPOCH = """
import os, signal, sys
from fer_edge.train.callbacks import EpochLog

def kill(self, trainer, module):
    if trainer.current_epoch == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    self.started = 0

EpochLog.on_train_epoch_start = kill
"""
"""Code for a training process to run first: it is killed as its second epoch starts."""
KILL_AT_RENAME = """
import os, signal, sys
from pathlib import Path

rename = Path.replace


def kill_at(number):
    count = 0

    def replace(path, target):
        nonlocal count
        count += 1
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return rename(path, target)

    Path.replace = replace


def in_child(work, *arguments):
    # before this process runs a model, which starts threads
    if not (child := os.fork()):
        code = 1
        try:
            work(*arguments)
            code = 0
        except SystemExit as stop:
            code = stop.code or 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
"""
"""Code before that of a parent process: its children are killed as they rename their nth file."""


def restore_interrupts() -> None:
    """Let SIGINT interrupt this process and its children again.

    A shell starts background jobs with SIGINT ignored, and every child inherits that.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def run_process(*command: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; `options` are those of `subprocess.run`.

    Raises:
        TimeoutExpired: it took longer than `TIMEOUT`, or the `timeout` in the options.
    """
    options = {"capture_output": True, "text": True, "timeout": TIMEOUT, "check": False, **options}
    return subprocess.run([str(word) for word in command], **options)


def run_python(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run this environment's Python with arguments, like `"-c", code`."""
    return run_process(sys.executable, *arguments, **options)


def run_without(packages: Collection[str], *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run `fer` where these packages can't be imported."""
    return run_python("-c", WITHOUT_PACKAGES.format(names=set(packages)), *arguments)


def run_base_install(*arguments: object, extra: str = "") -> subprocess.CompletedProcess[str]:
    """Run `fer` as in the base install with one more package; warnings are errors."""
    code = WITHOUT_PACKAGES.format(names=set(HEAVY_PACKAGES) - {extra})
    return run_python("-W", "error", "-c", code, *arguments)


@contextmanager
def start_process(*command: object, **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """Start a command and kill it at the end of the block, if it still runs."""
    process = subprocess.Popen([str(word) for word in command], **options)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def resident_bytes() -> int:
    """Bytes that this process has in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")
