"""Real magnets."""
