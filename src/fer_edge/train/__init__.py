"""From faces to a checkpoint, and from a checkpoint to figures."""
