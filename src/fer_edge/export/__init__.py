"""From a checkpoint to a file for the board, and the proof that it predicts as PyTorch does."""

from fer_edge.callable_package import make_callable

make_callable(__name__)
