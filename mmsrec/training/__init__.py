"""Training: objectives, steps, checkpoints, early stopping."""
