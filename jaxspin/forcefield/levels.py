"""Learnt levels that are filled to a common Fermi level: the energy of a metal, beyond a sum over sites."""

import functools
import itertools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, PRNGKeyArray

from jaxspin.arrays.precision import EXACT
from jaxspin.electrons import fermi
from jaxspin.electrons.ensemble import check_partial
from jaxspin.lattice import Lattice

Levels = Float[Array, "*n k"]


class LearntLevels(nnx.Module):
    """Energies of sites whose electrons share a Fermi level: a network on the features h_i makes a local density of
    states, K levels e_k(h_i) with weights w_k(h_i) >= 0, sum_k w_k = 2 (two spin orbitals a site), and

        E = max_mu { sum_i omega_i(mu) + 2 n N mu },  omega_i(mu) = -D sum_k w_k(h_i) ln(1 + exp((mu - e_k(h_i))/D)).

    What a metal far away does to a site it does by moving mu: a sum of energies that each site has by itself cannot say
    so, and one network here serves other fillings n by `at`. mu is stationary, so that fields need no derivative of it;
    their derivatives with respect to the weights have it. Extensive, and as invariant as the features are.

    `features` inputs, `hidden` layer widths, `levels` K, `filling` n in units of the spin orbitals, `temperature` T.
    D^2 = T^2 + d^2 with a learnt width d. Energies in the units that the force field sets. A network of
    `BehlerParrinello`: `(sites, features) -> (sites,)`, whose sum is E; `occupied` `(sites,)` is 0 at vacancies.

    Raises `ValueError` for a filling outside (0, 1), a negative temperature or fewer than two levels.
    Source: a common Fermi level of local densities of states: W. Yang, Phys. Rev. Lett. 66, 1438 (1991),
    10.1103/PhysRevLett.66.1438; a learnt Fermi level beside learnt surroundings: jaxspin.

    Example:
        >>> network = js.forcefield.LearntLevels(3, (4,), filling=0.25, key=jax.random.key(0))
        >>> network(jnp.ones((5, 3))).shape, round(float(jnp.sum(network(jnp.ones((5, 3))))), 5)
        ((5,), 0.0)
    """

    def __init__(
        self,
        features: int,
        hidden: Sequence[int],
        *,
        filling: float,
        temperature: float = 0.0,
        levels: int = 8,
        key: PRNGKeyArray,
        dtype=None,
    ):
        _check(filling, temperature)
        if levels < 2:
            raise ValueError(f"{levels} level cannot be filled in part; use levels=8.")
        dtype = jnp.result_type(float) if dtype is None else dtype
        rngs = nnx.Rngs(key)
        sizes = (features, *hidden)
        dense = functools.partial(nnx.Linear, param_dtype=dtype, precision=EXACT, rngs=rngs)
        self.hidden = nnx.List([dense(a, b) for a, b in itertools.pairwise(sizes)])
        self.output = dense(sizes[-1], 2 * levels, use_bias=False, kernel_init=nnx.initializers.zeros_init())
        # an even ladder to begin with: weights and positions of the levels of a site without features
        ladder = np.stack([np.zeros(levels), np.linspace(-1, 1, levels)])
        self.ladder = nnx.Param(jnp.asarray(SPAN * ladder, dtype))
        self.width = nnx.Param(jnp.asarray(np.log(2 * SPAN / levels), dtype))
        self.levels, self.filling, self.temperature = levels, float(filling), float(temperature)
        self.zero = _of_ladder(levels, self.filling, self.temperature)

    def at(self, *, filling: float | None = None, temperature: float | None = None) -> "LearntLevels":
        """The same levels, filled by other electrons; None: as before. Raises `ValueError` as the constructor does."""
        filling = self.filling if filling is None else float(filling)
        temperature = self.temperature if temperature is None else float(temperature)
        _check(filling, temperature)
        graph, state = nnx.split(self)
        copy = nnx.merge(graph, state)
        copy.filling, copy.temperature = filling, temperature
        return copy

    def __call__(
        self, features: Float[Array, "*n f"], occupied: Float[Array, "*n"] | None = None
    ) -> Float[Array, "*n"]:
        return self.energies(self.parts(features), occupied)

    def parts(self, features: Float[Array, "*n f"]) -> Float[Array, "*n parts"]:
        """What the network makes of each site by itself: logarithms of the weights, then positions."""
        x = features
        for layer in self.hidden:
            x = jax.nn.silu(layer(x))
        return self.output(x)

    def local_levels(self, parts: Float[Array, "*n parts"]) -> tuple[Levels, Levels]:
        """(e_k, w_k) of each site."""
        ladder = jnp.broadcast_to(self.ladder[...].astype(parts.dtype).ravel(), parts.shape)
        logarithms, levels = jnp.split(ladder + parts, 2, axis=-1)
        return levels, 2 * jax.nn.softmax(logarithms, axis=-1)

    def fermi_level(self, parts: Float[Array, "*n parts"], occupied: Float[Array, "*n"] | None = None) -> Array:
        """mu, at which the levels of all sites hold 2 n N electrons."""
        levels, weights = self.local_levels(parts)
        if occupied is not None:
            weights = weights * occupied[..., None]
        count = self.filling * jnp.sum(weights)
        return fermi.crossing(levels, weights, count, self.broadening(parts.dtype))

    def energies(
        self, parts: Float[Array, "*n parts"], occupied: Float[Array, "*n"] | None = None
    ) -> Float[Array, "*n"]:
        """omega_i(mu) + 2 n mu of each site, less that of the untrained ladder."""
        return self.energies_at(parts, self.fermi_level(parts, occupied))

    def energies_at(self, parts: Float[Array, "*n parts"], mu: Float[Array, ""]) -> Float[Array, "*n"]:
        """The same at any mu: the sum over the sites is largest at `fermi_level`."""
        width = self.broadening(parts.dtype)
        levels, weights = self.local_levels(parts)
        grand = -width * jnp.sum(weights * jax.nn.softplus((mu - levels) / width), axis=-1)
        return grand + 2 * self.filling * mu - self.zero

    def settings(self) -> dict[str, Any]:
        """What a stored force field needs to make the network again."""
        hidden = [layer.kernel.shape[-1] for layer in self.hidden]
        return {
            "hidden": hidden,
            "levels": self.levels,
            "filling": self.filling,
            "temperature": self.temperature,
            "zero": self.zero,
        }

    @staticmethod
    def from_settings(
        settings: dict[str, Any], lattice: Lattice, features: int, *, key: PRNGKeyArray, dtype
    ) -> "LearntLevels":
        """The untrained network described by `settings()`, for so many features."""
        own = {name: settings[name] for name in ("hidden", "levels", "filling", "temperature")}
        network = LearntLevels(features, **own, key=key, dtype=dtype)
        network.zero = settings["zero"]
        return network

    def broadening(self, dtype=None) -> Float[Array, ""]:
        """D, the width over which a level fills."""
        learnt = jnp.exp(self.width[...].astype(self.width[...].dtype if dtype is None else dtype))
        return jnp.sqrt(learnt**2 + self.temperature**2)


def _of_ladder(levels: int, filling: float, temperature: float) -> float:
    """The energy of a site of the untrained ladder."""
    ladder, width = np.linspace(-SPAN, SPAN, levels), math.hypot(2 * SPAN / levels, temperature)
    weights = np.full(levels, 2 / levels)
    mu, low, high = 0.0, -SPAN - 100 * width, SPAN + 100 * width
    for _ in range(100):
        mu = (low + high) / 2
        filled = np.sum(weights / (1 + np.exp(np.clip((ladder - mu) / width, -500, 500))))
        low, high = (mu, high) if filled < 2 * filling else (low, mu)
    return float(-width * np.sum(weights * np.logaddexp(0, (mu - ladder) / width)) + 2 * filling * mu)


def _check(filling: float, temperature: float) -> None:
    check_partial(filling)
    if not temperature >= 0:
        raise ValueError(f"temperature must not be negative, got {temperature}; use 0 for the ground state.")


# Half the width of the ladder of levels, in the units of energy that training sets.
SPAN = 3.0
