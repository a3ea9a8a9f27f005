"""Results become tables, charts and one page, the paper's numbers beside the measured ones."""
