"""Many images on many machines: Ray Data, in the extra `ray`.

```python
from fer_edge.cluster import infer

totals = infer(["photos/"], "results/")
print(totals.images, totals.faces, totals.failed)
```
"""

from __future__ import annotations

from fer_edge.errors import requires_extra

with requires_extra("ray"):
    from fer_edge.cluster.inference import Totals, infer

__all__ = ["Totals", "infer"]
