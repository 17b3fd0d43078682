"""File names that programs stumble over, and what may stand under them."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

PARTS = (
    "face", "2026-01-01T12:30:05", "http:", "concat:a|b", "pipe:0", "a\nb", "\x1b[31mred\x1b[0m",
    "\x07", "%s%d", "{0}", "[a-z]*", "*", "?", "~", "$HOME", "`id`", "-o", "--json", " ",
    "  spaced ", "..a", "...", "é", "e\u0301", "日本語", "\u202egpj", "\udcff\udcfe", "\x9b31m",
    "🙂", "'", '"', "\\", ",", ";", "&amp;", "=1+1", "a" * 200, "@eaDir", "Thumbs", ".hidden", "0",
    "con", "-", "file:", "rtsp",
)  # fmt: skip
SUFFIXES = (
    ".png", ".PNG", ".jpg", ".jpeg", ".jfif", ".webp", ".tiff", ".gif", ".mp4", ".MOV", ".heic",
    ".txt", ".png ", ".png.part", "", ".", ".mjpeg", ".svg", ".json", ".bmp", ".avif",
)  # fmt: skip


def make_name(random: Random) -> str:
    """A name of one to three parts; no file system refuses it for its characters."""
    parts = (random.choice(PARTS) for _ in range(random.choice((1, 1, 2, 3))))
    name = "".join(parts) + random.choice(SUFFIXES)
    # 255 bytes is the longest name
    return os.fsdecode(os.fsencode(name)[: random.choice((255, 255, 20))]) if name else "x"


def fill_folder(random: Random, folder: Path, contents: list[bytes], count: int) -> None:
    """Make files, folders, links and pipes with such names."""
    folders = [folder]
    for _ in range(count):
        path = random.choice(folders) / make_name(random)
        try:
            kind = random.choice(("file", "file", "file", "file", "folder", "link", "loop", "pipe"))
            if kind == "folder":
                path.mkdir()
                folders.append(path)
            elif kind == "link":
                targets = (folder / "missing", path, *sorted(path.parent.iterdir()))
                path.symlink_to(random.choice(targets))
            elif kind == "loop":
                path.symlink_to(random.choice((".", "..", str(folder))))
            elif kind == "pipe":
                os.mkfifo(path)
            else:
                with path.open("xb") as stream:  # never into a pipe of that name
                    stream.write(random.choice(contents))
        except OSError:  # such a name is there already, or it is "." or too long
            continue
