"""Facial expressions on small boards, with the same answer as PyTorch.

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

if TYPE_CHECKING:
    from fer_edge.errors import FerEdgeError
    from fer_edge.runtime.recognizer import Recognizer
    from fer_edge.runtime.results import Face, Result
    from fer_edge.spec import ModelSpec

__version__ = "0.1.0"
__all__ = ["Face", "FerEdgeError", "ModelSpec", "Recognizer", "Result", "__version__"]

_HOMES = {
    "Face": "fer_edge.runtime.results",
    "FerEdgeError": "fer_edge.errors",
    "ModelSpec": "fer_edge.spec",
    "Recognizer": "fer_edge.runtime.recognizer",
    "Result": "fer_edge.runtime.results",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for: `import fer_edge` alone loads nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'fer_edge' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
