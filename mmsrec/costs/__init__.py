"""What a run will cost, from measured rates, and what a run has cost, from its measurements."""
