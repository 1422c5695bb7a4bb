"""The one check of spins, wherever they come in: `as_spins`, and the decorator `takes_spins` that calls it.

Functions take the decorator; fields and descriptors have it from their base class. `check_finite` and `check_unit` look
at the numbers themselves.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, overload

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array

from jaxspin.arguments import told
from jaxspin.devices.hosts import looked_at
from jaxspin.lattice import Lattice

P = ParamSpec("P")
R = TypeVar("R")


def check_spins(lattice: Lattice, spins: Array) -> None:
    """Refuse an array that is not spins on `lattice`: raises `ValueError` on shape or dtype.

    Example:
        >>> js.spins.check_spins(lattice, spins)
        >>> try:
        ...     js.spins.check_spins(lattice, spins[:3])
        ... except ValueError:
        ...     print("of another lattice")
        of another lattice
    """
    if not jnp.issubdtype(spins.dtype, jnp.floating):
        raise ValueError(f"spins have dtype {spins.dtype}; convert them with spins.astype(float).")
    _check_shape(spins.shape, lattice, batch=False)


def as_spins(
    spins: Any, lattice: Lattice | None = None, *, half: bool = True, batch: bool = False, host: bool = False
) -> Any:
    """The spins as an array of floats `(*cells, sublattices, 3)`; without a `lattice`, any `(..., 3)`.

    Lists and NumPy arrays become JAX's, and integers floats; nothing else is converted. It checks shape and dtype, not
    the numbers, so it costs nothing inside `jit` and takes traced spins.

    - `half=False` refuses floats of less than 32 bits.
    - `batch=True` allows more axes before those of the lattice.
    - `host=True` leaves NumPy arrays as they are, and makes them of lists.

    Raises `ValueError` for complex numbers, for what is no number, and for an array that does not fit the lattice:
    spins of another one, or a batch (map over it with `jax.vmap`); `TypeError` for a field.

    Example:
        >>> js.spins.as_spins([[0, 0, 1], [0, 0, -1]]).dtype.name
        'float32'
    """
    if not isinstance(spins, jax.Array):
        try:
            spins = np.asarray(spins) if host else jnp.asarray(spins)
        except (TypeError, ValueError) as error:
            if hasattr(spins, "field"):
                raise TypeError(
                    f"spins = {told(spins)} is a field; give the field first, and then the spins."
                ) from None
            raise ValueError(
                f"spins = {told(spins)} cannot be read as an array{_why(spins, error)}; give three numbers a site, of "
                "shape (*lattice.shape, 3)."
            ) from error
    if jnp.issubdtype(spins.dtype, jnp.integer):
        spins = spins.astype(float if host else jnp.result_type(float))
    if jnp.issubdtype(spins.dtype, jnp.complexfloating):
        raise ValueError(f"spins are complex ({spins.dtype}), but a spin is three real numbers; pass spins.real.")
    if not jnp.issubdtype(spins.dtype, jnp.floating):
        raise ValueError(f"spins have dtype {spins.dtype}, which is no number; convert them with spins.astype(float).")
    if not half and jnp.finfo(spins.dtype).bits < 32:
        raise ValueError(
            f"spins of dtype {spins.dtype} are too coarse here: sums over many levels or steps would be lost in "
            "rounding; pass spins.astype(jnp.float32)."
        )
    _check_shape(spins.shape, lattice, batch)
    return spins


def _why(spins: Any, error: Exception) -> str:
    """The reason tells which row of a list is ragged; of another object it is a page."""
    return f" ({error})" if type(spins) in (list, tuple) else ""


def _check_shape(shape: tuple[int, ...], lattice: Lattice | None, batch: bool) -> None:
    if lattice is None:
        if not shape or shape[-1] != 3:
            raise ValueError(f"spins of shape {shape} have no three components; give an array of shape (..., 3).")
        return
    fits = (*lattice.shape, 3)
    if shape == fits or (batch and shape[-len(fits) :] == fits):
        return
    if not batch and shape[-len(fits) :] == fits:
        raise ValueError(
            f"spins of shape {shape} are a batch on the {lattice.name} lattice, one of which has {fits}; "
            "map over it with jax.vmap(function)(spins)."
        )
    raise ValueError(
        f"spins of shape {shape} do not fit the {lattice.name} lattice, which needs "
        f"{fits}; reshape them, or use lattice.resize(...)."
    )


def check_vectors(spins: Array, vectors: Array, name: str = "vectors") -> None:
    """Refuse vectors of another shape than the spins, which would be spread over them: raises `ValueError`."""
    if vectors.shape != spins.shape:
        raise ValueError(
            f"{name} of shape {vectors.shape} do not fit spins of shape {spins.shape}; give one vector a spin, such as "
            "jnp.broadcast_to(vector, spins.shape)."
        )


@overload
def takes_spins(function: Callable[P, R]) -> Callable[P, R]: ...
@overload
def takes_spins(
    *, name: str = "spins", half: bool = True, batch: bool = False, host: bool = False, unit: bool = False
) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
def takes_spins(
    function: Callable[..., Any] | None = None,
    *,
    name: str = "spins",
    half: bool = True,
    batch: bool = False,
    host: bool = False,
    unit: bool = False,
) -> Any:
    """A decorator: the argument `name` passes through `as_spins` before the function sees it.

    The lattice is the argument called `lattice`, else that of the first argument (the field, the solver, `self`), else
    unknown. The options are those of `as_spins`, and `unit`, which refuses spins longer than 1 (in other units), not
    shorter ones (averages). Put it outside `jit`, so that lists are arrays before they are traced.

    Raises `ValueError` for a function without that argument; the decorated function raises what `as_spins` and
    `check_unit` raise.

    Example:
        >>> up = js.spins.takes_spins(lambda spins: spins[..., 2].mean())
        >>> float(up([[0, 0, 1], [0, 0, 1]]))
        1.0
    """
    options = {"half": half, "batch": batch, "host": host}
    if function is None:
        return functools.partial(takes_spins, name=name, unit=unit, **options)

    def taken(spins: Any, lattice: Any) -> Any:
        spins = as_spins(spins, lattice, **options)
        if unit:
            check_unit(spins, shorter=True)
        return spins

    inner: Callable[..., Any] = function
    names = list(inspect.signature(inner).parameters)
    if name not in names:
        raise ValueError(f"{inner} has no argument {name!r}; name the one that holds spins, takes_spins(name=...).")
    position, where = names.index(name), names.index("lattice") if "lattice" in names else None

    @functools.wraps(inner)
    def checked(*arguments: Any, **keywords: Any) -> Any:
        lattice = keywords.get("lattice")
        if where is not None and where < len(arguments):
            lattice = arguments[where]
        if lattice is None and position > 0:
            lattice = getattr(arguments[0] if arguments else keywords.get(names[0]), "lattice", None)
        if position < len(arguments):
            arguments = (*arguments[:position], taken(arguments[position], lattice), *arguments[position + 1 :])
        elif keywords.get(name) is not None:
            keywords[name] = taken(keywords[name], lattice)
        return inner(*arguments, **keywords)

    setattr(checked, _MARK, True)
    return checked


_MARK = "_takes_spins"


def check_methods(owner: type, *, half: bool = True) -> None:
    """Pass the `spins` of every public method that `owner` defines through `takes_spins`, those decorated excepted.

    Called by the base classes of fields and descriptors for each of their subclasses, a user's too: such a method
    raises `ValueError` for what is no spins on its lattice. Functions take `takes_spins` instead.
    """
    for name, method in list(vars(owner).items()):
        public = not name.startswith("_") or name == "__call__"
        if not public or not callable(method) or hasattr(method, _MARK) or isinstance(method, type):
            continue
        if "spins" in inspect.signature(method).parameters:
            setattr(owner, name, takes_spins(half=half)(method))


def check_finite(spins: Array) -> None:
    """Refuse spins that are not finite numbers: raises `ValueError`; traced values, inside `jit`, are let through.

    Example:
        >>> try:
        ...     js.spins.check_finite(spins.at[0, 0, 0].set(jnp.nan))
        ... except ValueError:
        ...     print("not finite")
        not finite
    """
    if isinstance(spins, Tracer):
        return
    spins = looked_at(spins)
    if isinstance(spins, np.ndarray):
        good = np.isfinite(spins).all()
    else:
        with jax.ensure_compile_time_eval():
            good = _all_finite(spins)
    if not bool(good):
        raise ValueError("spins hold nan or inf; look where they came from: a smaller time step, or normalize(...).")


@jax.jit
def _all_finite(spins: Array) -> Array:
    return jnp.all(jnp.isfinite(spins))


def check_unit(spins: Any, *, shorter: bool = False) -> None:
    """Refuse spins whose lengths differ from 1 by more than 1e-3; with `shorter`, only those that are longer.

    Vacancies pass, and traced values. Raises `ValueError` with the length of such a spin: magnetizations of other
    programs may be in A/m.

    Example:
        >>> try:
        ...     js.spins.check_unit(2 * spins)
        ... except ValueError:
        ...     print("not of length one")
        not of length one
    """
    if isinstance(spins, Tracer):
        return
    margin = max(2e-3, 4 * float(jnp.finfo(spins.dtype).eps))
    spins = looked_at(spins)
    if isinstance(spins, np.ndarray):
        good, worst = _lengths(np, spins, margin, shorter)
    else:
        # where they lie, on one device or many, even while the caller traces something else
        with jax.ensure_compile_time_eval():
            good, worst = _lengths_in_place(spins, margin, shorter)
    if not bool(good):
        raise ValueError(
            f"spins must be unit vectors (or zero, for vacancies), but one has length {float(worst):.4g}; "
            "use jaxspin.normalize(spins)."
        )


def _lengths(xp: Any, spins: Any, margin: float, shorter: bool) -> tuple[Any, Any]:
    """Whether all lengths are good, and the largest that is not, computed by `xp`, NumPy or `jax.numpy`.

    With `shorter`, a length that is nan counts as good.
    """
    dtype = np.float32 if jnp.finfo(spins.dtype).bits < 32 else spins.dtype
    square = xp.sum(xp.square(spins.astype(dtype)), axis=-1)
    good = ~(square > 1 + margin) if shorter else (abs(square - 1) <= margin) | (square == 0)
    return xp.all(good), xp.max(xp.where(good, 0, xp.sqrt(square)), initial=0)


@functools.partial(jax.jit, static_argnums=(1, 2))
def _lengths_in_place(spins: Array, margin: float, shorter: bool) -> tuple[Array, Array]:
    return _lengths(jnp, spins, margin, shorter)
