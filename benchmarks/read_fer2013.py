"""Time the reading of FER2013, from the file and from the cache.

python -m benchmarks.read_fer2013 FILE
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from fer_edge.train.data.loading import read_data

with tempfile.TemporaryDirectory() as folder:
    os.environ["FER_EDGE_CACHE"] = folder
    for kind in ("file", "cache", "cache"):
        start = time.perf_counter()
        data = read_data(Path(sys.argv[1]))
        print(f"{kind}: {time.perf_counter() - start:.2f} s, {data.counts()}")
