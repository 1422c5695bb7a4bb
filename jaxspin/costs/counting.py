"""How many floating-point operations a program does: loops counted as often as they run, which XLA's count does not."""

import dataclasses
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
# Programs of others, and routines whose operations depend on the numbers.
_HIDDEN = "pure_callback io_callback custom_call ffi_call pallas_call svd eig schur householder_product"


@dataclasses.dataclass
class Count:
    """Operations by kind, and what was not counted, or not fully.

    `products` are those of matrices, `decompositions` those of LAPACK's routines, `others` one a number. `workspace` is
    the memory in bytes that routines take beside what XLA gives them. `inside` is the count of one turn of the loop
    that was named.
    """

    products: float = 0.0
    decompositions: float = 0.0
    others: float = 0.0
    workspace: int = 0
    uncounted: set[str] = dataclasses.field(default_factory=set)
    inside: "Count | None" = None

    @property
    def flops(self) -> float:
        """All together."""
        return self.products + self.decompositions + self.others

    def add(self, other: "Count", times: int = 1) -> None:
        """Add another count so many times."""
        self.products += times * other.products
        self.decompositions += times * other.decompositions
        self.others += times * other.others
        self.workspace = max(self.workspace, other.workspace)
        self.uncounted |= other.uncounted
        self.inside = self.inside or other.inside


def operations(program: Any, platform: str) -> float:
    """Additions, multiplications and functions of real numbers in a traced program (a jaxpr), run on `platform`.

    They are counted before the compiler joins or drops any: 2 m n k for a matrix product, one a number for all others,
    of complex numbers four times as many. A loop of unknown length counts once.

    Example:
        >>> matrix = jnp.ones((8, 8))
        >>> js.costs.operations(jax.make_jaxpr(jnp.matmul)(matrix, matrix), "cpu")
        1024.0
    """
    return counted(program, platform).flops


def counted(program: Any, platform: str, loop: str | None = None) -> Count:
    """The operations of a traced program, by kind.

    The first loop in a `jax.named_scope(loop)` is left out; one turn of it is `Count.inside`. Eigenvalues and
    eigenvectors of a real symmetric matrix `(n, n)` are 9 n^3 operations, LU 2/3 n^3, Cholesky 1/3 n^3, a Fourier
    transform of complex numbers 5 n log2 n.

    Source: Golub and Van Loan, Matrix Computations (4th ed., 2013), sections 3.2, 4.2 and 8.3.
    """
    return _Counter({"gpu": "cuda"}.get(platform, platform), loop).of(_bare(program))


class _Counter:
    def __init__(self, platform: str, loop: str | None):
        self.platform, self.loop = platform, loop

    def of(self, program: Any, named: bool = False) -> Count:
        """`named` where the program is within the scope of the loop that is left out."""
        total = Count()
        for equation in program.eqns:
            total.add(self._equation(equation, named))
        return total

    def _equation(self, equation: Any, named: bool) -> Count:
        name, settings = equation.primitive.name, equation.params
        named = named or (self.loop is not None and self.loop in str(equation.source_info.name_stack))
        if name in ("while", "scan") and named:
            turn = _Counter(self.platform, None)
            return Count(inside=turn.of(_bare(settings["body_jaxpr" if name == "while" else "jaxpr"])))
        if name == "cond":
            return self._branch(settings, named)
        total = Count()
        if name == "scan":
            total.add(self.of(_bare(settings["jaxpr"]), named), settings["length"])
            return total
        if name == "while":
            turn = self.of(_bare(settings["body_jaxpr"]), named)
            turn.add(self.of(_bare(settings["cond_jaxpr"]), named))
            if turn.flops:
                turn.uncounted.add("iterations of loops whose number is not known are counted once")
            return turn
        if name == "custom_linear_solve":
            return self.of(_bare(settings["jaxprs"].solve), named)
        # a callback's program is that of the host
        inside = [] if name in _HIDDEN.split() else [part for value in settings.values() for part in _programs(value)]
        if inside and not name.startswith("scatter"):
            for part in inside:
                total.add(self.of(part, named))
            return total
        return _single(equation, self.platform)

    def _branch(self, settings: dict[str, Any], named: bool) -> Count:
        """Of the branch for this platform where that decides, else of the longest."""
        branches = [self.of(_bare(branch), named) for branch in settings["branches"]]
        chosen = settings.get("branches_platforms")
        if chosen is None:
            longest = max(branches, key=lambda branch: (branch.inside is not None, branch.flops))
            longest.workspace = max(branch.workspace for branch in branches)
            return longest
        fitting = [n for n, names in enumerate(chosen) if names is not None and self.platform in names]
        return branches[fitting[0] if fitting else list(chosen).index(None)]


def _single(equation: Any, platform: str) -> Count:
    """The operations of one equation without programs of its own."""
    name, settings = equation.primitive.name, equation.params
    if name in _HIDDEN.split():
        return Count(uncounted={f"the operations of {name} are not counted"})
    results = [out.aval for out in equation.outvars if _counts(out.aval)]
    if not results or not equation.invars:
        return Count()
    result, first = results[0], equation.invars[0].aval
    weight = 4.0 if any(_is_complex(x) for x in (*results, first)) else 1.0
    if name == "dot_general":
        (contracted, _), _ = settings["dimension_numbers"]
        return Count(
            products=2 * weight * math.prod(result.shape) * math.prod(first.shape[axis] for axis in contracted)
        )
    if name == "conv_general_dilated":
        features = settings["dimension_numbers"].rhs_spec[0]
        kernel = equation.invars[1].aval.shape
        return Count(products=2 * weight * math.prod(result.shape) * math.prod(kernel) / kernel[features])
    if name in ("eigh", "lu", "cholesky", "triangular_solve", "qr", "geqrf", "tridiagonal"):
        return _decomposition(name, equation, weight, platform)
    if name == "fft":
        length = math.prod(settings["fft_lengths"])
        halved = 0.5 if "IRFFT" in str(settings["fft_type"]) or "RFFT" in str(settings["fft_type"]) else 1.0
        whole = max(math.prod(result.shape), math.prod(first.shape))
        return Count(others=5 * halved * whole * math.log2(max(length, 2)))
    if name in ("scatter-add", "scatter_add"):
        return Count(others=weight * math.prod(equation.invars[2].aval.shape))
    if name in _BY_RESULT.split():
        return Count(others=(4.0 if _is_complex(result) else 1.0) * math.prod(result.shape))
    return Count(others=weight * math.prod(first.shape)) if name in _BY_ARGUMENT.split() else Count()


def _decomposition(name: str, equation: Any, weight: float, platform: str) -> Count:
    first = equation.invars[0].aval
    *batch, rows, columns = first.shape
    many, n = math.prod(batch), min(rows, columns)
    if name == "triangular_solve":
        result = equation.outvars[0].aval
        return Count(decompositions=weight * math.prod(result.shape) * columns)
    each = {
        "eigh": 9.0 * n**3,
        "lu": n * n * (max(rows, columns) - n / 3),
        "cholesky": n**3 / 3,
        "qr": 2 * n * n * (max(rows, columns) - n / 3),
        "geqrf": 2 * n * n * (max(rows, columns) - n / 3),
        "tridiagonal": 4 / 3 * n**3,
    }[name]
    if name != "eigh":
        return Count(decompositions=weight * many * each)
    found = Count(decompositions=weight * many * each)
    if platform == "cpu":
        # ?syevd and ?heevd, whose numbers are those of LAPACK's documentation
        size, part = first.dtype.itemsize, first.dtype.itemsize // (2 if _is_complex(first) else 1)
        complex_ones = (n * n + 2 * n) * size if _is_complex(first) else 0
        found.workspace = complex_ones + (1 + (5 if _is_complex(first) else 6) * n + 2 * n * n) * part
    else:
        found.uncounted.add("the memory that the device's eigh works in is not counted")
    return found


def _is_complex(aval: Any) -> bool:
    return hasattr(aval, "dtype") and jnp.issubdtype(aval.dtype, jnp.complexfloating)


def _counts(result: Any) -> bool:
    return hasattr(result, "dtype") and jnp.issubdtype(result.dtype, np.inexact)


def _bare(program: Any) -> Any:
    """A program without the constants that it is closed over."""
    return getattr(program, "jaxpr", program)


def _programs(value: Any) -> list[Any]:
    """The programs among the settings of an operation."""
    if isinstance(value, tuple | list):
        return [part for entry in value for part in _programs(entry)]
    value = _bare(value)
    return [value] if hasattr(value, "eqns") else []
