from __future__ import annotations

import shlex
import shutil
import sys
from configparser import RawConfigParser
from pathlib import Path

import pytest

from tests.docs.test_commands import parse
from tests.support.files import ROOT
from tests.support.processes import Script, run_process, run_python

UNITS = sorted((ROOT / "examples").glob("*.service"))
SERVE = ROOT / "examples" / "fer-edge-serve.service"
each_unit = pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
each_script = pytest.mark.parametrize(
    "path", [path for path in UNITS if path != SERVE], ids=lambda path: path.stem
)


def service(path: Path) -> dict[str, str]:
    unit = RawConfigParser()
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(path)
    return dict(unit["Service"])


def command(path: Path) -> tuple[str, list[str]]:
    """The name of the script that a unit starts, and its arguments."""
    python, script, *arguments = shlex.split(service(path)["ExecStart"])
    assert python == "/opt/fer-edge/venv/bin/python"
    assert Path(script).parent == Path("/opt/fer-edge")
    return Path(script).name, arguments


@each_script
def test_the_script_accepts_its_arguments(path: Path) -> None:
    name, arguments = command(path)
    script = str(ROOT / "examples" / name)
    done = run_python(script, *arguments, "--help")
    assert done.returncode == 0
    assert all(word in done.stdout for word in arguments if word.startswith("--"))


def test_the_mqtt_unit_starts_the_script_that_connects(script: Script) -> None:
    name, arguments = command(ROOT / "examples" / "fer-edge-mqtt.service")
    process = script(name, *arguments, "--port", 1)
    _, err = process.communicate()
    assert process.returncode == 1
    assert err.startswith("localhost:1: ")
    assert "refused" in err


def test_the_server_gets_options_that_it_has_and_its_token() -> None:
    unit = service(SERVE)
    program, *arguments = shlex.split(unit["ExecStart"])
    assert program == "/opt/fer-edge/venv/bin/fer"
    parse([*arguments])
    name, path = unit["LoadCredential"].split(":")
    assert arguments[-2:] == ["--token-file", f"${{CREDENTIALS_DIRECTORY}}/{name}"]
    assert f"| sudo install -m 600 /dev/stdin {path}" in SERVE.read_text()
    assert unit["DynamicUser"] == "true"


@each_unit
def test_systemd_accepts_the_unit(path: Path, tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze isn't installed")
    copy = tmp_path / path.name
    text = path.read_text()
    for program in ("python", "fer"):
        text = text.replace(f"/opt/fer-edge/venv/bin/{program} ", f"{sys.executable} ")
    copy.write_text(text)
    done = run_process("systemd-analyze", "verify", copy)
    assert (done.returncode, done.stderr) == (0, "")


@each_unit
def test_the_header_and_a_page_install_what_the_unit_uses(path: Path) -> None:
    """Both give the same commands, and these put everything into its place."""
    header = [line[1:].strip() for line in path.read_text().splitlines() if line.startswith("#  ")]
    page = "serve.md" if path == SERVE else "raspberry-pi.md"
    for text in ("\n".join(header), (ROOT / "docs" / page).read_text("utf-8")):
        if path == SERVE:
            assert "sudo /opt/fer-edge/venv/bin/pip install '.[serve,video]'" in text
            assert "/dev/stdin /etc/fer-edge-serve.token" in text
        else:
            assert f"sudo install -m 644 examples/{command(path)[0]} /opt/fer-edge/" in text
        assert f"sudo install -m 644 examples/{path.name} /etc/systemd/system/" in text
        assert f"sudo systemctl enable --now {path.stem}" in text
        assert "pip install 'numpy<2'" in text
        for pair in service(path)["Environment"].split():
            assert f"sudo env {pair} " in text
