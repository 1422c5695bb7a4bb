"""The points of a sweep: named settings on a grid, in a list, or drawn at random."""

import copy
import dataclasses
import hashlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from jaxspin import renamed

# What the store of a sweep calls its own.
RESERVED = ("status", "reason", "point")
Values = Sequence | np.ndarray | jax.Array


@dataclasses.dataclass(frozen=True, eq=False)
class Design:
    """Points of a sweep, made by `grid`, `listed` or `random`.

    `axes` are the dimensions of the results with their coordinates; a grid has one for each setting, the others have
    `point` (0, 1, ..) alone. `values` holds each setting at every point `(points,)`, in C order of the axes. Numbers
    are floats, integers or booleans; text is text. Its makers check what they are given: made by hand it is not
    checked. `point(index)` raises `IndexError` beyond the last one.

    Example:
        >>> design = js.sweeps.grid(coupling=[1.0, 3.0], seed=range(4))
        >>> design.shape, design.names
        ((2, 4), ('coupling', 'seed'))
    """

    axes: dict[str, np.ndarray]
    values: dict[str, np.ndarray]

    def __len__(self) -> int:
        return int(np.prod(self.shape))

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of points along each axis."""
        return tuple(len(axis) for axis in self.axes.values())

    @property
    def names(self) -> tuple[str, ...]:
        """The settings."""
        return tuple(self.values)

    @renamed.keyword("number", "index")
    def point(self, index: int) -> dict[str, Any]:
        """The settings of one point, counted from 0, as plain numbers and text; `IndexError` beyond the last."""
        return {name: column[index].item() for name, column in self.values.items()}

    def fingerprint(self) -> str:
        """A text that another design does not have."""
        columns = [(name, column.tolist()) for part in (self.axes, self.values) for name, column in part.items()]
        return hashlib.sha256(repr(columns).encode()).hexdigest()


def grid(axes: Mapping[str, Values] | None = None, /, **more: Values) -> Design:
    """Every combination of the values of each setting: `grid(coupling=[1.0, 3.0], seed=range(4))` has 8 points.

    Names with dots, such as "electrons.coupling" for a field of a nested config, go into a dictionary. Raises
    `ValueError` for an axis without values, with a value twice (in the precision of the run), or with values that are
    no numbers or text.

    Example:
        >>> js.sweeps.grid(coupling=[1.0, 3.0], seed=range(4)).shape
        (2, 4)
    """
    columns = _columns(axes, more)
    for name, column in columns.items():
        if len(np.unique(column)) != len(column):
            raise ValueError(f"{name} holds a value twice; give each once, and repeat runs by an axis of seeds.")
        seen = column if column.dtype.kind not in "fiu" else np.asarray(jnp.asarray(column))
        if len(np.unique(seen)) != len(seen):
            raise ValueError(
                f"values of {name} are nearer to each other than {seen.dtype} can tell, and would run twice; space "
                'them wider, or run in double precision, jax.config.update("jax_enable_x64", True).'
            )
    mesh = np.meshgrid(*columns.values(), indexing="ij")
    return Design(columns, {name: values.ravel() for name, values in zip(columns, mesh, strict=True)})


def listed(settings: Mapping[str, Values] | None = None, /, **more: Values) -> Design:
    """Point k takes the k-th value of each setting; the results have the axis `point`.

    Raises `ValueError` where the lists have different lengths, and as `grid` does.

    Example:
        >>> js.sweeps.listed(coupling=[1.0, 3.0], filling=[0.25, 0.5]).values["filling"].tolist()
        [0.25, 0.5]
    """
    columns = _columns(settings, more)
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) != 1:
        raise ValueError(f"the lists have different lengths {lengths}; give one value of each setting per point.")
    return Design({"point": np.arange(next(iter(lengths.values())))}, columns)


def random(
    count: int,
    ranges: Mapping[str, tuple[float | int, float | int]] | None = None,
    /,
    *,
    key: PRNGKeyArray,
    **more: tuple[float | int, float | int],
) -> Design:
    """`count` points drawn evenly between the ends (low, high) of each setting; the axis is `point`.

    Two integers draw integers from low to high - 1, such as `seed=(0, 2**31)`; anything else draws floats. The same
    key gives the same points in any precision. Raises `ValueError` for a count below 1 or ends that do not rise.

    Example:
        >>> js.sweeps.random(5, key=jax.random.key(0), coupling=(1.0, 3.0), seed=(0, 2**31)).shape
        (5,)
    """
    ends = {**(ranges or {}), **more}
    if count < 1 or not ends:
        raise ValueError(f"{count} points of {len(ends)} settings are no design; give at least one of each.")
    bits = np.asarray(jax.random.key_data(key)).astype(np.uint32).ravel()
    draw = np.random.default_rng(bits)
    columns = {}
    for name, pair in ends.items():
        low, high = pair
        if not low < high:
            raise ValueError(f"{name} runs from {low} to {high}; give (low, high) with low < high.")
        whole = all(isinstance(end, int | np.integer) for end in pair)
        columns[name] = draw.integers(int(low), int(high), count) if whole else draw.uniform(low, high, count)
    return listed(columns)


class Caller:
    """How a point becomes a call: keyword arguments of the function, or fields of a config."""

    def __init__(self, function: Callable[..., Any], design: Design, config: Any):
        self.function, self.config = function, config
        if config is None:
            _check_arguments(function, design.names)
            return
        for index in range(len(design)):
            settings = design.point(index)
            try:
                for name, value in settings.items():
                    config = _replaced(config, name.split("."), value)
            except ValueError as error:
                raise ValueError(f"point {index} ({describe(settings)}) is refused: {error}") from error
            config = self.config

    def __call__(self, settings: Mapping[str, Any]) -> Any:
        if self.config is None:
            return self.function(**settings)
        config = self.config
        for name, value in settings.items():
            config = _planted(config, name.split("."), value)
        return self.function(config)


def describe(settings: Mapping[str, Any]) -> str:
    """ "coupling = 3, seed = 1" """
    return ", ".join(f"{k} = {v:g}" if isinstance(v, float) else f"{k} = {v}" for k, v in settings.items())


def _columns(first: Mapping[str, Values] | None, more: Mapping[str, Values]) -> dict[str, np.ndarray]:
    given = {**(first or {}), **more}
    if not given:
        raise ValueError("a design needs at least one setting; give grid(coupling=[1.0, 2.0]).")
    columns = {}
    for name, values in given.items():
        if name in RESERVED or "/" in name:
            raise ValueError(f"{name!r} cannot name a setting; the store uses {', '.join(RESERVED)} and '/' itself.")
        column = np.asarray(list(values) if isinstance(values, range) else values)
        if column.ndim != 1 or not len(column):
            raise ValueError(f"{name} has values of shape {column.shape}; give a list of at least one number or text.")
        if column.dtype.kind not in "fiubU":
            raise ValueError(f"{name} holds values of type {column.dtype}; give numbers or text.")
        if column.dtype.kind == "f" and not np.all(np.isfinite(column)):
            raise ValueError(f"{name} holds a value that is not finite; leave it out.")
        wide = {"f": np.float64, "i": np.int64, "u": np.int64}.get(column.dtype.kind)
        columns[name] = column if wide is None else column.astype(wide)
    return columns


def _check_arguments(function: Callable[..., Any], names: tuple[str, ...]) -> None:
    try:
        inspect.signature(function).bind(**dict.fromkeys(names))
    except TypeError as error:
        raise ValueError(
            f"the function cannot be called with {', '.join(names)} ({error}); name the settings as its arguments."
        ) from None


def _replaced(config: Any, path: Sequence[str], value: Any) -> Any:
    """The config with one field set by its own constructor, which may refuse the value."""
    name, rest = path[0], path[1:]
    _check_field(config, name)
    return dataclasses.replace(config, **{name: _replaced(getattr(config, name), rest, value) if rest else value})


def _planted(config: Any, path: Sequence[str], value: Any) -> Any:
    """The same without the constructor, whose checks have seen the number and fail for a traced one."""
    name, rest = path[0], path[1:]
    new = copy.copy(config)
    object.__setattr__(new, name, _planted(getattr(config, name), rest, value) if rest else value)
    return new


def _check_field(config: Any, name: str) -> None:
    known = [field.name for field in dataclasses.fields(config)] if dataclasses.is_dataclass(config) else []
    if name not in known:
        raise ValueError(f"{type(config).__name__} has no field {name!r}; its fields are {', '.join(known) or 'none'}.")
