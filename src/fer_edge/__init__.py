"""Facial expressions on small boards, with the same predictions as PyTorch.

```python
from fer_edge import Recognizer

recognizer = Recognizer.load()
for result in recognizer.stream("photos/"):
    for face in result.faces:
        print(result.source, face.emotion, face.confidence)
```
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from fer_edge.telemetry import disable_telemetry

if TYPE_CHECKING:
    from fer_edge.errors import (
        ClusterError,
        ConfigError,
        DamagedSpecError,
        DataError,
        DeviceError,
        FerEdgeError,
        MissingExtraError,
        MissingSpecError,
        ModelError,
        NewerSpecError,
        ParityError,
        SourceError,
        SpecError,
    )
    from fer_edge.library import evaluate, export, train
    from fer_edge.runtime.detection.nearby import Nearby
    from fer_edge.runtime.follower import Follower
    from fer_edge.runtime.inputs.video import Cut
    from fer_edge.runtime.recognizer import Recognizer
    from fer_edge.runtime.results import Face, Result
    from fer_edge.runtime.tracking import Tracker
    from fer_edge.spec import ModelSpec

__version__ = "0.1.0"
__all__ = [
    "ClusterError",
    "ConfigError",
    "Cut",
    "DamagedSpecError",
    "DataError",
    "DeviceError",
    "Face",
    "FerEdgeError",
    "Follower",
    "MissingExtraError",
    "MissingSpecError",
    "ModelError",
    "ModelSpec",
    "Nearby",
    "NewerSpecError",
    "ParityError",
    "Recognizer",
    "Result",
    "SourceError",
    "SpecError",
    "Tracker",
    "__version__",
    "evaluate",
    "export",
    "train",
]

_MODULES = {
    "Cut": "fer_edge.runtime.inputs.video",
    "Face": "fer_edge.runtime.results",
    "Follower": "fer_edge.runtime.follower",
    "ModelSpec": "fer_edge.spec",
    "Nearby": "fer_edge.runtime.detection.nearby",
    "Recognizer": "fer_edge.runtime.recognizer",
    "Result": "fer_edge.runtime.results",
    "Tracker": "fer_edge.runtime.tracking",
    "evaluate": "fer_edge.library",
}
_PACKAGES = ("export", "train")
"""Packages that are called as functions, see `fer_edge.callable_package`."""

disable_telemetry()  # before anything of this package imports an engine


def __getattr__(name: str) -> Any:
    """Load a public name on first use: `import fer_edge` alone loads nothing."""
    if name in _PACKAGES:
        return importlib.import_module(f"fer_edge.{name}")
    module = _MODULES.get(name) or ("fer_edge.errors" if name in __all__ else None)
    if module is None:
        raise AttributeError(f"module 'fer_edge' has no attribute {name!r}")
    return getattr(importlib.import_module(module), name)


def __dir__() -> list[str]:
    return sorted(__all__)
