"""`fer serve` as its user starts it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.commands import Fer
from tests.support.files import CASES, EXAMPLE
from tests.support.processes import run_without, start_process

httpx = pytest.importorskip("httpx")
pytest.importorskip("uvicorn", reason="the extra serve isn't installed")
TOKEN = "0123456789abcdef"


@contextmanager
def serving(*arguments: object) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """A process of `fer serve`, its address, and what it printed before that."""
    command = (sys.executable, "-m", "fer_edge", "serve", "--port", 0, *arguments)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with start_process(*command, **pipes) as process:
        assert process.stderr is not None
        printed = ""
        for line in process.stderr:
            printed += line
            if found := re.search(r"(https?://\S+)/ \(Ctrl-C", line):
                yield process, found[1], printed
                return
        raise AssertionError(printed)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it_in_order(number: signal.Signals) -> None:
    with serving() as (process, url, printed):
        assert "requests alone" in printed
        image = EXAMPLE.read_bytes()
        got = httpx.post(f"{url}/v1/predict", content=image, timeout=60)
        assert got.json()["faces"][0]["emotion"] == "happy"
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out, err) == (0, "", "")


def test_a_live_source_with_a_token(tmp_path: Path) -> None:
    pytest.importorskip("av", reason="av isn't installed")
    token = tmp_path / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    source = CASES / "still_end.mp4"
    arguments = (source, "--host", "0.0.0.0", "--token-file", token, "--faces", "whole")
    with serving(*arguments) as (process, url, printed):
        assert "cross the network in plain text" in printed
        port = url.rpartition(":")[2]
        url = f"http://127.0.0.1:{port}"
        assert httpx.get(f"{url}/v1/status").status_code == 401
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with httpx.stream("GET", f"{url}/v1/stream", headers=headers, timeout=60) as response:
            lines = response.iter_lines()
            while not next(lines).startswith("event: result"):
                pass
            process.terminate()
            assert list(lines)[-1] == ""
        assert process.wait(60) == 0


def test_insecure_is_said() -> None:
    with serving("--host", "0.0.0.0", "--insecure") as (process, _, printed):
        assert "--insecure: everyone in the network can use this server" in printed
        process.terminate()
        assert process.wait(60) == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--host", "0.0.0.0"], 2, "everyone in the network could use the server"),
        (["--token", "x"], 2, "16 characters or more"),
        (["--token", TOKEN, "--token-file", "x"], 2, "--token and --token-file: give one"),
        (["--token-file", "/nowhere/token"], 1, "No such file"),
        (["--max-images", "0"], 2, "max_images must be above 0"),
        (["--host", "192.0.2.7", "--insecure"], 2, "--host 192.0.2.7 --port 8000: "),
        (["nowhere.mp4"], 1, "nowhere.mp4: there is no such video or camera"),
        ([EXAMPLE], 1, "not a video"),
    ],
)
def test_what_it_refuses(fer: Fer, arguments: list[object], code: int, message: str) -> None:
    ran = fer("serve", *arguments)
    assert (ran.code, ran.out) == (code, "")
    assert message in ran.err


@pytest.mark.parametrize("package", ["starlette", "uvicorn", "websockets", "prometheus_client"])
def test_without_its_extra_it_names_it(package: str) -> None:
    done = run_without({package}, "serve")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{package} is not installed: pip install 'fer-edge[serve]'" in done.stderr
    assert "Traceback" not in done.stderr
