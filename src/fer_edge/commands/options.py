"""Options that several commands share; their choices come from the library's own tables."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, TypeVar

import typer

from fer_edge.errors import ConfigError
from fer_edge.runtime.backends import DEVICES
from fer_edge.runtime.backends.registry import ENGINES
from fer_edge.runtime.formats.model_files import BUNDLED, DEFAULT_MODEL

Name = TypeVar("Name", bound=str)
Command = TypeVar("Command", bound=Callable[..., None])

INPUT, MODEL, DETECTION, VIDEO = "Input", "Model", "Face detection", "Video"
TRAINING, TARGETS, QUANTIZATION = "Training", "Targets", "Quantization"
THRESHOLDS, MEASUREMENT, OUTPUT = "Thresholds", "Measurement", "Output"
"""Panels of the help."""

MODEL_NAMES = "|".join(BUNDLED)
PACKAGED = "; ".join(f"{name}: {text}" for name, text in BUNDLED.items())
EXPORTED_MODEL = (
    f"A model in the package ({PACKAGED}) or an exported file. By default {DEFAULT_MODEL}."
)
"""Help of a model that is given by name or as an exported file."""

if TYPE_CHECKING:
    Backend: TypeAlias = str
    Device: TypeAlias = str
else:
    Backend = Literal["auto", *ENGINES]
    Device = Literal["auto", *DEVICES]


def option(panel: str, *names: str, help: str, **more: Any) -> Any:
    """An option in a panel of the help.

    A path is not checked while parsing: the function that opens it reports what is wrong with it.
    """
    return typer.Option(*names, help=help, rich_help_panel=panel, readable=False, **more)


def argument(help: str, **more: Any) -> Any:
    """A positional argument; a path is not checked while parsing."""
    return typer.Argument(help=help, readable=False, **more)


def group(help: str) -> typer.Typer:
    """A command that has further commands."""
    app = single()
    app.callback(help=help)(lambda: None)
    return app


def single() -> typer.Typer:
    """The application that holds one command, or those of a group."""
    return typer.Typer(
        add_completion=False,
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def command(app: typer.Typer, *examples: str, name: str | None = None) -> Callable[..., Any]:
    """Register a function as a command, with examples under its help."""

    def register(function: Command) -> Command:
        paragraphs = inspect.cleandoc(function.__doc__ or "").split("\n\n")
        text = "\n\n".join(paragraph.replace("\n", " ") for paragraph in paragraphs)
        epilog = "Examples:\n\n" + "\n".join(f"  {example}" for example in examples)
        app.command(name, help=text, epilog=epilog)(function)
        return function

    return register


def is_typed(context: typer.Context, name: str) -> bool:
    """Whether the user set an option, rather than its default or a recipe."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def split_list(option: str, given: Sequence[str], known: Sequence[Name]) -> list[Name]:
    """The names given by repeated options and with commas between them, each once.

    Raises:
        ConfigError: a name is unknown.
    """
    names = dict.fromkeys(name.strip() for text in given for name in text.split(","))
    if unknown := [name for name in names if name not in known]:
        raise ConfigError(f"{option} {unknown[0]!r}: choose from {', '.join(known)}")
    return [name for name in known if name in names]


Json = Annotated[bool, option(OUTPUT, "--json", help="Print JSON, one document per line.")]
BackendOption = Annotated[
    Backend,
    option(
        MODEL,
        "--backend",
        help="Inference engine. auto: the first installed one that reads the file.",
    ),
]
DeviceOption = Annotated[
    Device,
    option(
        MODEL,
        "--device",
        help="Device to run on. auto: the CPU; the others may be faster and less exact.",
    ),
]
DetectorOption = Annotated[
    str | None,
    option(
        DETECTION,
        "--detector",
        metavar="built-in|yunet|FILE",
        help="Face detector: the built-in one, YuNet (fer detector install), or a file of fer "
        "detector export. By default what FER_EDGE_DETECTOR names, else the built-in one (YuNet "
        "where no engine reads that).",
    ),
]
