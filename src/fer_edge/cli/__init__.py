"""The command `fer`: parse, import late, call, print.

Results go to standard output, everything else to standard error. Exit codes: 0 done, 1 a named
failure, 2 wrong usage.
"""

from __future__ import annotations

import os
import sys
import warnings
from typing import Annotated

import typer

from fer_edge import __version__
from fer_edge.cli import infer, prove, read, teach
from fer_edge.cli.console import complain
from fer_edge.errors import ConfigError, FerEdgeError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Read facial expressions on small boards, with the same answer as PyTorch.",
)
for command in (
    *(infer.infer, read.info),
    *(teach.train, prove.evaluate, prove.export, prove.parity),
):
    app.command()(command)
data_app = typer.Typer(no_args_is_help=True, help="Look at training data.")
data_app.command()(teach.inspect)
app.add_typer(data_app, name="data")
detector_app = typer.Typer(no_args_is_help=True, help="What finds the faces in pictures.")
detector_app.command()(read.install)
app.add_typer(detector_app, name="detector")


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        print(__version__)
        raise typer.Exit


@data_app.callback()
@detector_app.callback()
def _group() -> None:
    """Keep a command one of its own while it is the only one of its group."""


def main() -> None:
    """Run the command; failures end in one line on standard error, never in a traceback."""
    for stream in (sys.stdout, sys.stderr):
        # a file's name may hold what the terminal's encoding can't
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    # said as a SourceError by the one who opens the picture
    warnings.filterwarnings("ignore", message="Image size .* exceeds limit")
    try:
        app()
    except ConfigError as error:
        complain(error)
        sys.exit(2)
    except BrokenPipeError:
        # the reader left; what is still buffered mustn't complain at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
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
