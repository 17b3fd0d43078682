"""The documents, and the command lines in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from tests.support.files import ROOT

DOCUMENTS = (
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "examples" / "README.md",
    *sorted((ROOT / "benchmarks").rglob("*.md")),
)
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
CODE = re.compile(r"`([^`\n]+)`")


def name_of(path: Path) -> str:
    """Path of a document as a test's name."""
    return str(path.relative_to(ROOT))


def prose(text: str) -> str:
    """A document without its code, comments, links' targets and images."""
    text = re.sub(r"<!--.*?-->", "", FENCE.sub("", text), flags=re.DOTALL)
    return re.sub(r"\]\([^)]*\)", "]", CODE.sub("", text))


def shell_lines(text: str) -> Iterator[str]:
    """Every command line of a document, in blocks and in the text; continued lines are joined."""
    for match in FENCE.finditer(text):
        if match[2] in ("", "bash", "console"):
            yield from match[3].replace("\\\n", " ").splitlines()
    for match in CODE.finditer(FENCE.sub("", text)):
        yield match[1]


def fer_commands(text: str) -> Iterator[list[str]]:
    """The arguments of every `fer` command with at least one, without redirections."""
    for line in shell_lines(text):
        if not re.search(r"(^|[ /])fer(_edge)? ", line) or line.strip().startswith("pip "):
            continue
        for part in re.split(r" [|&]+ |; ", line):
            words = shlex.split(part, comments=True)
            for place, word in enumerate(words):
                is_command = Path(word).name == "fer" or (
                    word == "fer_edge" and words[place - 1] == "-m"
                )
                if is_command and place + 1 < len(words):
                    yield words[place + 1 :]
                    break
