"""The processor and what is installed, at next to no cost: every start may ask for it."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

ROOT = Path("/")
ARM = ("aarch64", "arm64", "armv6l", "armv7l", "armv8l")
"""Python's names of ARM's architectures."""

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
"""By implementer and part: ARM's processors tell numbers only."""

_ONE_PROCESSOR = 4096  # bytes: longer than one processor's paragraph in cpuinfo


def usable_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def own_core(root: Path = ROOT) -> int:
    """Number of the core that this thread was last put on; 0 where the system doesn't say."""
    fields = read(root / "proc" / "self" / "stat").rpartition(")")[2].split()
    return int(fields[36]) if len(fields) > 36 else 0


def clocks(root: Path = ROOT) -> dict[int, float]:
    """Current clock of each core in MHz, by its number; empty where the system doesn't say."""
    files = (root / "sys" / "devices" / "system" / "cpu").glob("cpu[0-9]*/cpufreq/scaling_cur_freq")
    texts = {int(path.parts[-3][3:]): read(path).strip() for path in files}
    return {core: int(text) / 1000 for core, text in sorted(texts.items()) if text.isdigit()}


def fingerprint(root: Path = ROOT) -> str:
    """First core's name and number of usable cores: in well under a millisecond, what a
    measurement of speed holds for."""
    return f"{cpus(read(root / 'proc' / 'cpuinfo', _ONE_PROCESSOR))[0]} x {usable_cores()}"


def origin(package: str) -> Path | None:
    """The file that a top-level package starts with; None: it isn't installed.

    The package isn't imported.
    """
    try:
        spec = importlib.util.find_spec(package)
    except (ModuleNotFoundError, ValueError):  # refused by an import hook, or a stand-in
        return None
    return Path(spec.origin) if spec is not None and spec.origin else None


def cpus(cpuinfo: str) -> list[str]:
    """The kinds of cores, in the order of their first mention."""
    pairs = zip(
        values(cpuinfo, "CPU implementer"), values(cpuinfo, "CPU part"), strict=False
    )  # a text that was cut may end between the two
    arm = [CORES.get(pair, f"ARM {pair[0]} part {pair[1]}") for pair in pairs]
    # 32-bit ARM has a "model name" too, which only tells the instruction set
    return list(dict.fromkeys(arm or values(cpuinfo, "model name"))) or ["unknown"]


def values(text: str, *keys: str) -> list[str]:
    """What follows `key :`, for each line with one of the keys."""
    pairs = (line.partition(":") for line in text.splitlines())
    return [value.strip() for key, _, value in pairs if key.strip() in keys and value.strip()]


def read(path: Path, most: int = -1) -> str:
    """A system file's text, up to `most` characters; what can't be read says nothing."""
    try:
        with path.open(encoding="utf-8", errors="replace") as stream:
            return stream.read(most)
    except OSError:
        return ""
