"""The settings in params.yaml, with one file for each topic."""
