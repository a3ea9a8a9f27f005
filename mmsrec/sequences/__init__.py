"""Interactions become sequences: k-core, time order with a stated tie rule, leave-one-out, statistics."""
