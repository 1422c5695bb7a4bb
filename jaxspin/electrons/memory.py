"""A warning before a solver takes more memory than most machines have to spare."""

import warnings

from jaxspin.warned import caller

_PLENTY = 4e9


def warn_of_memory(what: str, needed: float, remedy: str) -> None:
    """Warn where `what` takes many gigabytes: `needed` bytes in single precision. `remedy` says what to do."""
    if needed > _PLENTY:
        warnings.warn(
            f"{what} takes about {needed / 1e9:.0f} GB of memory in single precision, twice that in double; {remedy}.",
            stacklevel=caller(),
        )
