"""Checks of settings, by name, that end with the remedy."""

from typing import Any


def check_positive(settings: Any, *names: str) -> None:
    """Raise `ValueError` where a setting is not above zero."""
    for name in names:
        if not getattr(settings, name) > 0:
            raise ValueError(f"{name} must be positive, got {getattr(settings, name)}; see --help for the default.")


def check_counts(settings: Any, *names: str) -> None:
    """Raise `ValueError` where a setting is below one."""
    for name in names:
        if getattr(settings, name) < 1:
            raise ValueError(f"{name} must be at least 1, got {getattr(settings, name)}; see --help for the default.")
