from __future__ import annotations

import subprocess
import sys

import pytest

import fer_edge


def test_public_names() -> None:
    assert fer_edge.__all__ == [
        "Face", "FerEdgeError", "ModelSpec", "Recognizer", "Result", "__version__",
    ]  # fmt: skip
    for name in fer_edge.__all__:
        assert getattr(fer_edge, name) is not None
    assert dir(fer_edge) == fer_edge.__all__


def test_unknown_name() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = fer_edge.nothing


def test_import_alone_loads_nothing_heavy() -> None:
    code = (
        "import sys, fer_edge;"
        "heavy = {'numpy', 'PIL', 'onnxruntime', 'torch', 'click'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_command_line_loads_nothing_heavy() -> None:
    """Each start of `fer` pays for what is imported here, on a board most of all."""
    code = (
        "import sys, fer_edge.cli;"
        "assert 'click' in sys.modules;"
        "heavy = {'typer', 'pydantic', 'rich', 'numpy', 'PIL', 'onnxruntime'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
