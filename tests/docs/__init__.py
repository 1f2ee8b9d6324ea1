"""Documents against code."""
