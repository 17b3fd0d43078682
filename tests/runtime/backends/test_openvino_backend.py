from __future__ import annotations

from fer_edge.runtime.formats.model_files import bundled
from tests.support.processes import run_python

STACKS = """
import ctypes, faulthandler, sys
from pathlib import Path
from fer_edge.runtime.backends import openvino_backend

def find_stack():
    stack = openvino_backend._SignalStack()
    ctypes.CDLL(None).sigaltstack(None, ctypes.byref(stack))
    return stack.sp, stack.size

faulthandler.enable()
before = find_stack()
backend = openvino_backend.OpenVinoBackend(Path(sys.argv[1]))
backend(backend.spec.golden_faces()[:1])
openvino_backend.devices()
print(before[0] is not None, find_stack() == before)
"""


def test_the_stack_of_signal_handlers_stays() -> None:
    """OpenVINO replaces it, and unmaps its own with the model: a signal would end the process."""
    ran = run_python("-c", STACKS, bundled("model"))
    assert (ran.returncode, ran.stdout) == (0, "True True\n"), ran.stderr
