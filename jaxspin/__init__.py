"""Differentiable dynamics of classical spins in metals."""
