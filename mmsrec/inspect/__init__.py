"""Describes an artifact: `python -m mmsrec.inspect ARTIFACT`."""
