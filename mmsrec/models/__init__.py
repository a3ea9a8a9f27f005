"""One file a model, and the registry of them all."""
