"""Report: one page that says what a run searched and found."""
