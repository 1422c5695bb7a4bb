"""A command line made of a dataclass by the standard library alone, for machines that have no other parser.

`--name value` for numbers, texts and paths, `--name 1 2 3` for tuples of them, `--name` and `--no-name` for switches.
"""

import argparse
import ast
import dataclasses
import inspect
import textwrap
import types
import typing
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from experiments.stages.refusals import check_numbers

_Settings = TypeVar("_Settings")


def parsed(config: type[_Settings], description: str | None, words: list[str] | None = None) -> _Settings:
    """The settings in `words`, those of the command line unless given.

    Raises `ValueError`, of one line, for what it refuses, `TypeError` for a dataclass with a setting of another kind.
    """
    told, kinds = documented(config), typing.get_type_hints(config)
    shape = argparse.RawDescriptionHelpFormatter
    parser = _Parser(description=description, formatter_class=shape, allow_abbrev=False)
    for field in dataclasses.fields(typing.cast(Any, config)):
        option = f"--{field.name.replace('_', '-')}"
        needed = field.default is dataclasses.MISSING
        text = told.get(field.name, "") + ("" if needed else f" (default: {_written(field.default)})")
        how = _how(kinds[field.name], field.name)
        parser.add_argument(option, default=argparse.SUPPRESS, required=needed, help=text.replace("%", "%%"), **how)
    given, unknown = parser.parse_known_args(words)
    if unknown:
        raise ValueError(f"Unrecognized options: {' '.join(unknown)}; see --help.")
    settings = config(**{name: tuple(x) if isinstance(x, list) else x for name, x in vars(given).items()})
    check_numbers(settings)
    return settings


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message}; see --help.")


def _written(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _how(kind: Any, name: str) -> dict[str, Any]:
    """What `add_argument` needs to know of a kind of setting."""
    held = typing.get_args(kind)
    if isinstance(kind, types.UnionType) and len(held) == 2 and held[1] is types.NoneType:
        return _how(held[0], name)
    if typing.get_origin(kind) is tuple and held[1:] == (Ellipsis,):
        return {**_how(held[0], name), "nargs": "*"}
    if kind is bool:
        return {"action": argparse.BooleanOptionalAction}
    if kind not in (int, float, str, Path):
        raise TypeError(f"{name} is of the kind {kind}, which no word gives; use a number, a text or a path.")
    return {"type": kind, "metavar": kind.__name__.upper()}


def documented(config: type) -> dict[str, str]:
    """The texts below the settings of a dataclass and of those it comes from."""
    found: dict[str, str] = {}
    for part in reversed([c for c in config.__mro__ if dataclasses.is_dataclass(c)]):
        (body,) = ast.parse(textwrap.dedent(inspect.getsource(part))).body
        assert isinstance(body, ast.ClassDef)
        for field, text in zip(body.body, body.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(field.target, ast.Name):
                found[field.target.id] = " ".join(str(ast.literal_eval(text.value)).split())
    return found
