"""Quenches of spins in metals and the orders they end in."""
