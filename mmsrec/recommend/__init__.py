"""Recommendations of a trained model: the best next items of users, and a page for people."""
