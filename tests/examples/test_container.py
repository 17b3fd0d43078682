"""The container's file, as far as it can be checked without a builder."""

from __future__ import annotations

import json
import re
import tomllib

from tests.support.commands import Fer
from tests.support.files import ROOT

PATH = "examples/container/Containerfile"
TEXT = (ROOT / PATH).read_text()
DOCUMENT = (ROOT / "docs" / "serve.md").read_text("utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def values(instruction: str) -> list[str]:
    return re.findall(rf"^{instruction} (.+)$", TEXT, re.MULTILINE)


def test_it_copies_what_the_wheel_is_made_of() -> None:
    copied = {name for line in values("COPY") for name in line.split()[:-1]}
    assert all((ROOT / name).exists() for name in copied)
    hatch = PROJECT["tool"]["hatch"]
    needed = ["pyproject.toml", PROJECT["project"]["readme"], hatch["version"]["path"]]
    needed += [
        *PROJECT["project"]["license-files"],
        *hatch["build"]["targets"]["wheel"]["packages"],
    ]
    assert {name.partition("/")[0] for name in needed} == copied


def test_its_extras_exist() -> None:
    (default,) = re.findall(r"EXTRAS=(\w+)", *values("ARG"))
    (documented,) = re.findall(r"EXTRAS=([\w,]+)", DOCUMENT)
    extras = set(PROJECT["project"]["optional-dependencies"])
    assert {default, *documented.split(",")} <= extras


def test_its_command_refuses_to_run_without_a_token(fer: Fer) -> None:
    (entry,) = values("ENTRYPOINT")
    program, *arguments = json.loads(entry)
    ran = fer(*arguments)
    assert (program, ran.code) == ("fer", 2)
    assert "everyone in the network could use the server" in ran.err


def test_its_user_is_not_root() -> None:
    (user,) = values("USER")
    assert int(user) > 0


def test_the_document_builds_this_file() -> None:
    assert f"docker build -f {PATH} " in DOCUMENT
    assert f"docker build -f {PATH} " in TEXT
