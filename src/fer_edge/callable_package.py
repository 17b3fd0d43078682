"""Packages that can be called: `fer_edge.train(...)` beside `fer_edge.train.fit`.

Python binds a subpackage to its parent under its own name once anything imports it, so a function
of the same name would be replaced. The package itself is made callable instead.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from types import ModuleType
from typing import Any


class CallablePackage(ModuleType):
    """A package whose call is the function of `fer_edge.library` that has the package's name."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call that function; its arguments, result and errors."""
        return self._function(*args, **kwargs)

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(self._function)

    @property
    def _function(self) -> Any:
        # the one import upwards, by name and at the call: what the package holds never needs it
        library = importlib.import_module("fer_edge.library")
        return getattr(library, self.__name__.rpartition(".")[2])


def make_callable(name: str) -> None:
    """Make the imported package `name` callable."""
    sys.modules[name].__class__ = CallablePackage
