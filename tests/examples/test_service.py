from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from configparser import RawConfigParser
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.examples.conftest import Script

UNIT = ROOT / "examples" / "fer-edge.service"


def test_the_script_understands_its_command(script: Script) -> None:
    unit = RawConfigParser()
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(UNIT)
    python, name, *arguments = shlex.split(unit["Service"]["ExecStart"])
    assert (Path(python).name, Path(name).name) == ("python", "mqtt_publish.py")
    process = script("mqtt_publish.py", *arguments, "--port", 1)
    _, err = process.communicate()
    assert process.returncode == 1
    assert err.startswith("localhost:1: ")
    assert "refused" in err


def test_systemd_understands_it(tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze isn't installed")
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace("/opt/fer-edge/venv/bin/python", sys.executable))
    done = subprocess.run(
        ["systemd-analyze", "verify", str(copy)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_page_on_the_raspberry_pi_changes_what_is_there(tmp_path: Path) -> None:
    """Its lines that edit the unit fit the unit, and what they run is there."""
    page = (ROOT / "docs" / "raspberry-pi.md").read_text("utf-8")
    commands = [line for line in page.splitlines() if line.startswith("sudo sed ")]
    assert len(commands) == 2
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text())
    for command in commands:
        before = copy.read_text()
        words = shlex.split(command)[1:-1]  # less sudo and the file
        subprocess.run([*words, str(copy)], check=True)
        assert copy.read_text() != before
    unit = RawConfigParser()
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(copy)
    _, script, *arguments = shlex.split(unit["Service"]["ExecStart"])
    assert f"examples/{Path(script).name} /opt/fer-edge/" in page
    known = [sys.executable, str(ROOT / "examples" / Path(script).name), "--help"]
    told = subprocess.run(known, capture_output=True, text=True, check=True).stdout
    assert all(word in told for word in arguments if word.startswith("--"))
    places = dict(word.split("=") for word in unit["Service"]["Environment"].split())
    for name, place in places.items():
        assert f"env {name}={place} " in page
