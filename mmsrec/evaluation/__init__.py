"""Ranks against all items, and what is computed from them."""
