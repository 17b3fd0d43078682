"""Every failure that fer-edge names.

```
FerEdgeError
├── ConfigError         a setting is invalid (exit code 2, as any wrong usage)
├── MissingExtraError   an optional package is not installed
├── SpecError           the spec inside a model
│   ├── MissingSpecError
│   ├── NewerSpecError
│   └── DamagedSpecError
├── ModelError          a model file that cannot be read or run
├── DeviceError         a device or backend that this machine does not have
├── DataError           training or evaluation data
├── SourceError         an image, video, folder or pattern to read faces from
├── ClusterError        workers of a cluster that cannot go on
└── ParityError         an exported file that does not predict as its checkpoint
```
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fer_edge.text import printable, shorten

MAX_LENGTH = 2000
"""Characters of an error's text: of a longer one, the beginning and the end are shown."""


class FerEdgeError(Exception):
    """Base of every error that fer-edge raises on purpose; its text says what to do.

    The text is one line: control characters in the names that it quotes are shown as escapes.
    """

    def __str__(self) -> str:
        return printable(shorten(super().__str__(), MAX_LENGTH))


class ConfigError(FerEdgeError, ValueError):
    """A setting is out of range, unknown, or contradicts another."""


class MissingExtraError(FerEdgeError, ImportError):
    """A package is not installed.

    Args:
        package: name of the package.
        extra: the extra of fer-edge that brings it; None: a package of the base install, which a
            board may lack.
        message: replaces the default text.
    """

    def __init__(self, package: str, extra: str | None, message: str | None = None) -> None:
        self.package = package
        self.extra = extra
        super().__init__(
            message or f"{package} is not installed: {install_command(package, extra)}"
        )


class SpecError(FerEdgeError):
    """The spec inside a model is missing or invalid."""


class MissingSpecError(SpecError):
    """The file carries no fer-edge spec, so nothing about it is known."""


class NewerSpecError(SpecError):
    """The spec was written by a later version of fer-edge."""


class DamagedSpecError(SpecError):
    """The spec is present but invalid."""


class ModelError(FerEdgeError):
    """A model file cannot be read, or cannot be used here."""


class DeviceError(FerEdgeError):
    """This machine does not have the requested device or backend."""


class DataError(FerEdgeError):
    """Training or evaluation data is invalid; the text names the file and the row."""


class SourceError(FerEdgeError):
    """An image, video, folder or pattern cannot be read."""


class ClusterError(FerEdgeError):
    """Workers of a cluster cannot go on, or were lost; what they had finished is kept."""


class ParityError(FerEdgeError):
    """An exported file does not predict as its checkpoint; the text names each missed threshold."""


def install_command(package: str, extra: str | None) -> str:
    """The command that installs a package, for a release and for a clone of the repository."""
    if extra is None:
        return f"pip install {package}"
    return f"pip install 'fer-edge[{extra}]' (in a clone: pip install '.[{extra}]')"


@contextmanager
def requires_extra(extra: str) -> Iterator[None]:
    """Turn a missing import inside the block into a `MissingExtraError` that names `extra`."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        if package in ("", "fer_edge"):
            raise
        raise MissingExtraError(package, extra) from None
