"""Parts of models: layers, objectives, losses, packing."""
