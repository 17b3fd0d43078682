"""The command `fer`: parse, import late, call, print.

Results go to standard output, everything else to standard error. Exit codes: 0 done, 1 a named
failure or Ctrl-C, 2 wrong usage.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import warnings
from pathlib import Path

import click

from fer_edge import __version__
from fer_edge.commands import benchmark, doctor, evaluate, export, infer, info, train
from fer_edge.commands.console import complain
from fer_edge.errors import ConfigError, FerEdgeError


class Group(click.Group):
    """Commands in the order they are given in, each with its whole first sentence."""

    def format_commands(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        """Click would sort by the alphabet, and cut the sentence at the end of a line."""
        commands = self.commands.items()
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, one.get_short_help_str(limit=200)) for name, one in commands]
            )

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Without a command: help and exit code 2, in which versions of Click differ."""
        if not args:
            print(ctx.get_help())
            ctx.exit(2)
        return super().parse_args(ctx, args)


COMMANDS = (
    *(infer.infer, info.info, doctor.doctor, benchmark.benchmark),
    Group("detector", commands=[info.install], help="What finds the faces in pictures."),
    *(train.train, train.average, evaluate.evaluate, export.export, export.parity),
    Group("data", commands=[train.inspect], help="Look at training data."),
)


@click.group(
    cls=Group,
    commands=COMMANDS,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 110,
        "show_default": True,
    },
)
@click.version_option(__version__, message="%(version)s", help="Print the version.")
def app() -> None:
    """Read facial expressions on small boards, with the same answer as PyTorch."""


def main() -> None:
    """Run the command; failures end in one line on standard error, never in a traceback."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by who started it
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 - until the end
        # a file's name may hold what the terminal's encoding can't
        getattr(sys, name).reconfigure(errors="backslashreplace")
    if threading.current_thread() is threading.main_thread():
        # a service that is stopped ends as one who presses Ctrl-C does: what was done is kept
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    # of damage that Pillow reads in spite of; what it can't is a SourceError
    warnings.filterwarnings("ignore", module=r"PIL\.")
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
