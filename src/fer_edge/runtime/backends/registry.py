"""The engines: what each needs, which files it reads, and where it isn't offered.

A new engine is one entry of `ENGINES` and the module that the entry names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fer_edge.errors import FerEdgeError, ModelError, install_command
from fer_edge.runtime.device.cpu import ARM
from fer_edge.runtime.formats import ncnn_files
from fer_edge.runtime.formats.model_files import companion, model_type
from fer_edge.spec import ModelSpec, Precision


@dataclass(frozen=True)
class Engine:
    """Where an engine's backend class is, what it needs and what it reads.

    Attributes:
        module: module of the class. It also has `devices()`, which lists the devices that the
            engine can use on this machine, the CPU first.
        class_name: name of the class, which takes a path, `device` and `threads`.
        package: the package that must be importable.
        extra: the extra that installs the package; None: the base install does.
        suffixes: suffixes of the files that it reads.
        substitutes: by the suffix of a model's file: the ending of the file that the engine reads
            instead, if it lies beside that model under the same name.
        unsupported_on_arm: by precision: why such a model isn't offered on ARM.
        is_exact_int8: whether it rounds every int8 model as PyTorch does. Others round some sums
            of networks with float gates elsewhere.
        is_fastest_on_arm: whether it is the first choice on ARM where nothing was measured.
    """

    module: str
    class_name: str
    package: str
    extra: str | None
    suffixes: tuple[str, ...]
    substitutes: Mapping[str, str] = field(default_factory=dict)
    unsupported_on_arm: Mapping[Precision, str] = field(default_factory=dict)
    is_exact_int8: bool = False
    is_fastest_on_arm: bool = False


ENGINES = {
    "onnxruntime": Engine(
        module="fer_edge.runtime.backends.onnxruntime_backend",
        class_name="OnnxRuntimeBackend",
        package="onnxruntime",
        extra=None,
        suffixes=(".onnx",),
        is_exact_int8=True,
    ),
    "openvino": Engine(
        module="fer_edge.runtime.backends.openvino_backend",
        class_name="OpenVinoBackend",
        package="openvino",
        extra="openvino",
        suffixes=(".xml", ".onnx"),
        unsupported_on_arm={
            "int8": "OpenVINO's int8 on ARM fails to compile or gives wrong logits: use the "
            "backend onnxruntime, or an fp32 or fp16 file"
        },
    ),
    "ncnn": Engine(
        module="fer_edge.runtime.backends.ncnn_backend",
        class_name="NcnnBackend",
        package="ncnn",
        extra="ncnn",
        suffixes=(".param",),
        substitutes={".onnx": ncnn_files.SUFFIX},
        is_fastest_on_arm=True,
    ),
}


def find_file(name: str, path: Path, *, allow_substitute: bool = True) -> Path | None:
    """The file that an engine reads for a model; None: there is none.

    With `allow_substitute`, a file beside the model counts where it holds the same checkpoint in
    the same float precision: both then give the logits of that checkpoint in PyTorch. Nothing
    replaces an int8 file, whose logits are those of its own quantized model.
    """
    engine = ENGINES[name]
    if model_type(path) in engine.suffixes:
        return path
    if not allow_substitute or model_type(path) not in engine.substitutes:
        return None
    other = companion(path, engine.substitutes[model_type(path)])
    if not other.is_file():
        return None
    from fer_edge.runtime.formats.spec_reader import read_spec  # here: most starts don't need it

    try:
        return other if _is_same_model(read_spec(path), read_spec(other)) else None
    except FerEdgeError:  # a file that can't be read replaces nothing
        return None


def check_suffix(path: Path, names: Iterable[str] = ENGINES) -> None:
    """See that one of the engines reads files like this one.

    Raises:
        ModelError: none does; it names the suffixes that they read.
    """
    first, *others = names
    suffixes = sorted({s for name in (first, *others) for s in ENGINES[name].suffixes})
    if model_type(path) in suffixes:
        return
    subject = "no backend reads" if others else f"{first} does not read"
    message = f"{path}: {subject} {path.suffix or 'a file without suffix'}"
    message += f", only {', '.join(suffixes)}"
    if not others and model_type(path) in ENGINES[first].substitutes:
        message += f": fer export --format {first} makes one, and --model names it"
    raise ModelError(message)


def unsupported_reason(name: str, precision: Precision, machine: str) -> str | None:
    """Why an engine isn't offered for a model on a machine (`platform.machine()`); None: it is."""
    return ENGINES[name].unsupported_on_arm.get(precision) if machine in ARM else None


def install_advice(path: Path) -> str:
    """What to do where no installed engine reads a model."""
    commands = [
        install_command(engine.package, engine.extra)
        for engine in ENGINES.values()
        if model_type(path) in engine.suffixes
    ]
    advice = f"no engine that works here reads it: {', or '.join(commands)}"
    for name, engine in ENGINES.items():
        if model_type(path) in engine.substitutes:
            advice += f"; or fer export --format {name}, where PyTorch is, makes a model for {name}"
    return advice


def _is_same_model(one: ModelSpec, other: ModelSpec) -> bool:
    precision = one.quantization.precision
    return (
        precision != "int8"
        and precision == other.quantization.precision
        and one.source_sha256 is not None
        and one.source_sha256 == other.source_sha256
    )
