"""Pairs of vision and text features: shards of Parquet files, written, joined and read as a stream."""
