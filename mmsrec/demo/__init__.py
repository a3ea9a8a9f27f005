"""The demo world: generated raw files in the sources' own formats."""
