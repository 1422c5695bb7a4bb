"""Benchmarks: scripts that time, print a table and write it as JSON with the device and versions."""
