"""The density matrix of a driven channel: a part without bias on complex frequencies, and the window of the bias."""

import abc
import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxspin.arrays.precision import matmul, tensordot
from jaxspin.electrons.negf import quadrature, recursion
from jaxspin.electrons.negf.measures import AbstractMeasure, Found
from jaxspin.electrons.negf.poles import matsubara
from jaxspin.electrons.negf.quadrature import Panels
from jaxspin.electrons.negf.system import Setup, System

_POLES_AT_ONCE = 8


class AbstractIntegrand(abc.ABC):
    """What is integrated over the window of the bias."""

    @abc.abstractmethod
    def __call__(self, setup: Setup, system: System, energy: Array, driven: Array, watch: Array) -> Any:
        """What a unit of energy adds where lead a fills `driven[a]`, and beside it the same for `watch[a]`."""


@dataclasses.dataclass(frozen=True)
class Density(AbstractIntegrand):
    """What `measure` takes of rho, as `recursion.found` reads it."""

    measure: AbstractMeasure

    def __call__(self, setup, system, energy, driven, watch):
        return recursion.driven(setup, system, energy, jnp.stack([driven, watch]), self.measure)


@dataclasses.dataclass(frozen=True)
class Currents(AbstractIntegrand):
    """Electrons that leave each lead, and those of the watch."""

    def __call__(self, setup, system, energy, driven, watch):
        table, spectral = recursion.between(setup, system, energy)
        return driven * spectral - matmul(table, driven), matmul(table, watch)


def measured(setup: Setup, system: System, measure: AbstractMeasure) -> tuple[Found, Array]:
    """What `measure` takes of rho in each slice, and the error of the integral: NaN where it exceeds the tolerance."""
    value, error, _ = window(setup, Density(measure), system)
    rest, biased = undriven(setup, system, measure), recursion.found(system, measure, value)
    return _told(setup, system, {name: biased[name] + rest[name] for name in rest}, error), error


def currents(setup: Setup, system: System) -> tuple[Array, Array]:
    """Electrons that leave each lead, and the error of the integral: NaN where it is above the tolerance."""
    (current, _), error, _ = window(setup, Currents(), system)
    return _told(setup, system, current, error), error


def _told(setup: Setup, system: System, value: Any, error: Array) -> Any:
    good = error <= tolerance_of(setup, system)
    return jax.tree.map(lambda x: jnp.where(good, x, jnp.nan), value)


def tolerance_of(setup: Setup, system: System) -> float:
    """The tolerance, but no smaller than single precision resolves."""
    return max(setup.tolerance, 200 * float(jnp.finfo(system.mu.dtype).eps))


def undriven(setup: Setup, system: System, measure: AbstractMeasure) -> Found:
    """rho = 1/2 + T sum_p W_p [G(mu + i pi T x_p) + h.c.], mu and T of the reference."""
    x, weights = matsubara(setup.poles)
    mu, temperature = system.mu[-1], system.temperature[-1]
    chunk = min(_POLES_AT_ONCE, setup.poles)
    missing = -setup.poles % chunk
    x, weights = np.pad(x, (0, missing), constant_values=1.0), np.pad(weights, (0, missing))
    x, weights = (jnp.asarray(a.reshape(-1, chunk), mu.dtype) for a in (x, weights))

    @jax.jit
    @jax.checkpoint
    def some(x, weights):
        z = jax.lax.complex(jnp.broadcast_to(mu, x.shape), np.pi * temperature * x)
        parts = jax.vmap(lambda p: recursion.undriven(setup, system, p, measure))(z)
        return jax.tree.map(lambda g: tensordot(weights.astype(g.dtype), g, axes=1), parts)

    def add(total, here):
        return jax.tree.map(jnp.add, total, some(*here)), None

    shapes = jax.eval_shape(some, x[0], weights[0])
    start = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
    total = jax.lax.scan(add, start, (x, weights))[0]
    return measure.with_half({name: temperature.astype(g.dtype) * g for name, g in total.items()})


def _edges(setup: Setup, system: System) -> Array:
    """Ends of the window, chemical potentials and corners of the integrand within, ascending."""
    far = float(np.log(100 / tolerance_of(setup, system))) * system.temperature
    low, high = jnp.min(system.mu - far), jnp.max(system.mu + far)
    inner = jnp.concatenate([system.mu, system.edges])
    return jax.lax.stop_gradient(jnp.sort(jnp.clip(jnp.pad(inner, 1, constant_values=(-jnp.inf, jnp.inf)), low, high)))


def _at(setup: Setup, integrand: AbstractIntegrand, system: System, energy: Array) -> Any:
    """The integrand at an energy, and the watch, by which the error is judged: it has the same corners.

    The watch adds -T f' to f_a - f_ref, and so is never zero. Without a bias the integrand vanishes, but its derivative
    by the voltage does not, and needs panels that follow it.
    """
    f = jax.nn.sigmoid((system.mu - energy) / system.temperature)
    f, reference = f[:-1], f[-1]
    driven = (f - reference) / (2 * np.pi)
    slope = f * (1 - f) / (2 * np.pi)
    watch = jnp.sqrt(driven**2 + jax.lax.stop_gradient(slope) ** 2 + jnp.finfo(f.dtype).tiny)
    return integrand(setup, system, energy, driven, watch)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def window(setup: Setup, integrand: AbstractIntegrand, system: System) -> tuple[Any, Array, Panels]:
    """sum_a int dw/(2 pi) (f_a - f_ref) G Gamma_a G+, or the leads' currents: (value, error, panels)."""
    integral = quadrature.adapt(
        functools.partial(_at, setup, integrand, system),
        _edges(setup, system),
        tolerance=tolerance_of(setup, system),
        most=setup.max_panels,
        batch=setup.batch,
    )
    return integral.value, integral.error, integral.panels


@window.defjvp
def _window_jvp(setup: Setup, integrand: AbstractIntegrand, primals: tuple, tangents: tuple) -> tuple[Any, Any]:
    (system,), (moved,) = primals, tangents
    value, error, panels = window(setup, integrand, system)

    def again(system):
        at = functools.partial(_at, setup, integrand, system)
        return quadrature.repeat(at, panels, batch=setup.batch)

    _, change = jax.jvp(again, (system,), (moved,))
    unmoved = jax.tree.map(
        lambda x: jnp.zeros(x.shape, x.dtype if jnp.issubdtype(x.dtype, jnp.inexact) else jax.dtypes.float0), panels
    )
    return (value, error, panels), (change, jnp.zeros_like(error), unmoved)
