"""Arithmetic on arrays in the form that XLA makes fast: translations, 3-vectors, spinors, columns, stated precision."""
