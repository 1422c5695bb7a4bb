"""Gradients through the dynamics."""
