"""Every failure that fer-edge names.

```
FerEdgeError
├── ConfigError         a setting that can't be (exit code 2, as any wrong usage)
├── MissingExtraError   an optional package isn't installed
├── SpecError           the contract inside a model
│   ├── MissingSpecError
│   ├── NewerSpecError
│   └── DamagedSpecError
├── ModelError          a model file that can't be read or run
├── DeviceError         a device or backend that this machine doesn't have
├── DataError           training or evaluation data
├── SourceError         a picture, folder or pattern to read faces from
└── ParityError         an exported file that doesn't answer as its checkpoint
```
"""

from __future__ import annotations


class FerEdgeError(Exception):
    """Base of every error that fer-edge raises on purpose; its text says what to do."""


class ConfigError(FerEdgeError, ValueError):
    """A setting is out of range, unknown, or contradicts another."""


def wanted(package: str, extra: str | None) -> str:
    """What pip is to install for a package: the extra that brings it; None: itself."""
    return f"'fer-edge[{extra}]'" if extra else package


class MissingExtraError(FerEdgeError, ImportError):
    """A package isn't installed: an optional one, or, without an extra, one of the base install
    that a board may leave out."""

    def __init__(self, package: str, extra: str | None, said: str | None = None) -> None:
        self.package = package
        self.extra = extra
        super().__init__(said or f"{package} isn't installed: pip install {wanted(package, extra)}")


class SpecError(FerEdgeError):
    """The contract inside a model is missing or can't be used."""


class MissingSpecError(SpecError):
    """The file carries no fer-edge spec: nothing about it may be guessed."""


class NewerSpecError(SpecError):
    """The spec was written by a later fer-edge than this one."""


class DamagedSpecError(SpecError):
    """The spec is there but isn't valid."""


class ModelError(FerEdgeError):
    """A model file can't be read, or isn't of a kind that can be used here."""


class DeviceError(FerEdgeError):
    """The device or backend asked for isn't on this machine."""


class DataError(FerEdgeError):
    """Training or evaluation data is wrong; the text names the file and the row."""


class SourceError(FerEdgeError):
    """A picture, folder or pattern can't be read."""


class ParityError(FerEdgeError):
    """An exported file doesn't answer as its checkpoint does; the text names each bar missed."""
