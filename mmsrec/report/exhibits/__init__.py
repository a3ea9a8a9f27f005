"""One file an exhibit: a table or a figure of a report."""
