from __future__ import annotations

from pathlib import Path

import pytest

from fer_edge.runtime.device import throttling as module
from fer_edge.runtime.device.cpu import current_core, read_clocks
from fer_edge.runtime.device.throttling import (
    Health,
    find_clock_drop,
    find_throttling,
    read_health,
)
from tests.support.files import write_files

CPU = "sys/devices/system/cpu"
FIRMWARE = "sys/devices/platform/soc/soc:firmware/get_throttled"


def vcgencmd(root: Path, script: str, folder: str = "usr/bin") -> Path:
    write_files(root, {f"{folder}/vcgencmd": f"#!/bin/sh\n{script}\n"})
    (root / folder / "vcgencmd").chmod(0o755)
    return root


def test_a_machine_that_says_nothing(tmp_path: Path) -> None:
    assert read_health(tmp_path) == Health(None, (), None)


def test_this_machine() -> None:
    now = read_health()
    assert now.temperature is None or -40 < now.temperature < 150
    assert all(10 < clock < 20_000 for clock in now.clocks)
    assert current_core() >= 0


def test_a_raspberry_pi(tmp_path: Path) -> None:
    write_files(
        tmp_path,
        {
            "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
            "sys/class/thermal/thermal_zone0/temp": "84100\n",
            **{f"{CPU}/cpu{i}/cpufreq/scaling_cur_freq": f"{600_000 + i}\n" for i in range(12)},
            f"{CPU}/cpufreq/boost": "1\n",
            f"{CPU}/cpu12/online": "0\n",
            FIRMWARE: "0\n",
        },
    )
    vcgencmd(tmp_path, '[ "$1" = get_throttled ] && echo throttled=0xe0008')
    assert read_health(tmp_path) == Health(
        84.1,
        tuple(600 + i / 1000 for i in range(12)),
        (
            "soft temperature limit now",
            "clock capped since boot",
            "throttled since boot",
            "soft temperature limit since boot",
        ),
    )
    assert list(read_clocks(tmp_path)) == list(range(12))


@pytest.mark.parametrize(
    ("bits", "words"),
    [
        ("0x0", ()),
        ("0x1", ("under-voltage now",)),
        ("0x2", ("clock capped now",)),
        ("0x4", ("throttled now",)),
        (
            "0x50005",
            (
                "under-voltage now",
                "throttled now",
                "under-voltage since boot",
                "throttled since boot",
            ),
        ),
        ("0xFF00FFF0", ()),
    ],
)
def test_the_bits(bits: str, words: tuple[str, ...], tmp_path: Path) -> None:
    assert read_health(vcgencmd(tmp_path, f"echo throttled={bits}")).throttled == words


@pytest.mark.parametrize(
    "script",
    [
        "echo 'VCHI initialization failed'; exit 255",
        "echo throttled=what",
        "exec sleep 60",
        "exit 0",
        "printf 'throttled=\\377'",
    ],
)
def test_a_tool_that_fails_leaves_it_to_the_kernel(
    script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TIMEOUT", 0.3 if "sleep" in script else 30)
    vcgencmd(tmp_path, script, "opt/vc/bin")
    assert read_health(tmp_path).throttled is None
    write_files(tmp_path, {FIRMWARE: "20002\n"})
    assert read_health(tmp_path).throttled == ("clock capped now", "clock capped since boot")
    write_files(tmp_path, {FIRMWARE: "what\n"})
    assert read_health(tmp_path).throttled is None


def test_a_tool_that_can_not_be_started(tmp_path: Path) -> None:
    write_files(vcgencmd(tmp_path, ""), {"usr/bin/vcgencmd": "\x7fELF of another machine"})
    assert read_health(tmp_path).throttled is None


def test_a_raspberry_pi_5_without_the_tool(tmp_path: Path) -> None:
    soc = "sys/devices/platform/soc@107c000000/soc@107c000000:firmware"
    write_files(tmp_path, {f"{soc}/get_throttled": "80000\n"})
    assert read_health(tmp_path).throttled == ("soft temperature limit since boot",)


def test_another_board_that_its_kernel_cools(tmp_path: Path) -> None:
    about = "sys/class/thermal"
    write_files(
        tmp_path,
        {
            f"{about}/cooling_device0/type": "pwm-fan\n",
            f"{about}/cooling_device0/cur_state": "3\n",
        },
    )
    assert read_health(tmp_path).throttled is None  # a fan slows nothing down
    write_files(
        tmp_path,
        {
            f"{about}/cooling_device1/type": "cpufreq-cpu0\n",
            f"{about}/cooling_device1/cur_state": "0\n",
        },
    )
    assert read_health(tmp_path).throttled == ()
    write_files(tmp_path, {f"{about}/cooling_device1/cur_state": "2\n"})
    assert read_health(tmp_path).throttled == ("slowed down for its heat now",)


def seen(*words: tuple[str, ...] | None) -> list[Health]:
    return [Health(None, (), one) for one in words]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ([], ()),
        ([None, None], ()),
        ([(), ()], ()),
        ([("throttled since boot",), ("throttled since boot",)], ()),
        ([("throttled now", "throttled since boot"), ("throttled since boot",)], ("throttled",)),
        ([(), ("throttled since boot",)], ("throttled",)),
        (
            [(), ("under-voltage now", "under-voltage since boot"), ("under-voltage since boot",)],
            ("under-voltage",),
        ),
        ([(), ("slowed down for its heat now",), ()], ("slowed down for its heat",)),
    ],
)
def test_what_slowed_it_down_meanwhile(
    words: list[tuple[str, ...] | None], found: tuple[str, ...]
) -> None:
    assert find_throttling(seen(*words)) == found


@pytest.mark.parametrize(
    ("measured", "fall"),
    [
        ([], None),
        ([1500.0], None),
        ([600.0, 1500.0, 1500.0], None),
        ([1500.0, 1400.0, 1500.0], None),
        ([1400.0, 1500.0, 1000.0, 600.0], (1500.0, 1000.0)),
    ],
)
def test_a_clock_that_falls(measured: list[float], fall: tuple[float, float] | None) -> None:
    assert find_clock_drop(measured) == fall


def test_the_core_that_a_thread_is_on(tmp_path: Path) -> None:
    fields = " ".join(["S", *map(str, range(4, 39)), "3", "0", "0"])
    write_files(tmp_path, {"proc/self/stat": f"1 (a) name) {fields}\n"})
    assert current_core(tmp_path) == 3
    assert current_core(tmp_path / "none") == 0
