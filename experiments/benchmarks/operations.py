"""How many floating-point operations a program does: loops counted as often as they run, which XLA's count does not."""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np

# One operation for each number that comes out; transcendental functions too, though they cost more.
_BY_RESULT = (
    "add add_any sub mul div neg abs max min pow integer_pow square sqrt rsqrt cbrt exp exp2 expm1 log log1p "
    "sin cos tan asin acos atan atan2 sinh cosh tanh asinh acosh atanh logistic erf erf_inv rem"
)
# One for each number that goes in.
_BY_ARGUMENT = "reduce_sum reduce_max reduce_min reduce_prod cumsum cumprod cummax cummin"


def operations(program: Any, platform: str) -> float:
    """Additions, multiplications and functions of real numbers in a traced program (a jaxpr), run on `platform`.

    They are counted before the compiler joins or drops any: 2 m n k for a matrix product, one a number for all others,
    of complex numbers four times as many. A loop of unknown length counts once.
    """
    return _of(_bare(program), {"gpu": "cuda"}.get(platform, platform))


def _of(program: Any, platform: str) -> float:
    return sum(_equation(equation, platform) for equation in program.eqns)


def _equation(equation: Any, platform: str) -> float:
    name, settings = equation.primitive.name, equation.params
    if name == "cond":
        return _branch(settings, platform)
    if name == "scan":
        return settings["length"] * _of(_bare(settings["jaxpr"]), platform)
    inside = [part for value in settings.values() for part in _programs(value)]
    if inside and not name.startswith("scatter"):
        return sum(_of(part, platform) for part in inside)
    result = equation.outvars[0].aval if equation.outvars else None
    if result is None or not _counts(result):
        return 0.0
    weight = 4.0 if np.issubdtype(result.dtype, np.complexfloating) else 1.0
    if name == "dot_general":
        (contracted, _), _ = settings["dimension_numbers"]
        shape = equation.invars[0].aval.shape
        return 2 * weight * math.prod(result.shape) * math.prod(shape[axis] for axis in contracted)
    if name in ("scatter-add", "scatter_add"):
        return weight * math.prod(equation.invars[2].aval.shape)
    if name in _BY_RESULT.split():
        return weight * math.prod(result.shape)
    return weight * math.prod(equation.invars[0].aval.shape) if name in _BY_ARGUMENT.split() else 0.0


def _counts(result: Any) -> bool:
    return hasattr(result, "dtype") and jnp.issubdtype(result.dtype, np.inexact)


def _branch(settings: dict[str, Any], platform: str) -> float:
    """Of the branch for this platform where that decides, else of the longest."""
    branches = [_of(_bare(branch), platform) for branch in settings["branches"]]
    chosen = settings.get("branches_platforms")
    if chosen is None:
        return max(branches)
    fitting = [n for n, names in enumerate(chosen) if names is not None and platform in names]
    return branches[fitting[0] if fitting else list(chosen).index(None)]


def _bare(program: Any) -> Any:
    """A program without the constants that it is closed over."""
    return getattr(program, "jaxpr", program)


def _programs(value: Any) -> list[Any]:
    """The programs among the settings of an operation."""
    if isinstance(value, tuple | list):
        return [part for entry in value for part in _programs(entry)]
    value = _bare(value)
    return [value] if hasattr(value, "eqns") else []
