"""Train a face detector: labels, pieces of photographs, network, loss, evaluation."""
