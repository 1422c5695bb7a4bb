"""Old names keep working for one release, with a `DeprecationWarning` that says the new ones."""

import functools
import inspect
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

# The warning is about the first line outside of these, which make and read our classes.
_BETWEEN = {"jaxspin", "equinox", "jaxtyping", "beartype", "importlib"}


def warn(old: str, new: str) -> None:
    """Say that `old` is now `new`, at the line that used it."""
    frame, level = inspect.currentframe(), 1
    while frame is not None and frame.f_globals.get("__name__", "").split(".")[0] in _BETWEEN:
        frame, level = frame.f_back, level + 1
    warnings.warn(f"{old} is now {new}.", DeprecationWarning, stacklevel=level)


def keyword(old: str, new: str) -> Callable[[F], F]:
    """Let a function, or a dataclass when it is made, take the argument `new` under its old name as well."""

    def decorate(function: Any) -> Any:
        name = function.__qualname__.removesuffix(".__init__")
        original = function.__init__ if isinstance(function, type) else function

        @functools.wraps(original)
        def call(*args, **kwargs):
            if old in kwargs:
                warn(f"{name}({old}=...)", f"{name}({new}=...)")
                if new in kwargs:
                    raise TypeError(f"{name} got {new}, and {old}, its old name; give {new} alone.")
                kwargs[new] = kwargs.pop(old)
            return original(*args, **kwargs)

        if not isinstance(function, type):
            return call
        setattr(function, "__init__", call)  # noqa: B010
        return function

    return decorate


def attribute(owner: str, old: str, new: str) -> Any:
    """An attribute or method of the class `owner` under its old name."""

    def get(self):
        warn(f"{owner}.{old}", f"{owner}.{new}")
        return getattr(self, new)

    return property(get, doc=f"The old name of `{new}`.")
