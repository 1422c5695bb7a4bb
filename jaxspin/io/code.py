"""Which code a function has: a fingerprint that is the same in another process, and changes with the function."""

import dataclasses
import functools
import hashlib
import os
import sys
import types
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from jaxspin.devices.hosts import to_host


def identity_of(function: Any) -> dict[str, str]:
    """What makes a function another one: its name, the version of Python, and the `fingerprint` of its code."""
    return {"name": name_of(function), "python": _python(), "code": fingerprint(function)}


def name_of(function: Any) -> str:
    """ "module.function", or the class of what is called."""
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}.{named.__qualname__}"


def fingerprint(value: Any) -> str:
    """A text for functions and what they hold, equal where they would do the same on this version of Python.

    Of a function it takes the bytecode, constants, defaults, the values it closes over and those of the global names it
    uses; of functions and classes of its own package, all of theirs too. It leaves out comments, docstrings, lines and
    files, and code of other packages. Of arrays it takes type, shape and bits.
    """
    digest = hashlib.sha256()
    _Reader(digest.update, _package(value)).read(value)
    return digest.hexdigest()[:16]


class _Reader:
    """Feeds a digest with all parts of a value. A part met before is told by its number, so that circles end."""

    def __init__(self, update: Callable[[bytes], Any], package: str):
        self._update, self._package = update, package
        self._met: dict[int, int] = {}
        self._alive: list[Any] = []  # or another object could get the id of one that is gone

    def say(self, *words: Any) -> None:
        self._update("\0".join(map(str, words)).encode() + b"\0")

    def read(self, value: Any) -> None:
        if value is None or isinstance(value, bool | int | float | complex | str | bytes):
            return self.say(type(value).__name__, repr(value))
        if id(value) in self._met:
            return self.say("met", self._met[id(value)])
        self._met[id(value)] = len(self._met)
        self._alive.append(value)
        self._read(value)

    def _read(self, value: Any) -> None:
        if isinstance(value, np.ndarray | np.generic | jax.Array):
            self._array(value)
        elif isinstance(value, types.CodeType):
            self._code(value, None)
        elif isinstance(value, types.FunctionType):
            self._function(value)
        elif isinstance(value, types.MethodType):
            self._all("method", value.__func__, value.__self__)
        elif isinstance(value, functools.partial):
            self._all("partial", value.func, value.args, value.keywords)
        elif isinstance(value, type):
            self._class(value)
        elif isinstance(value, types.ModuleType | types.BuiltinFunctionType):
            self.say(value.__name__)
        elif isinstance(value, Mapping):
            self._all("mapping", *(part for pair in value.items() for part in pair))
        elif isinstance(value, set | frozenset):
            self._all("set", *sorted(value, key=repr))
        elif isinstance(value, list | tuple):
            self._all(type(value).__name__, *value)
        elif isinstance(value, os.PathLike):
            self.say("path", os.fspath(value))
        elif callable(getattr(value, "__wrapped__", None)):  # jitted functions and other decorations
            self._all(type(value).__qualname__, value.__wrapped__)
        elif dataclasses.is_dataclass(value):
            self._all("object", type(value), *(getattr(value, f.name, None) for f in dataclasses.fields(value)))
        else:
            self._all("object", type(value), getattr(value, "__dict__", {}))

    def _all(self, kind: str, *parts: Any) -> None:
        self.say(kind, len(parts))
        for part in parts:
            self.read(part)

    def _array(self, value: Any) -> None:
        if jax.dtypes.issubdtype(value.dtype, jax.dtypes.prng_key):
            value = jax.random.key_data(value)
        array = to_host(value)
        self.say("array", array.dtype, array.shape)
        self._update(array.tobytes())

    def _function(self, value: types.FunctionType) -> None:
        self.say("function", value.__name__)
        if not self._own(value):
            return self.say(name_of(value))
        self._code(value.__code__, value.__doc__)
        cells = [_content(cell) for cell in value.__closure__ or ()]
        self._all("holds", value.__defaults__, value.__kwdefaults__, *cells)
        for name in sorted(_names(value.__code__) & set(value.__globals__)):
            self._all(name, value.__globals__[name])

    def _code(self, code: types.CodeType, doc: str | None) -> None:
        constants = [None if isinstance(x, str) and x == doc else x for x in code.co_consts]
        self._all("code", code.co_code, code.co_names, code.co_varnames, code.co_freevars, *constants)

    def _class(self, value: type) -> None:
        self.say("class", f"{value.__module__}.{value.__qualname__}")
        if self._own(value):
            members = {
                k: v for k, v in vars(value).items() if isinstance(v, types.FunctionType | property | staticmethod)
            }
            self._all("members", *(v.fget if isinstance(v, property) else v for _, v in sorted(members.items())))

    def _own(self, value: Any) -> bool:
        return _root(value) == self._package


def _package(value: Any) -> str:
    """The package whose changes count: that of the first function found inside."""
    while callable(getattr(value, "__wrapped__", None)):
        value = value.__wrapped__
    if isinstance(value, functools.partial):
        return _package(value.func)
    if isinstance(value, types.MethodType):
        return _package(value.__func__)
    return _root(value if isinstance(value, types.FunctionType | type) else _first_function(value))


def _first_function(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            if isinstance(function := getattr(value, field.name), types.FunctionType):
                return function
    return type(value)


def _root(value: Any) -> str:
    return (getattr(value, "__module__", None) or "").split(".")[0]


def _names(code: types.CodeType) -> set[str]:
    inner = (_names(part) for part in code.co_consts if isinstance(part, types.CodeType))
    return set(code.co_names).union(*inner)


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None


def _python() -> str:
    return ".".join(map(str, sys.version_info[:2]))
