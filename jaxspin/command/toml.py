"""Dataclasses from TOML and back: what does not fit is told with its key, its value and what to write. No arrays."""

import dataclasses
import difflib
import json
import os
import tomllib
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

_Settings = TypeVar("_Settings")
_WORDS = {
    bool: ("true or false", "true"),
    int: ("a whole number", "4"),
    float: ("a number", "1.0"),
    str: ("a text", '"text"'),
}


def read_settings(path: str | os.PathLike, settings: type[_Settings]) -> _Settings:
    """The dataclass `settings` with the values of a file, what is not in it at its default.

    A table is a dataclass within, a list of tables a tuple of them; one table serves for a list of one.

    Raises `FileNotFoundError`, or `ValueError` for what is no TOML, for a key that is unknown or missing, and for a
    value of another kind.
    """
    path = Path(path)
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no file {path}; jaxspin run --example prints one to begin with.") from None
    except IsADirectoryError:
        raise FileNotFoundError(f"{path} is a folder; give the file of settings in it.") from None
    except ValueError as error:  # of TOML or of the encoding
        raise ValueError(f"{path} is no TOML ({error}); jaxspin run --example prints a file to begin with.") from None
    try:
        return _of_table(settings, found, "")
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def written(settings: Any) -> str:
    """The text of a file that `read_settings` reads back as the same dataclass; what is None is left out."""
    plain, tables = [], []
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if dataclasses.is_dataclass(value):
            tables.append(f"[{field.name}]\n{written(value)}")
        elif isinstance(value, tuple) and value and all(map(dataclasses.is_dataclass, value)):
            tables += [f"[[{field.name}]]\n{written(part)}" for part in value]
        elif value is not None and not (value == () and "Settings" in str(field.type)):
            plain.append(f"{field.name} = {_literal(value)}\n")
    return "\n".join(["".join(plain), *tables])


def _literal(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_literal, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _of_table(settings: Any, found: dict[str, Any], name: str) -> Any:
    kinds, given = typing.get_type_hints(settings), {}
    fields = {field.name: field for field in dataclasses.fields(settings)}
    for key, value in found.items():
        if key not in fields:
            near = difflib.get_close_matches(key, fields, 1)
            guess = f"write {name}{near[0]}" if near else f"use {', '.join(f'{name}{x}' for x in fields)}"
            raise ValueError(f"there is no setting {name}{key} (it is {value!r} here); {guess}.")
        try:
            given[key] = _value(kinds[key], value, f"{name}{key}")
        except ValueError as error:
            choices = fields[key].metadata.get("choices")
            if choices is None:
                raise
            raise ValueError(f"{str(error).rstrip('.')}, and choose from {choices}.") from error
    for key, field in fields.items():
        if key not in given and field.default is field.default_factory is dataclasses.MISSING:
            raise ValueError(f"the setting {name}{key} is missing; add it, such as {_example(kinds[key], key)}.")
    try:
        return settings(**given)
    except ValueError as error:
        raise ValueError(f"{name.rstrip('.') or 'the settings'}: {error}" if name else str(error)) from error


def _value(kind: Any, value: Any, name: str) -> Any:
    """`value` as what the type hint `kind` asks for; `ValueError` where it is something else."""
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        options = [option for option in typing.get_args(kind) if option is not type(None)]
        for option in options[:-1]:
            with_it = _fits(option, value)
            if with_it:
                return _value(option, value, name)
        return _value(options[-1], value, name)
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, dict):
            raise ValueError(f"{name} = {value!r} is no table; write [{name}] and its settings below.")
        return _of_table(kind, value, f"{name}.")
    if typing.get_origin(kind) is tuple:
        part = typing.get_args(kind)[0]
        if dataclasses.is_dataclass(part) and isinstance(value, dict):
            value = [value]
        if not isinstance(value, list):
            raise ValueError(f"{name} = {value!r} is no list; write {_example(kind, name)}.")
        return tuple(_value(part, entry, f"{name}[{n}]") for n, entry in enumerate(value))
    if not _fits(kind, value):
        what, example = _WORDS[kind]
        raise ValueError(f"{name} = {_shown(value)} is not {what}; write one, such as {example}.")
    return kind(value)


def _fits(kind: Any, value: Any) -> bool:
    if typing.get_origin(kind) is tuple:
        return isinstance(value, list)
    if dataclasses.is_dataclass(kind):
        return isinstance(value, dict)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")
    return isinstance(value, kind) and not (kind is int and isinstance(value, bool))


def _shown(value: Any) -> str:
    return json.dumps(value) if isinstance(value, str | bool) else repr(value)


def _example(kind: Any, name: str) -> str:
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        return _example(typing.get_args(kind)[0], name)
    if dataclasses.is_dataclass(kind):
        return f"[{name}] and its settings below"
    if typing.get_origin(kind) is tuple:
        part = typing.get_args(kind)[0]
        inner = _WORDS[part][1] if part in _WORDS else "..."
        return f"{name} = [{inner}, {inner}]"
    return f"{name} = {_WORDS[kind][1]}"
