"""Results become tables, figures and one page, with the paper's numbers next to the measured numbers."""
