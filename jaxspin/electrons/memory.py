"""A word before a solver takes more memory than most machines have to spare."""

import warnings

_PLENTY = 4e9


def warn_of_memory(what: str, needed: float, remedy: str) -> None:
    """Warn of `needed` bytes (in single precision) where they are many gigabytes."""
    if needed > _PLENTY:
        warnings.warn(
            f"{what} takes about {needed / 1e9:.0f} GB of memory in single precision, twice that in double; {remedy}.",
            stacklevel=4,
        )
