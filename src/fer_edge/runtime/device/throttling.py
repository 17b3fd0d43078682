"""Whether a machine is hot, throttled or short of power, from its firmware and kernel."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from fer_edge.runtime.device.board import read_temperature
from fer_edge.runtime.device.cpu import read_clocks
from fer_edge.runtime.device.system_files import ROOT, read_text

NOW, SINCE_BOOT = " now", " since boot"
BITS = {
    bit + shift: f"{state}{when}"
    for shift, when in ((0, NOW), (16, SINCE_BOOT))
    for bit, state in enumerate(
        ("under-voltage", "clock capped", "throttled", "soft temperature limit")
    )
}
"""Bits of a Raspberry Pi's `get_throttled`: four states now, and 16 bits higher since boot."""
COOLED = f"slowed down for its heat{NOW}"

FOLDERS = ("usr/bin", "usr/local/bin", "opt/vc/bin")
"""Folders that hold `vcgencmd`, depending on the version of Raspberry Pi OS."""
FIRMWARE = "sys/devices/platform/soc*/*firmware/get_throttled"
"""The same number from the kernel, which polls the firmware every two seconds."""
TIMEOUT = 5.0
"""Seconds that `vcgencmd` may take."""

CLOCK_DROP_RATIO = 0.9
"""A clock below this fraction of its highest value has dropped; the governor changes it by less."""


@dataclasses.dataclass(frozen=True)
class Health:
    """A machine at one moment.

    Attributes:
        temperature: CPU temperature in degrees Celsius; None: there is no sensor.
        clocks: clock of each core in MHz; low for an idle core. Empty: the system reports none.
        throttled: descriptions of what slows it down or has done so; None: the system reports
            nothing about it.
    """

    temperature: float | None
    clocks: tuple[float, ...]
    throttled: tuple[str, ...] | None


def read_health(root: Path = ROOT) -> Health:
    """This machine now; `root` is the folder that holds `usr`, `opt` and `sys`."""
    bits, cooled = _bits(root), _cooled(root)
    states = [state for bit, state in BITS.items() if bits is not None and bits >> bit & 1]
    unknown = bits is None and cooled is None
    return Health(
        temperature=read_temperature(root),
        clocks=tuple(read_clocks(root).values()),
        throttled=None if unknown else (*states, *([COOLED] if cooled else [])),
    )


def find_throttling(seen: Sequence[Health]) -> tuple[str, ...]:
    """What slowed a machine down during a run.

    Args:
        seen: the machine before, during and after the run. What happened before isn't counted.
    """
    states = [[*(one.throttled or ())] for one in seen]
    before = {state for state in (states[0] if states else []) if state.endswith(SINCE_BOOT)}
    found = [state for one in states for state in one if state not in before]
    return tuple(dict.fromkeys(s.removesuffix(NOW).removesuffix(SINCE_BOOT) for s in found))


def find_clock_drop(clocks: Iterable[float]) -> tuple[float, float] | None:
    """The first drop below `CLOCK_DROP_RATIO` of the highest clock: from and to, in MHz."""
    highest = 0.0
    for clock in clocks:
        if clock < CLOCK_DROP_RATIO * highest:
            return highest, clock
        highest = max(highest, clock)
    return None


def _bits(root: Path) -> int | None:
    """From the firmware itself, else from the kernel; None: this is no Raspberry Pi."""
    found = re.search(r"throttled=0x([0-9a-fA-F]+)", _vcgencmd(root))
    texts = [found[1]] if found else [read_text(path).strip() for path in root.glob(FIRMWARE)]
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
            timeout=TIMEOUT,
            check=False,
            stdin=subprocess.DEVNULL,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):  # the kernel file is read instead
        return ""


def _cooled(root: Path) -> bool | None:
    """Whether the kernel slows the cores down for their heat; None: it can't."""
    devices = (root / "sys" / "class" / "thermal").glob("cooling_device*")
    coolers = (device for device in devices if "cpufreq" in read_text(device / "type"))
    states = [read_text(cooler / "cur_state").strip() for cooler in coolers]
    return any(state not in ("", "0") for state in states) if states else None
