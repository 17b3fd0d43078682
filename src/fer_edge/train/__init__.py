"""From faces to a checkpoint, and from a model to its metrics."""

from fer_edge.callable_package import make_callable

make_callable(__name__)
