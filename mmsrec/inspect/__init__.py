"""A look into an artifact: `python -m mmsrec.inspect ARTIFACT`."""
