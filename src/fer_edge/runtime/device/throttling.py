"""Whether a machine is hot, slowed down or short of power, as its firmware and kernel tell it."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from fer_edge.runtime.device import cpu
from fer_edge.runtime.device.board import temperature
from fer_edge.runtime.device.cpu import ROOT, read

NOW, SINCE_BOOT = " now", " since boot"
BITS = {
    bit + shift: f"{word}{when}"
    for shift, when in ((0, NOW), (16, SINCE_BOOT))
    for bit, word in enumerate(
        ("under-voltage", "clock capped", "throttled", "soft temperature limit")
    )
}
"""Of a Raspberry Pi's `get_throttled`: four states, and 16 bits higher whether they have been."""
COOLED = f"slowed down for its heat{NOW}"

FOLDERS = ("usr/bin", "usr/local/bin", "opt/vc/bin")
"""Where `vcgencmd` is, in one edition of the system or another."""
FIRMWARE = "sys/devices/platform/soc*/*firmware/get_throttled"
"""The same number, as the kernel last heard it: it asks every two seconds."""
SECONDS = 5.0

FELL = 0.9
"""A clock below this share of what it was has fallen; less is its governor's play."""


@dataclasses.dataclass(frozen=True)
class Health:
    """A machine at one moment.

    Attributes:
        temperature: of the CPU, in degrees Celsius; None: there is no sensor.
        clocks: of each core, in MHz; empty: the system doesn't say. An idle core's is low.
        throttled: what slows it down or has done so, in words; None: it can't be asked.
    """

    temperature: float | None
    clocks: tuple[float, ...]
    throttled: tuple[str, ...] | None


def health(root: Path = ROOT) -> Health:
    """This machine now; `root` is where `usr`, `opt` and `sys` are looked for."""
    bits, cooled = _bits(root), _cooled(root)
    words = [word for bit, word in BITS.items() if bits is not None and bits >> bit & 1]
    unknown = bits is None and cooled is None
    return Health(
        temperature=temperature(root),
        clocks=tuple(cpu.clocks(root).values()),
        throttled=None if unknown else (*words, *([COOLED] if cooled else [])),
    )


def slowed(seen: Sequence[Health]) -> tuple[str, ...]:
    """What slowed a machine down while it was seen so, in words.

    Args:
        seen: the machine before, in between and after. What had been before isn't counted.
    """
    words = [[*(one.throttled or ())] for one in seen]
    before = {word for word in (words[0] if words else []) if word.endswith(SINCE_BOOT)}
    found = [word for one in words for word in one if word not in before]
    return tuple(dict.fromkeys(w.removesuffix(NOW).removesuffix(SINCE_BOOT) for w in found))


def fell(clocks: Iterable[float]) -> tuple[float, float] | None:
    """The first fall of a clock below `FELL` of what it was: from and to, in MHz."""
    highest = 0.0
    for clock in clocks:
        if clock < FELL * highest:
            return highest, clock
        highest = max(highest, clock)
    return None


def _bits(root: Path) -> int | None:
    """From the firmware itself, else from the kernel; None: this is no Raspberry Pi."""
    found = re.search(r"throttled=0x([0-9a-fA-F]+)", _vcgencmd(root))
    texts = [found[1]] if found else [read(path).strip() for path in root.glob(FIRMWARE)]
    return next((int(text, 16) for text in texts if re.fullmatch("[0-9a-fA-F]+", text)), None)


def _vcgencmd(root: Path) -> str:
    folders = os.pathsep.join(str(root / folder) for folder in FOLDERS)
    tool = shutil.which("vcgencmd", path=folders)
    if tool is None:
        return ""
    try:
        return subprocess.run(
            [tool, "get_throttled"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):  # without the right to ask, the kernel is asked
        return ""


def _cooled(root: Path) -> bool | None:
    """Whether the kernel slows the cores down for their heat; None: it has no such means."""
    devices = (root / "sys" / "class" / "thermal").glob("cooling_device*")
    states = [read(one / "cur_state").strip() for one in devices if "cpufreq" in read(one / "type")]
    return any(state not in ("", "0") for state in states) if states else None
