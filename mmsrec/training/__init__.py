"""The training of models, with steps, checkpoints and early stopping."""
