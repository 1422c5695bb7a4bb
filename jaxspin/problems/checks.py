"""What the problems refuse: numbers for which they have no answer."""

from typing import Any

from jaxspin.couplings import finite, finite_and_not_negative, finite_and_positive, holds

_CONDITIONS = {
    "finite": finite,
    "positive": finite_and_positive,
    "zero or more": finite_and_not_negative,
}


def check_numbers(problem: Any, **conditions: str) -> None:
    """`ValueError` where a number of the problem is not what its condition says; traced ones pass."""
    for name, condition in conditions.items():
        value = getattr(problem, name)
        if not holds(_CONDITIONS[condition], value):
            kind = type(problem)
            raise ValueError(
                f"{kind.__name__} has no answer for {name} = {value}; give one that is {condition}, such as "
                f"{kind.__dataclass_fields__[name].default:g}."
            )


def check_sites(problem: Any, name: str, least: int) -> None:
    """`ValueError` for fewer sites or cells than `least`."""
    if getattr(problem, name) < least:
        raise ValueError(f"{name} = {getattr(problem, name)} is too few for {type(problem).__name__}; give {least}.")
