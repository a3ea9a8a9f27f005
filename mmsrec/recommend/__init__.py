"""Recommendations from a trained model: to known users, from histories in a file, and of items that are new."""
