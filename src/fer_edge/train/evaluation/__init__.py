"""Metrics of a model on a split, and their plots."""
