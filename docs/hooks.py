"""Hooks of MkDocs: the pages that are generated while the site is built.

README.md, CHANGELOG.md and CONTRIBUTING.md become pages of the site.
"""

from __future__ import annotations

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
FROM_ROOT = {
    "index.md": "README.md",
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
}
"""Page of the site, and the file in the repository's root that it is made from."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    pages = {page: from_root(ROOT / name) for page, name in FROM_ROOT.items()}
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
