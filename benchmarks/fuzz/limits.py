"""Limits of a child process: no internet sockets, bounded address space, measured peak memory."""

from __future__ import annotations

import ctypes
import platform
import resource
import struct
from pathlib import Path

SOCKET_CALL = {"x86_64": 41, "aarch64": 198}
"""Number of the system call `socket` by machine."""
AF_INET, AF_INET6 = 2, 10
HEADROOM = 6 << 30
"""Bytes of address space beyond those at the start: engines reserve far more than they use."""

_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06  # instructions of a socket filter (BPF)
_ALLOW, _TRAP = 0x7FFF0000, 0x00030000
_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _MODE_FILTER = 22, 38, 2


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def trap_sockets() -> bool:
    """End this process with SIGSYS when it opens an internet socket, from any language.

    Returns:
        Whether the kernel does so.
    """
    number = SOCKET_CALL.get(platform.machine())
    if number is None:
        return False
    # seccomp_data: the call's number at byte 0, its first argument at byte 16
    steps = (
        (_LOAD, 0, 0, 0),
        (_JUMP_IF_EQUAL, 0, 3, number),
        (_LOAD, 0, 0, 16),
        (_JUMP_IF_EQUAL, 2, 0, AF_INET),
        (_JUMP_IF_EQUAL, 1, 0, AF_INET6),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _TRAP),
    )
    code = b"".join(struct.pack("HBBI", *step) for step in steps)
    program = _Program(len(steps), code)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        return False
    return not libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program))


def limit_address_space() -> None:
    """Refuse allocations far beyond every limit of a kind: the machine must survive them."""
    limit = _status_kb("VmSize") * 1024 + HEADROOM
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def reset_peak() -> None:
    """Let `peak_mb` count from now on."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_mb() -> float:
    """Largest resident set since `reset_peak`, in MB (2^20 bytes)."""
    return _status_kb("VmHWM") / 1024


def resident_mb() -> float:
    """Resident set, in MB."""
    return _status_kb("VmRSS") / 1024


def _status_kb(name: str) -> int:
    with Path("/proc/self/status").open() as stream:
        return next(int(line.split()[1]) for line in stream if line.startswith(name))
