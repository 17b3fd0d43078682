"""The command `fer`: parse, import late, call, print.

Results go to standard output, everything else to standard error. Exit codes: 0 done, 1 a named
failure or Ctrl-C, 2 wrong usage.
"""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from fer_edge import __version__
from fer_edge.commands.console import complain, note
from fer_edge.commands.interrupts import handle_signals
from fer_edge.errors import ConfigError, FerEdgeError

PANELS = {
    "Read faces": ("infer", "cluster", "serve", "info", "doctor", "benchmark", "detector"),
    "Train": ("train", "average", "evaluate", "data"),
    "Export": ("export", "parity"),
}
"""The commands as `fer --help` lists them; each is the `app` of the module of its name."""


class LazyGroup(TyperGroup):
    """Imports a command's module only when that command is used: each start costs less."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self._panels = {name: panel for panel, names in PANELS.items() for name in names}
        # what the base class suggests for a misspelt command
        self.commands = dict.fromkeys(self._panels)  # type: ignore[assignment]

    def get_command(self, _: Any, cmd_name: str) -> Any:
        """Import and build a command; None: there is none of that name."""
        if cmd_name not in self._panels:
            return None
        command: Any = self.commands[cmd_name]
        if command is None:
            module = importlib.import_module(f"fer_edge.commands.{cmd_name}")
            command = self.commands[cmd_name] = typer.main.get_command(module.app)
            command.name, command.rich_help_panel = cmd_name, self._panels[cmd_name]
        return command

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        """Run the command; Ctrl-C ends it with exit code 1."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            print("\ninterrupted", file=sys.stderr)
            raise typer.Exit(1) from None


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Examples:\n\n  fer infer photos/\n  fer train --data my_faces --output run\n"
    "  fer export run/model.safetensors --format onnx --data my_faces",
)


def _print_version(is_requested: bool) -> None:
    if is_requested:
        print(__version__)
        raise typer.Exit


@app.callback()
def fer(
    version: Annotated[
        bool,
        typer.Option(
            "--version", "-V", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Recognize facial expressions on small boards, with the same predictions as PyTorch."""


def main() -> None:
    """Run the command; failures end in one line on standard error, never in a traceback."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # the parent process closed it
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 - until the end
        # a file name may hold characters that the terminal's encoding lacks
        getattr(sys, name).reconfigure(errors="backslashreplace")
    handle_signals()
    # Pillow warns of damage that it can read in spite of; what it cannot read is a SourceError
    warnings.filterwarnings("ignore", module=r"PIL\.")
    try:
        sys.exit(app(standalone_mode=False, prog_name="fer"))
    except typer.TyperException as error:
        _print_usage_error(error)
        sys.exit(error.exit_code)
    except ConfigError as error:
        complain(error)
        sys.exit(2)
    except BrokenPipeError:
        # the reader left; what is still buffered must not raise again at exit
        for stream in (sys.stdout, sys.stderr):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        sys.exit(1)
    except (FerEdgeError, OSError) as error:
        complain(error)
        sys.exit(1)
    except Exception as error:
        if os.environ.get("FER_EDGE_TRACEBACK"):
            raise
        complain(error)
        print("this is a bug in fer-edge: FER_EDGE_TRACEBACK=1 shows where", file=sys.stderr)
        sys.exit(1)


def _print_usage_error(error: typer.TyperException) -> None:
    """Print what is wrong with the command line; nothing where the help was printed instead."""
    message, context = error.format_message(), getattr(error, "ctx", None)
    if not message:
        return
    if context is not None:
        print(f"{context.get_usage()}\nTry '{context.command_path} --help'.\n", file=sys.stderr)
    for line in f"Error: {message}".split("\n"):
        note(line)
