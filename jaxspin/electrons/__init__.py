"""Electrons at frozen spins: the model and its solvers."""
