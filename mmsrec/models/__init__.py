"""One file for each model, and the registry of all models."""
