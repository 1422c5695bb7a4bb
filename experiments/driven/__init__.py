"""Channels driven by a voltage or a current."""
