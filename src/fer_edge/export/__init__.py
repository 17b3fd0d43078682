"""From a checkpoint to a file for the board, and the proof that it answers alike."""
