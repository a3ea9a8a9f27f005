"""One file a model, and the registry of all models."""
