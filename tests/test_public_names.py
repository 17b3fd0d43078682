from __future__ import annotations

import inspect

import pytest

import fer_edge
from fer_edge import errors, library
from tests.support.processes import run_python


def test_public_names() -> None:
    assert fer_edge.__all__ == [
        "ClusterError", "ConfigError", "Cut", "DamagedSpecError", "DataError", "DeviceError",
        "Face", "FerEdgeError", "Follower", "MissingExtraError", "MissingSpecError", "ModelError",
        "ModelSpec", "Nearby", "NewerSpecError", "ParityError", "Recognizer", "Result",
        "SourceError", "SpecError", "Tracker", "__version__", "evaluate", "export", "train",
    ]  # fmt: skip
    for name in fer_edge.__all__:
        assert getattr(fer_edge, name) is not None
    assert dir(fer_edge) == fer_edge.__all__


def test_every_error_is_public() -> None:
    raised = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception)
    }
    assert raised <= set(fer_edge.__all__)


def test_packages_that_are_functions_stay_callable_once_a_module_of_theirs_is_imported() -> None:
    code = (
        "import fer_edge, fer_edge.train.augment, fer_edge.export.formats;"
        "assert callable(fer_edge.train) and callable(fer_edge.export);"
        "assert fer_edge.train.augment"
    )
    run_python("-c", code, check=True)


@pytest.mark.parametrize("name", ["train", "export"])
def test_a_package_that_is_a_function_has_its_signature(name: str) -> None:
    function = getattr(library, name)
    assert inspect.signature(getattr(fer_edge, name)) == inspect.signature(function)


@pytest.mark.parametrize(
    ("call", "extra"),
    [
        ("train('faces', 'run')", "train"),
        ("evaluate('model.safetensors', 'faces')", "train"),
        ("export('model.safetensors')", "export"),
    ],
)
def test_without_its_extra_a_function_names_it(call: str, extra: str) -> None:
    code = (
        "import sys, fer_edge;"
        "sys.modules.update(dict.fromkeys(['torch', 'lightning', 'onnx', 'matplotlib']));"
        f"fer_edge.{call}"
    )
    done = run_python("-c", code)
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 1
    assert last.startswith("fer_edge.errors.MissingExtraError")
    assert f"pip install 'fer-edge[{extra}]' (in a clone: pip install '.[{extra}]')" in last


def test_unknown_name() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = fer_edge.nothing


def test_import_alone_loads_nothing_heavy() -> None:
    code = (
        "import sys, fer_edge;"
        "heavy = {'numpy', 'PIL', 'onnxruntime', 'torch', 'typer'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    run_python("-c", code, check=True)


def test_the_command_line_loads_nothing_heavy() -> None:
    """Each start of `fer` pays for what is imported here, on a board most of all."""
    code = (
        "import sys, fer_edge.cli;"
        "assert 'typer' in sys.modules;"
        "heavy = {'pydantic', 'rich', 'numpy', 'PIL', 'onnxruntime'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    run_python("-c", code, check=True)
