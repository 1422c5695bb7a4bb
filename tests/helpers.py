"""What several test files use."""

import contextlib
from collections.abc import Iterator

import jax
import numpy as np

from jaxspin.lattice import Lattice, chain, cubic, kagome, square, triangular

compiled = jax.jit

# a run of a few hundred steps, each rounding by some units in the last place of a double
RUN_ROUNDING = 1e-13


def by_precision(double, single):
    """A tolerance in the precision that the tests run in; `pytest --as-users` is in single."""
    return double if jax.config.jax_enable_x64 else single


# one of every dimension, with open edges, and one without right angles
LATTICES = [chain(5), square(4, 3), triangular(4, 3, periodic=(True, False)), kagome(3, 2), cubic(2, 3, 4)]
SKEWED = Lattice("oblique", ((2.0, 0.0), (0.3, 1.7)), ((0.0, 0.0), (1.0, 0.4)), (3, 4), (True, True))


class Killed(BaseException):
    """Not an exception that anything may take for a failure of its own."""


def distance(a, b):
    return float(np.max(np.abs(np.asarray(a) - np.asarray(b))))


def length_error(spins):
    return float(np.max(np.abs(np.linalg.norm(np.asarray(spins), axis=-1) - 1)))


def frames(lattice, number, dtype=np.float64):
    """The same unit vectors every time."""
    vectors = np.random.default_rng(number).normal(size=(number, *lattice.shape, 3))
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(dtype)


_compiled: list[str] = []  # by this process, in order; a listener cannot be taken back, so that there is only one


def _note(event: str, seconds: float, **about) -> None:
    if event == "/jax/core/compile/backend_compile_duration":
        _compiled.append(str(about.get("fun_name", "a program")))


jax.monitoring.register_event_duration_secs_listener(_note)


@contextlib.contextmanager
def counting_compilations() -> Iterator[list[str]]:
    """The names of the programs compiled within, single operations outside jit too; complete at the end of the block.

    Call a verb once, then again with new values (new keys, couplings, spins; arrays made before the block), and

        with counting_compilations() as compiled:
            verb(model, others)
        assert compiled == []
    """
    found: list[str] = []
    first = len(_compiled)
    try:
        yield found
    finally:
        found.extend(_compiled[first:])
