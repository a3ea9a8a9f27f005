"""Parts that models are built from: layers, losses, packing."""
