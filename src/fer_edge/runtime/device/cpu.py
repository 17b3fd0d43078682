"""The processor: its cores, their names and their clocks.

Cheap enough for every start of a program.
"""

from __future__ import annotations

import os
from pathlib import Path

from fer_edge.runtime.device.system_files import ROOT, find_values, read_text

ARM = ("aarch64", "arm64", "armv6l", "armv7l", "armv8l")
"""Values of `platform.machine()` on ARM."""
MAX_THREADS = 256
"""Largest number of threads of an engine, which starts them all however few cores there are."""

CORES = {
    ("0x41", "0xb76"): "ARM1176",
    ("0x41", "0xc07"): "Cortex-A7",
    ("0x41", "0xc08"): "Cortex-A8",
    ("0x41", "0xc09"): "Cortex-A9",
    ("0x41", "0xc0f"): "Cortex-A15",
    ("0x41", "0xd03"): "Cortex-A53",
    ("0x41", "0xd04"): "Cortex-A35",
    ("0x41", "0xd05"): "Cortex-A55",
    ("0x41", "0xd07"): "Cortex-A57",
    ("0x41", "0xd08"): "Cortex-A72",
    ("0x41", "0xd09"): "Cortex-A73",
    ("0x41", "0xd0a"): "Cortex-A75",
    ("0x41", "0xd0b"): "Cortex-A76",
    ("0x41", "0xd0c"): "Neoverse-N1",
    ("0x41", "0xd40"): "Neoverse-V1",
    ("0x41", "0xd41"): "Cortex-A78",
    ("0x41", "0xd42"): "Cortex-A78AE",
    ("0x41", "0xd49"): "Neoverse-N2",
    ("0x4e", "0x003"): "NVIDIA Denver 2",
    ("0x4e", "0x004"): "NVIDIA Carmel",
}
"""By implementer and part: an ARM processor reports these two numbers and no name."""

_FIRST_CORE = 4096
"""Characters of cpuinfo: more than the first core's paragraph has."""


def count_usable_cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def current_core(root: Path = ROOT) -> int:
    """Number of the core that this thread ran on last; 0 where the system doesn't report it."""
    fields = read_text(root / "proc" / "self" / "stat").rpartition(")")[2].split()
    return int(fields[36]) if len(fields) > 36 else 0


def read_clocks(root: Path = ROOT) -> dict[int, float]:
    """Current clock of each core in MHz, by its number; empty where the system reports none."""
    files = (root / "sys" / "devices" / "system" / "cpu").glob("cpu[0-9]*/cpufreq/scaling_cur_freq")
    texts = {int(path.parts[-3][3:]): read_text(path).strip() for path in files}
    return {core: int(text) / 1000 for core, text in sorted(texts.items()) if text.isdigit()}


def identify_cpu(root: Path = ROOT) -> str:
    """The CPU that a measured speed holds for: the first core's name and the usable cores.

    Takes well under a millisecond.
    """
    cpuinfo = read_text(root / "proc" / "cpuinfo", _FIRST_CORE)
    return f"{core_names(cpuinfo)[0]} x {count_usable_cores()}"


def core_names(cpuinfo: str) -> list[str]:
    """The different kinds of cores in the text of `/proc/cpuinfo`, in its order."""
    pairs = zip(
        find_values(cpuinfo, "CPU implementer"), find_values(cpuinfo, "CPU part"), strict=False
    )  # a text that was cut may end between the two
    arm = [CORES.get(pair, f"ARM {pair[0]} part {pair[1]}") for pair in pairs]
    # 32-bit ARM has a "model name" too, which names the instruction set alone
    return list(dict.fromkeys(arm or find_values(cpuinfo, "model name"))) or ["unknown"]
