"""The sphere of unit spins: arrays `(..., 3)`, usually `(*cells, sublattices, 3)`; and the one check of them.

A vacancy is a spin of length zero: every function here leaves it at zero, and so do the dynamics. Whatever takes spins
takes them through `as_spins`: functions by the decorator `takes_spins`, fields and descriptors by their base class.
"""

import functools
import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar, overload

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from jaxspin.arrays import vectors
from jaxspin.arrays.precision import einsum, matmul
from jaxspin.arrays.vectors import add, cross, dot, one_program, scale, subtract
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
    """The spins as an array of floats `(*cells, sublattices, 3)`, looked at once, wherever spins enter.

    Lists and NumPy arrays become JAX's (`host=True`: lists become NumPy's), integers floats; nothing else is converted.
    Only shape and dtype are looked at, so that it costs nothing inside `jit` and takes traced spins. Without a
    `lattice`, any `(..., 3)`. `batch=True` lets axes precede those of the lattice, `half=False` refuses floats of less
    than 32 bits.

    Raises `ValueError` for complex numbers, what is no number, and arrays that do not fit the lattice: spins of another
    one, or a batch (map over it with `jax.vmap`).

    Example:
        >>> js.spins.as_spins([[0, 0, 1], [0, 0, -1]]).dtype.name
        'float32'
    """
    if not isinstance(spins, jax.Array):
        try:
            spins = np.asarray(spins) if host else jnp.asarray(spins)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"spins cannot be read as an array ({error}); give three numbers a site, of shape (*lattice.shape, 3)."
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

    The lattice is the argument called `lattice`, or that of the first argument (of the field, the solver, `self`), or
    unknown. Options as those of `as_spins`. `unit` refuses spins longer than 1 (in other units), and takes shorter ones
    (averages). Put it outside `jit`, so that lists are arrays before they are traced.

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
    place, where = names.index(name), names.index("lattice") if "lattice" in names else None

    @functools.wraps(inner)
    def checked(*arguments: Any, **keywords: Any) -> Any:
        lattice = keywords.get("lattice")
        if where is not None and where < len(arguments):
            lattice = arguments[where]
        if lattice is None and place > 0:
            lattice = getattr(arguments[0] if arguments else keywords.get(names[0]), "lattice", None)
        if place < len(arguments):
            arguments = (*arguments[:place], taken(arguments[place], lattice), *arguments[place + 1 :])
        elif keywords.get(name) is not None:
            keywords[name] = taken(keywords[name], lattice)
        return inner(*arguments, **keywords)

    setattr(checked, _MARK, True)
    return checked


_MARK = "_takes_spins"


def check_methods(owner: type, *, half: bool = True) -> None:
    """Pass the `spins` of every public method that `owner` defines through `takes_spins`, those decorated excepted.

    Called by the base classes of fields and descriptors for each of their subclasses, a user's too.
    """
    for name, method in list(vars(owner).items()):
        public = not name.startswith("_") or name == "__call__"
        if not public or not callable(method) or hasattr(method, _MARK) or isinstance(method, type):
            continue
        if "spins" in inspect.signature(method).parameters:
            setattr(owner, name, takes_spins(half=half)(method))


normalize = takes_spins(name="a")(vectors.normalize)


@functools.partial(one_program, static_argnames="dtype")
def random_spins(lattice: Lattice, *, key: PRNGKeyArray, dtype=None) -> Float[Array, "..."]:
    """Independent spins, uniform on the sphere, of shape `(*cells, sublattices, 3)`.

    Example:
        >>> js.random_spins(lattice, key=jax.random.key(0)).shape
        (4, 4, 1, 3)
    """
    return normalize(jax.random.normal(key, (*lattice.shape, 3), dtype or jnp.result_type(float)))


@takes_spins
@one_program
def tangent(spins: Float[Array, "*n 3"], vectors: Float[Array, "*n 3"]) -> Float[Array, "*n 3"]:
    """The part of `vectors` perpendicular to the spins, v - S (S . v): the only part of a field that acts.

    Example:
        >>> across = js.spins.tangent(spins, jnp.ones_like(spins))
        >>> round(float(jnp.max(jnp.abs(jnp.sum(across * spins, -1)))), 3)
        0.0
    """
    return subtract(vectors, scale(dot(spins, vectors), spins))


@takes_spins
@one_program
def tangent_frame(spins: Float[Array, "*n 3"]) -> Float[Array, "*n 2 3"]:
    """Two orthonormal vectors perpendicular to each spin, e and S x e; zero at vacancies. They jump where S_z = 1/2.

    Example:
        >>> js.spins.tangent_frame(spins).shape
        (4, 4, 1, 2, 3)
    """
    axis = jnp.where(jnp.abs(spins[..., 2:]) < 0.5, jnp.eye(3, dtype=spins.dtype)[2], jnp.eye(3, dtype=spins.dtype)[0])
    first = normalize(jnp.cross(spins, axis))
    return jnp.stack([first, jnp.cross(spins, first)], axis=-2)


@takes_spins
def torque(spins: Float[Array, "*n 3"], field: Float[Array, "*n 3"]) -> Float[Array, "*n 3"]:
    """S x B, which is dS/dt without damping.

    Example:
        >>> js.spins.torque(jnp.array([1.0, 0.0, 0.0]), jnp.array([0.0, 0.0, 2.0])).tolist()
        [0.0, -2.0, 0.0]
    """
    return cross(spins, field)


@one_program
def rotation_matrix(axis: Float[Array, "3"], angle: Float[Array, ""] | float) -> Float[Array, "3 3"]:
    """The right-handed rotation by `angle` (radians) about `axis` (any length but zero): exp(angle [axis]x).

    Example:
        >>> quarter = js.spins.rotation_matrix(jnp.array([0.0, 0.0, 1.0]), jnp.pi / 2)
        >>> (jnp.round(quarter @ jnp.array([1.0, 0.0, 0.0])) + 0.0).tolist()
        [0.0, 1.0, 0.0]
    """
    x, y, z = axis / jnp.linalg.norm(axis)
    zero = jnp.zeros_like(x)
    cross = jnp.stack([jnp.stack([zero, -z, y]), jnp.stack([z, zero, -x]), jnp.stack([-y, x, zero])])
    return jnp.eye(3, dtype=cross.dtype) + jnp.sin(angle) * cross + (1 - jnp.cos(angle)) * matmul(cross, cross)


@functools.partial(one_program, static_argnames="dtype")
def random_rotation(*, key: PRNGKeyArray, dtype=None) -> Float[Array, "3 3"]:
    """A proper rotation, uniform (Haar) on SO(3), from a random unit quaternion.

    Example:
        >>> rotation = js.spins.random_rotation(key=jax.random.key(0))
        >>> rotation.shape, round(float(jnp.linalg.det(rotation)), 3)
        ((3, 3), 1.0)
    """
    q = jax.random.normal(key, (4,), dtype or jnp.result_type(float))
    w, x, y, z = q / jnp.linalg.norm(q)
    return jnp.stack(
        [
            jnp.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)]),
            jnp.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)]),
            jnp.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)]),
        ]
    )


@takes_spins
@one_program
def rotate(spins: Float[Array, "*n 3"], rotation: Float[Array, "3 3"]) -> Float[Array, "*n 3"]:
    """The same rotation `(3, 3)` applied to every spin.

    Example:
        >>> quarter = js.spins.rotation_matrix(jnp.array([1.0, 0.0, 0.0]), jnp.pi / 2)
        >>> (jnp.round(js.spins.rotate(js.textures.ferromagnet(lattice), quarter)[0, 0, 0]) + 0.0).tolist()
        [0.0, -1.0, 0.0]
    """
    return einsum("ab,...b->...a", rotation, spins)


@takes_spins
@one_program
def retract(spins: Float[Array, "*n 3"], vectors: Float[Array, "*n 3"]) -> Float[Array, "*n 3"]:
    """Rotate every spin by the small rotation vector w: S -> exp([w]x) S, exact and norm-preserving.

    `vectors` are rotation vectors (radians), not tangent displacements; for a displacement v in the tangent
    plane use w = S x v.

    Example:
        >>> turned = js.spins.retract(jnp.array([1.0, 0.0, 0.0]), jnp.array([0.0, 0.0, jnp.pi / 2]))
        >>> (jnp.round(turned) + 0.0).tolist()
        [0.0, 1.0, 0.0]
    """
    sinc, versine = rotation_factors(dot(vectors, vectors))
    turn = cross(vectors, spins)
    return add(spins, scale(sinc, turn), scale(versine, cross(vectors, turn)))


@one_program
def rotation_factors(square: Float[Array, "*n"]) -> tuple[Float[Array, "*n"], Float[Array, "*n"]]:
    """sin(x)/x and (1 - cos x)/x^2 of the square of x, to rounding.

    By sums of additions and products, which XLA vectorizes on CPUs where it calls the sine and cosine of one number
    after another. With half the angle, h = k pi + r and abs(r) <= pi/2, they are (sin r/h) cos r and (sin r/h)^2/2:
    free of cancellation, and of the sign of (-1)^k.

    Example:
        >>> [round(float(x), 3) for x in js.spins.rotation_factors(jnp.asarray(1.0))]
        [0.841, 0.46]
    """
    dtype = square.dtype
    pi, far = np.asarray(np.pi, dtype), square > np.pi**2
    half = jnp.sqrt(jnp.where(far, square, 1)) / 2
    turns = jnp.where(far, jnp.round(half / pi), 0)
    rest = (half - turns * pi) - turns * np.asarray(np.pi - float(pi), dtype)
    ratio = jnp.where(far, rest / half, 1)
    rest = jnp.where(far, rest**2, square / 4)
    # the next terms of both series are below a unit in the last place of the largest at a right angle
    terms = 7 if dtype.itemsize <= 4 else 12
    sine = _series(rest, [(-1) ** n / math.factorial(2 * n + 1) for n in range(terms)]) * ratio
    cosine = _series(rest, [(-1) ** n / math.factorial(2 * n) for n in range(terms)])
    return sine * cosine, sine**2 / 2


def _series(x: Float[Array, "*n"], coefficients: Sequence[float]) -> Float[Array, "*n"]:
    """sum_n c_n x^n."""
    *others, last = (np.asarray(c, x.dtype) for c in coefficients)
    total = jnp.full_like(x, last)
    for c in reversed(others):
        total = total * x + c
    return total


@takes_spins
@one_program
def dilute(spins: Float[Array, "*n 3"], occupied: Bool[Array, "*n"]) -> Float[Array, "*n 3"]:
    """Spins with vacancies: zero where the mask `occupied` (shape of the lattice) is False.

    Example:
        >>> occupied = jnp.arange(16).reshape(lattice.shape) != 5
        >>> float(jnp.sum(js.spins.dilute(js.textures.ferromagnet(lattice), occupied)))
        15.0
    """
    return jnp.where(occupied[..., None], spins, 0)


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
    """Refuse spins whose lengths differ from 1 by more than 1e-3, or are larger than that where `shorter` ones may be.

    Vacancies, and traced values, are let through. Raises `ValueError` with the length found: magnetizations of other
    programs are in A/m.

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
    """Whether all lengths are good, and the largest that is not; one that is nan is good where `shorter` ones are.

    By `xp`, NumPy or `jax.numpy`.
    """
    dtype = np.float32 if jnp.finfo(spins.dtype).bits < 32 else spins.dtype
    square = xp.sum(xp.square(spins.astype(dtype)), axis=-1)
    good = ~(square > 1 + margin) if shorter else (abs(square - 1) <= margin) | (square == 0)
    return xp.all(good), xp.max(xp.where(good, 0, xp.sqrt(square)), initial=0)


@functools.partial(jax.jit, static_argnums=(1, 2))
def _lengths_in_place(spins: Array, margin: float, shorter: bool) -> tuple[Array, Array]:
    return _lengths(jnp, spins, margin, shorter)
