"""Functions that are equal by what they do: a lambda written twice, or made anew in every call, is compiled once.

jit knows functions by identity. Here two are the same where their code is, and everything it uses (closure,
defaults, the globals it names) is equal and cannot change.
"""

import dataclasses
import enum
import functools
import sys
import types
from collections import OrderedDict
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jax.core import Tracer

# Functions known, the oldest forgotten first; larger NumPy arrays in a closure are not compared.
_KNOWN: OrderedDict[Any, Any] = OrderedDict()
_MOST_KNOWN = 512
_LARGEST_ARRAY = 2**20
_CONSTANTS = (type(None), bool, int, float, complex, str, bytes, enum.Enum, np.generic, np.dtype)
_LIBRARIES = ("jax", "jaxlib", "equinox", "numpy", "scipy")
_FUNCTIONS = types.FunctionType | functools.partial


class _Changeable(Exception):
    """Something that a function uses may change, or cannot be compared: the function is known by its identity."""


def by_content(tree: Any) -> Any:
    """`tree` with every function and partial in it replaced by the first one seen that does the same.

    Two do the same if their code is equal and so are the closures, defaults, arguments and named globals: constants,
    tuples, NumPy arrays (by value), JAX arrays (by identity: they cannot change), frozen modules of those, functions
    and modules. Where a function uses anything else (a list, a plain object), it stays what it is.
    """
    return jax.tree.map(_known, tree, is_leaf=lambda x: isinstance(x, _FUNCTIONS))


def _known(x: Any) -> Any:
    if not isinstance(x, _FUNCTIONS):
        return x
    try:
        key = _content(x, ())
        same = _KNOWN.setdefault(key, x)
    except (_Changeable, TypeError, ValueError):  # the latter from keys that cannot be hashed or compared
        return x
    _KNOWN.move_to_end(key)
    while len(_KNOWN) > _MOST_KNOWN:
        _KNOWN.popitem(last=False)
    return same


class _Identity:
    """Equal to the same object alone; holds it, so that no other one gets its number."""

    __slots__ = ("value",)

    def __init__(self, value: Any):
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and other.value is self.value

    def __hash__(self) -> int:
        return id(self.value)


def _content(x: Any, within: tuple[Any, ...]) -> Any:
    """A key that is equal for equal x; `within` are the functions whose content this is part of."""
    if isinstance(x, _CONSTANTS):
        # 1, 1.0 and True are equal, and 0.0 and -0.0: their texts are not
        return type(x), repr(x)
    if isinstance(x, types.ModuleType | type | types.BuiltinFunctionType | np.ufunc | jax.Array):
        if isinstance(x, Tracer):
            raise _Changeable
        return _Identity(x)
    if isinstance(x, tuple | frozenset):
        parts = tuple(_content(part, within) for part in x)
        return type(x), frozenset(parts) if isinstance(x, frozenset) else parts
    if isinstance(x, np.ndarray) and x.nbytes <= _LARGEST_ARRAY and x.dtype != object:
        return np.ndarray, x.dtype, x.shape, x.tobytes()
    if isinstance(x, functools.partial):
        keywords = tuple(sorted(x.keywords.items()))
        return type(x), _content(x.func, within), _content(x.args, within), _content(keywords, within)
    if isinstance(x, types.FunctionType):
        return _of_function(x, within)
    if isinstance(x, eqx.Module):
        leaves, structure = jax.tree.flatten(x)
        return structure, tuple(_content(leaf, within) for leaf in leaves)
    if dataclasses.is_dataclass(x) and x.__dataclass_params__.frozen:  # pyright: ignore[reportAttributeAccessIssue]
        return type(x), tuple(_content(getattr(x, field.name), within) for field in dataclasses.fields(x))
    if callable(x) and type(x).__module__.split(".")[0] in _LIBRARIES:
        return _Identity(x)  # a function under jit, vmap and the like, which wraps one for ever
    raise _Changeable


def _of_function(function: types.FunctionType, within: tuple[Any, ...]) -> Any:
    if _is_of_a_module(function):
        return _Identity(function)
    if any(function is outer for outer in within):  # recursion: it names itself
        return "itself", [function is outer for outer in within].index(True)
    within = (*within, function)
    try:
        closure = tuple(cell.cell_contents for cell in function.__closure__ or ())
    except ValueError:  # a cell that is not filled yet
        raise _Changeable from None
    reached = (closure, function.__defaults__, tuple(sorted((function.__kwdefaults__ or {}).items())))
    names = sorted(_names(function.__code__))
    named = [(name, function.__globals__[name]) for name in names if name in function.__globals__]
    # what a module holds under these names counts as well, as in config.width
    modules = [x for x in (*closure, *(value for _, value in named)) if isinstance(x, types.ModuleType)]
    for module in modules:
        of_module = [(name, getattr(module, name)) for name in names if hasattr(module, name)]
        named += of_module
        modules += [x for _, x in of_module if isinstance(x, types.ModuleType) and all(x is not m for m in modules)]
    return function.__code__, _content(reached, within), _content(tuple(named), within)


def _names(code: types.CodeType) -> set[str]:
    inner = (_names(constant) for constant in code.co_consts if isinstance(constant, types.CodeType))
    return set(code.co_names).union(*inner)


def _is_of_a_module(function: types.FunctionType) -> bool:
    """Whether it is what its module, a file, calls by its name: it stays so."""
    module = sys.modules.get(function.__module__ or "")
    return function.__module__ != "__main__" and getattr(module, function.__name__, None) is function
