"""What this machine is, read from the system's files alone."""

from __future__ import annotations

import dataclasses
import platform
import re
import sys
from pathlib import Path

from fer_edge.runtime.device.cpu import core_names, count_usable_cores
from fer_edge.runtime.device.system_files import ROOT, find_values, read_text

FEATURES = (
    *("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8"),
    *("neon", "asimd", "fphp", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2"),
)
"""CPU features that make engines faster, as Linux spells them: wide arithmetic, half precision
(`fphp`, `asimdhp`, `bf16`), int8 products (`vnni`, `asimddp`, `i8mm`)."""

NOT_CAMERAS = ("bcm2835-codec", "bcm2835-isp", "pispbe", "rpi-hevc-dec", "rpivid")
"""Video devices of a Raspberry Pi that are codecs and image processors."""


@dataclasses.dataclass(frozen=True)
class Board:
    """A machine.

    Attributes:
        name: name of the board or computer; "unknown" where the system doesn't report it.
        cpu: kinds of its cores, joined by " + ".
        features: the entries of `FEATURES` that its CPU has.
        cores: number of cores that this process may use, 1 or more.
        memory: bytes; None: the system doesn't report it.
        system: name and version of the operating system.
        python: version of Python.
        machine: the architecture, as `platform.machine()` names it.
        bits: 32 or 64: the word size of this Python, which may be less than the system's.
        temperature: CPU temperature in degrees Celsius; None: there is no sensor.
    """

    name: str
    cpu: str
    features: tuple[str, ...]
    cores: int
    memory: int | None
    system: str
    python: str
    machine: str
    bits: int
    temperature: float | None

    def __post_init__(self) -> None:
        if self.cores < 1:
            raise ValueError(f"cores must be 1 or more, not {self.cores}")
        if self.bits not in (32, 64):
            raise ValueError(f"bits must be 32 or 64, not {self.bits}")


@dataclasses.dataclass(frozen=True)
class Camera:
    """A video device: its path, and the name that its driver gives."""

    device: str
    name: str


def read_board(root: Path = ROOT) -> Board:
    """This machine; `root` is the folder that holds `proc`, `sys` and `etc`."""
    cpuinfo = read_text(root / "proc" / "cpuinfo")
    listed = set(" ".join(find_values(cpuinfo, "flags", "Features")[:1]).split())
    memory = find_values(read_text(root / "proc" / "meminfo"), "MemTotal")
    system = re.search(r"^PRETTY_NAME=(.*)$", read_text(root / "etc" / "os-release"), re.MULTILINE)
    return Board(
        name=_name(root),
        cpu=" + ".join(core_names(cpuinfo)),
        features=tuple(feature for feature in FEATURES if feature in listed),
        cores=count_usable_cores(),
        memory=int(memory[0].split()[0]) * 1024 if memory else None,
        system=system[1].strip("\"'") if system else platform.system(),
        python=platform.python_version(),
        machine=platform.machine(),
        bits=64 if sys.maxsize > 2**32 else 32,
        temperature=read_temperature(root),
    )


def list_cameras(root: Path = ROOT) -> tuple[Camera, ...]:
    """The video devices that may be cameras, in the order of their numbers."""
    found = []
    for path in (root / "dev").glob("video[0-9]*"):
        about = root / "sys" / "class" / "video4linux" / path.name
        name = read_text(about / "name").strip() or "unknown"
        # further nodes of one device carry its metadata
        if read_text(about / "index").strip() in ("", "0") and not name.startswith(NOT_CAMERAS):
            found.append(Camera(f"/dev/{path.name}", name))
    return tuple(sorted(found, key=lambda camera: (len(camera.device), camera.device)))


def _name(root: Path) -> str:
    model = read_text(root / "proc" / "device-tree" / "model").rstrip("\0\n")
    dmi = root / "sys" / "class" / "dmi" / "id"
    named = [read_text(dmi / part).strip() for part in ("sys_vendor", "product_name")]
    return model or " ".join(part for part in named if part) or "unknown"


def read_temperature(root: Path) -> float | None:
    """CPU temperature in degrees Celsius; None: there is no sensor."""
    zones = sorted((root / "sys" / "class" / "thermal").glob("thermal_zone*"))
    named = {zone: read_text(zone / "type").lower() for zone in zones}
    zones.sort(key=lambda zone: not re.search("cpu|x86_pkg|soc", named[zone]))
    readings = [read_text(zone / "temp").strip() for zone in zones]
    return next((int(text) / 1000 for text in readings if text.lstrip("-").isdigit()), None)
