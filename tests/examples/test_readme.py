from __future__ import annotations

import shutil
from pathlib import Path

from tests.support.documents import FENCE
from tests.support.files import EXAMPLE, ROOT
from tests.support.processes import run_python


def test_the_python_of_the_readme_runs(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    (code,) = [body for _, language, body in FENCE.findall(text) if language == "python"]
    assert len([line for line in code.splitlines() if line.strip()]) <= 5
    (tmp_path / "photos").mkdir()
    shutil.copy(EXAMPLE, tmp_path / "photos" / "a.png")
    (tmp_path / "photos" / "b.png").write_bytes(b"text")
    done = run_python("-W", "error", "-c", code, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    face, error = done.stdout.splitlines()
    assert face.startswith("photos/a.png (")
    assert " happy " in face
    assert error == "photos/b.png: not an image"
