"""The solvers against what is known."""
