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
