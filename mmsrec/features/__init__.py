"""The steps from the content of items to vectors, which are frames, encoders, extraction and feature files."""
