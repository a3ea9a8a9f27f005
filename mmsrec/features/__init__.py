"""Item content to vectors: frames, encoders, extraction and the feature store."""
