"""Ranks against all items, and the metrics computed from them."""
