"""Networks of force fields, as Flax NNX modules: from the features of sites to one number a site."""

import abc
import functools
import itertools
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, PRNGKeyArray

from jaxspin.arrays.precision import EXACT
from jaxspin.lattice import Lattice


@functools.partial(jax.jit, static_argnames=("features", "hidden", "dtype"))
def multilayer_perceptron(
    features: int, hidden: tuple[int, ...], *, key: PRNGKeyArray, dtype=None
) -> "MultilayerPerceptron":
    """`MultilayerPerceptron`, its weights drawn in one program."""
    return MultilayerPerceptron(features, hidden, key=key, dtype=dtype)


class MultilayerPerceptron(nnx.Module):
    """Dense layers with SiLU between them, smooth as an energy must be; the last one starts at zero.

    `features` inputs, `hidden` layer widths, one output: `(..., features) -> (...)`. Weights are drawn with `key`, in
    the precision `dtype` (None: JAX's own). The default network of `BehlerParrinello`; any other NNX module with the
    same call takes its place there.

    Raises `ValueError` for no features, and for layers without a width.

    Source of SiLU: S. Elfwing, E. Uchibe and K. Doya, Neural Netw. 107, 3 (2018), doi:10.1016/j.neunet.2017.12.012.

    Example:
        >>> network = js.forcefield.MultilayerPerceptron(3, (4,), key=jax.random.key(0))
        >>> network(jnp.ones((5, 3))).tolist()
        [0.0, 0.0, 0.0, 0.0, 0.0]
    """

    def __init__(self, features: int, hidden: Sequence[int], *, key: PRNGKeyArray, dtype=None):
        sizes = (features, *hidden)
        if min(sizes) < 1:
            raise ValueError(f"{features} features and layers {tuple(hidden)} make no network; give 1 or more of each.")
        dtype = jnp.result_type(float) if dtype is None else dtype
        rngs = nnx.Rngs(key)
        dense = functools.partial(nnx.Linear, param_dtype=dtype, precision=EXACT, rngs=rngs)
        self.hidden = nnx.List([dense(a, b) for a, b in itertools.pairwise(sizes)])
        self.output = dense(sizes[-1], 1, use_bias=False, kernel_init=nnx.initializers.zeros_init())

    def __call__(self, features: Float[Array, "*n f"]) -> Float[Array, "*n"]:
        x = features
        for layer in self.hidden:
            x = jax.nn.silu(layer(x))
        return self.output(x)[..., 0]

    @property
    def widths(self) -> tuple[int, ...]:
        """Of the hidden layers."""
        return tuple(layer.kernel.shape[-1] for layer in self.hidden)

    def settings(self) -> dict[str, Any]:
        """What a stored force field needs to make the network again."""
        return {"hidden": list(self.widths)}


class AbstractLatticeNetwork(nnx.Module):
    """A network that reads the whole lattice: the energy of a site from spins and features of all sites around it.

    Its descriptor is a `SpinVectors`, which hands it the spins and any other features. A subclass defines `energies`,
    `reach`, `settings` and `from_settings`, and in `check` raises `ValueError` for a lattice or a number of features
    that it was not made for. `MessagePassing` is one; a network of one site's features is any NNX module.

    Example:
        >>> network = js.forcefield.MessagePassing(js.chain(8), fields=1, layers=2, key=jax.random.key(0))
        >>> isinstance(network, js.forcefield.AbstractLatticeNetwork), network.reach(js.chain(8))
        (True, (3,))
    """

    @abc.abstractmethod
    def energies(
        self,
        lattice: Lattice,
        vectors: Float[Array, "3 sublattices *cells"],
        features: Float[Array, "features sublattices *cells"],
        trim: Sequence[bool] | None = None,
    ) -> Float[Array, "sublattices *left"]:
        """One number a site, invariant under rotations of all spins, of what lies within `reach` cells of it.

        Along axes that `trim` names the arrays are cut out of a larger lattice, and the cells within reach of their
        ends are left out; None: none.
        """

    def check(self, lattice: Lattice, features: int) -> None:
        """Raise `ValueError` for a lattice or a number of features beside the spins that it was not made for."""

    @abc.abstractmethod
    def reach(self, lattice: Lattice) -> tuple[int, ...]:
        """How many cells away a site is seen, along each axis."""

    @abc.abstractmethod
    def settings(self) -> dict[str, Any]:
        """What a stored force field needs to make the network again."""

    @staticmethod
    @abc.abstractmethod
    def from_settings(
        settings: dict[str, Any], lattice: Lattice, features: int, *, key: PRNGKeyArray, dtype
    ) -> "AbstractLatticeNetwork":
        """The untrained network described by `settings()`, for so many features beside the spins."""


def in_precision(module: nnx.Module, dtype) -> Any:
    """The module with its floating-point arrays in `dtype`, so that single-precision spins stay single."""
    return jax.tree.map(lambda x: x.astype(dtype) if eqx.is_inexact_array(x) else x, module)
