"""The cost of a run: before it, from measured rates, and after it, from its measurements."""
