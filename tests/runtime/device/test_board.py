from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import pytest

from fer_edge.runtime.device import packages
from fer_edge.runtime.device.board import Board, Camera, list_cameras, read_board
from fer_edge.runtime.device.cpu import count_usable_cores, identify_cpu
from fer_edge.runtime.device.packages import find_package
from tests.support.files import write_files

ARM_CORE = """processor\t: {}
BogoMIPS\t: 108.00
Features\t: {}
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: {}
CPU revision\t: 3

"""
BASIC = "fp asimd evtstrm crc32 cpuid"
WITH_DOT = (
    "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop "
    "asimddp"
)
X86_CORE = """processor\t: {}
vendor_id\t: GenuineIntel
model name\t: Intel(R) N100
flags\t\t: fpu sse sse2 avx avx2 avx_vnni

"""


def pi(root: Path, name: str, part: str, features: str) -> Path:
    cores = "".join(ARM_CORE.format(i, features, part) for i in range(4))
    return write_files(
        root,
        {
            "proc/device-tree/model": f"{name}\0",
            "proc/cpuinfo": f"{cores}Revision\t: c03114\nModel\t\t: {name}\n",
            "proc/meminfo": "MemTotal:        3884360 kB\nMemFree:  100 kB\n",
            "etc/os-release": 'NAME="x"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n',
            "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
            "sys/class/thermal/thermal_zone0/temp": "48312\n",
        },
    )


@pytest.mark.parametrize(
    ("name", "part", "features", "cpu_name", "found"),
    [
        ("Raspberry Pi 3 Model B Plus Rev 1.3", "0xd03", BASIC, "Cortex-A53", ("asimd",)),
        ("Raspberry Pi 4 Model B Rev 1.4", "0xd08", BASIC, "Cortex-A72", ("asimd",)),
        (
            "Raspberry Pi 5 Model B Rev 1.0",
            "0xd0b",
            WITH_DOT,
            "Cortex-A76",
            ("asimd", "fphp", "asimdhp", "asimddp"),
        ),
    ],
)
def test_a_raspberry_pi(
    name: str, part: str, features: str, cpu_name: str, found: tuple[str, ...], tmp_path: Path
) -> None:
    here = read_board(pi(tmp_path, name, part, features))
    assert (here.name, here.cpu, here.features) == (name, cpu_name, found)
    assert here.memory == 3884360 * 1024
    assert here.system == "Debian GNU/Linux 12 (bookworm)"
    assert here.temperature == pytest.approx(48.312)
    assert identify_cpu(tmp_path) == f"{cpu_name} x {count_usable_cores()}"


def test_a_32_bit_system_names_the_core_and_not_the_instruction_set(tmp_path: Path) -> None:
    core = ARM_CORE.format(0, "half thumb fastmult vfp edsp neon vfpv4", "0xd08")
    core = core.replace("BogoMIPS", "model name\t: ARMv7 Processor rev 3 (v7l)\nBogoMIPS")
    here = read_board(write_files(tmp_path, {"proc/cpuinfo": core}))
    assert (here.cpu, here.features) == ("Cortex-A72", ("neon",))


def test_two_kinds_of_cores_and_one_that_is_not_known(tmp_path: Path) -> None:
    parts = ("0xd05", "0xd05", "0xd0b", "0xfff")
    text = "".join(ARM_CORE.format(i, WITH_DOT, part) for i, part in enumerate(parts))
    write_files(tmp_path, {"proc/cpuinfo": text})
    assert read_board(tmp_path).cpu == "Cortex-A55 + Cortex-A76 + ARM 0x41 part 0xfff"
    assert identify_cpu(tmp_path).startswith("Cortex-A55 x ")


def test_a_pc(tmp_path: Path) -> None:
    here = read_board(
        write_files(
            tmp_path,
            {
                "proc/cpuinfo": "".join(X86_CORE.format(i) for i in range(4)),
                "sys/class/dmi/id/sys_vendor": "Beelink\n",
                "sys/class/dmi/id/product_name": "EQ12\n",
                "sys/class/thermal/thermal_zone0/type": "acpitz\n",
                "sys/class/thermal/thermal_zone0/temp": "27800\n",
                "sys/class/thermal/thermal_zone1/type": "x86_pkg_temp\n",
                "sys/class/thermal/thermal_zone1/temp": "51000\n",
                "etc/os-release": "PRETTY_NAME=Void\n",
            },
        )
    )
    assert (here.name, here.cpu) == ("Beelink EQ12", "Intel(R) N100")
    assert here.features == ("avx2", "avx_vnni")
    assert here.temperature == 51.0
    assert here.system == "Void"


def test_a_machine_that_says_nothing(tmp_path: Path) -> None:
    here = read_board(tmp_path)
    assert (here.name, here.cpu, here.features) == ("unknown", "unknown", ())
    assert here.memory is here.temperature is None
    assert here.cores >= 1
    assert here.system
    assert list_cameras(tmp_path) == ()


def test_a_sensor_that_fails(tmp_path: Path) -> None:
    (tmp_path / "sys/class/thermal/thermal_zone0/temp").mkdir(parents=True)  # can't be read
    write_files(tmp_path, {"sys/class/thermal/thermal_zone1/temp": "-2000\n"})
    assert read_board(tmp_path).temperature == -2.0


def test_this_machine() -> None:
    here = read_board()
    assert here.python == sys.version.split()[0]
    assert here.bits == 64
    assert json.loads(json.dumps(dataclasses.asdict(here)))["cpu"] == here.cpu
    assert here.memory is None or here.memory > 2**26


@pytest.mark.parametrize(("cores", "bits"), [(0, 64), (4, 16)])
def test_a_board_that_cannot_be(cores: int, bits: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        Board("x", "x", (), cores, None, "x", "3", "x", bits, None)


def test_cameras(tmp_path: Path) -> None:
    about = "sys/class/video4linux"
    write_files(
        tmp_path,
        {
            **{f"dev/video{i}": "" for i in (0, 1, 2, 10, 20)},
            "dev/null": "",
            f"{about}/video0/name": "HD Webcam C270\n",
            f"{about}/video0/index": "0\n",
            f"{about}/video1/name": "HD Webcam C270\n",
            f"{about}/video1/index": "1\n",
            f"{about}/video10/name": "bcm2835-codec-decode\n",
            f"{about}/video10/index": "0\n",
            f"{about}/video20/name": "unicam-image\n",
            f"{about}/video20/index": "0\n",
        },
    )
    assert list_cameras(tmp_path) == (
        Camera("/dev/video0", "HD Webcam C270"),
        Camera("/dev/video2", "unknown"),
        Camera("/dev/video20", "unicam-image"),
    )


def test_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_package("numpy") == Path(sys.modules["numpy"].__file__ or "")
    assert find_package("no_such_package") is None
    monkeypatch.setitem(sys.modules, "picamera2", None)
    assert find_package("picamera2") is None

    def refuse(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(packages.importlib.util, "find_spec", refuse)
    assert find_package("numpy") is None
