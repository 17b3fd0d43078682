"""Architectures, quantized layers and checkpoints."""
