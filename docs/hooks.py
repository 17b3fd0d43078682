"""Hooks of MkDocs: the pages that are generated while the site is built.

The Markdown files in the repository's root become pages of the site, and the CLI reference is
written from the Typer application itself.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from typer.cli import get_docs_for_click
from typer.core import TyperGroup

from fer_edge.cli import app

ROOT = Path(__file__).parent.parent
EXAMPLES = re.compile(r"^Examples:\n((?:\n|  .*\n)+)", re.MULTILINE)
FROM_ROOT = {
    "index.md": "README.md",
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
    "security.md": "SECURITY.md",
}
"""Page of the site, and the file in the repository's root that it is made from."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    pages = {page: from_root(ROOT / name) for page, name in FROM_ROOT.items()}
    pages["cli.md"] = cli_reference()
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Put the repository's address, which only README.md states, where a page clones it."""
    return markdown.replace("git clone REPOSITORY", f"git clone {repository()}")


def from_root(path: Path) -> str:
    """A file of the repository's root, with its links as seen from the site's root."""
    text = path.read_text("utf-8").replace("](docs/", "](").replace('src="docs/', 'src="')
    for page, name in FROM_ROOT.items():
        text = text.replace(f"]({name}", f"]({page}")
    return text


def repository() -> str:
    """The address after `git clone` in README.md."""
    match = re.search(r"git clone (\S+)", (ROOT / "README.md").read_text("utf-8"))
    if match is None:
        raise ValueError("README.md has no line with 'git clone ADDRESS'")
    return match[1]


def cli_reference() -> str:
    """The commands and their options in Markdown, as Typer documents them."""
    command = typer.main.get_command(app)
    context = typer.Context(command, info_name="fer")
    whole_summaries(command, context)
    text = get_docs_for_click(obj=command, ctx=context, name="fer", title="Command line")
    return EXAMPLES.sub(as_code_block, text)


def whole_summaries(command: Any, context: typer.Context) -> None:
    """Keep Typer from cutting the first sentence of each command's help in lists."""
    command.short_help = (command.help or "").split("\n\n")[0]
    if isinstance(command, TyperGroup):
        for name in command.list_commands(context):
            whole_summaries(command.get_command(context, name), context)


def as_code_block(match: re.Match[str]) -> str:
    """The examples of a command's epilog, which Markdown would put into one paragraph."""
    lines = [line.strip() for line in match[1].splitlines() if line.strip()]
    return "**Examples**:\n\n```bash\n" + "\n".join(lines) + "\n```\n\n"
