"""Learnt levels that are filled to a common Fermi level: the energy of a metal, beyond a sum over sites."""

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray

from jaxspin.arrays.precision import EXACT
from jaxspin.electrons import fermi
from jaxspin.electrons.ensemble import check_partial
from jaxspin.lattice import Lattice

Levels = Float[Array, "*n k"]


class LearntLevels(nnx.Module):
    """Energies of sites whose electrons share a Fermi level: a network on the features h_i makes a local density of
    states, K levels e_k(h_i) with weights w_k(h_i) >= 0, sum_k w_k = 2 (two spin orbitals a site), and

        E = max_mu { sum_i omega_i(mu) + 2 n N mu },  omega_i(mu) = -D sum_k w_k(h_i) ln(1 + exp((mu - e_k(h_i))/D)).

    What a metal far away does to a site it does by moving mu, which a sum of energies that each site has by itself
    cannot say. `at` has other electrons in the same levels: what these do is known only as far as it was learnt, and
    levels learnt at one filling are not those of another. Of data of several fillings or temperatures each
    configuration is learnt with its own electrons (`jaxspin.training.train`). mu is stationary, so that fields need no
    derivative of it; their derivatives with respect to the weights have it. Extensive, and as invariant as the features
    are.

    `features` inputs, `hidden` layer widths, `levels` K, `filling` n in units of the spin orbitals, `temperature` T in
    units of the hopping. D^2 = T^2 + d^2 with a learnt width d. A network of `BehlerParrinello`:
    `(sites, features) -> (sites,)`, whose sum is E less the energy of untrained levels, in units of `unit`, the energy
    that the force field counts as 1 (its `scale`), as levels are; `occupied` `(sites,)` is 0 at vacancies.

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
        self.reference = (self.filling, self.temperature)

    def at(self, *, filling: ArrayLike | None = None, temperature: ArrayLike | None = None) -> "LearntLevels":
        """The same levels, filled by other electrons; None: as before. Raises `ValueError` as the constructor does.

        Traced values stay traced, so that one program serves all fillings, and dE/dn = 2 N mu can be had by `jax.grad`.
        """
        filling = self.filling if filling is None else filling
        temperature = self.temperature if temperature is None else temperature
        _check(filling, temperature)
        graph, state = nnx.split(self)
        copy = nnx.merge(graph, state)
        copy.filling, copy.temperature = _kept(filling), _kept(temperature)
        return copy

    def made_for(self, *, filling: float, temperature: float) -> "LearntLevels":
        """`at`, as if made for these electrons: with them the energy of untrained levels is what counts as zero."""
        copy = self.at(filling=filling, temperature=temperature)
        copy.reference = (copy.filling, copy.temperature)
        return copy

    def __call__(
        self,
        features: Float[Array, "*n f"],
        occupied: Float[Array, "*n"] | None = None,
        unit: Float[Array, ""] | float = 1.0,
    ) -> Float[Array, "*n"]:
        return self.energies(self.parts(features), occupied, unit)

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

    def fermi_level(
        self,
        parts: Float[Array, "*n parts"],
        occupied: Float[Array, "*n"] | None = None,
        unit: Float[Array, ""] | float = 1.0,
    ) -> Float[Array, ""]:
        """mu in units of `unit`, at which the levels of all sites hold 2 n N electrons."""
        levels, weights = self.local_levels(parts)
        if occupied is not None:
            weights = weights * occupied[..., None]
        return _filled_to(levels, weights, self.filling, self.broadening(unit, parts.dtype))

    def energies(
        self,
        parts: Float[Array, "*n parts"],
        occupied: Float[Array, "*n"] | None = None,
        unit: Float[Array, ""] | float = 1.0,
    ) -> Float[Array, "*n"]:
        """omega_i(mu) + 2 n mu of each site, less that of untrained levels."""
        return self.energies_at(parts, self.fermi_level(parts, occupied, unit), unit)

    def energies_at(
        self, parts: Float[Array, "*n parts"], mu: Float[Array, ""], unit: Float[Array, ""] | float = 1.0
    ) -> Float[Array, "*n"]:
        """The same at any mu: the sum over the sites is largest at `fermi_level`."""
        levels, weights = self.local_levels(parts)
        held = _energy(levels, weights, mu, self.filling, self.broadening(unit, parts.dtype))
        return held - self._untrained(unit, parts.dtype)

    def _untrained(self, unit: Float[Array, ""] | float, dtype) -> Float[Array, ""]:
        """The energy of a site of the first ladder, with the electrons that the network was made for."""
        filling, temperature = self.reference
        width = jnp.sqrt(
            jnp.asarray((2 * SPAN / self.levels) ** 2, dtype) + (temperature / jnp.asarray(unit, dtype)) ** 2
        )
        levels = jnp.linspace(-SPAN, SPAN, self.levels, dtype=dtype)
        weights = jnp.full_like(levels, 2 / self.levels)
        return _energy(levels, weights, _filled_to(levels, weights, filling, width), filling, width)

    def settings(self) -> dict[str, Any]:
        """What a stored force field needs to make the network again."""
        hidden = [layer.kernel.shape[-1] for layer in self.hidden]
        return {
            "hidden": hidden,
            "levels": self.levels,
            "filling": self.filling,
            "temperature": self.temperature,
            "reference": list(self.reference),
        }

    @staticmethod
    def from_settings(
        settings: dict[str, Any], lattice: Lattice, features: int, *, key: PRNGKeyArray, dtype
    ) -> "LearntLevels":
        """The untrained network described by `settings()`, for so many features."""
        own = {name: settings[name] for name in ("hidden", "levels", "filling", "temperature")}
        network = LearntLevels(features, **own, key=key, dtype=dtype)
        network.reference = tuple(settings["reference"])
        return network

    def broadening(self, unit: Float[Array, ""] | float = 1.0, dtype=None) -> Float[Array, ""]:
        """D in units of `unit`, the width over which a level fills."""
        learnt = jnp.exp(self.width[...] if dtype is None else self.width[...].astype(dtype))
        return jnp.sqrt(learnt**2 + (self.temperature / jnp.asarray(unit, learnt.dtype)) ** 2)


def _filled_to(levels: Levels, weights: Levels, filling: ArrayLike, width: Float[Array, ""]) -> Float[Array, ""]:
    return fermi.crossing(levels, weights, filling * jnp.sum(weights), width)


def _energy(levels: Levels, weights: Levels, mu: Array, filling: ArrayLike, width: Array) -> Float[Array, "*n"]:
    """omega + 2 n mu of sites whose levels are the last axis."""
    return -width * jnp.sum(weights * jax.nn.softplus((mu - levels) / width), axis=-1) + 2 * filling * mu


def _kept(value: ArrayLike) -> Any:
    """A number is compiled in and stored, a traced one is an argument of the program."""
    return nnx.data(value) if isinstance(value, Tracer) else nnx.static(float(np.asarray(value)))


def _check(filling: ArrayLike, temperature: ArrayLike) -> None:
    if not isinstance(filling, Tracer):
        check_partial(float(np.asarray(filling)))
    if not isinstance(temperature, Tracer) and not float(np.asarray(temperature)) >= 0:
        raise ValueError(f"temperature must not be negative, got {temperature}; use 0 for the ground state.")


# Half the width of the ladder of levels, in the units of energy that training sets.
SPAN = 3.0
