"""The steps from interactions to sequences, which are the k-core, the time order, leave-one-out and statistics."""
