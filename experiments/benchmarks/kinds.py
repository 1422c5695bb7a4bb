"""Fields of every kind, on lattices of any size: classical, those that come with the package, untrained networks."""

import functools
import threading
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import jaxspin as js
from experiments.benchmarks.programs import Program


def _classical() -> js.AbstractField:
    lattice = js.square(8)
    return js.Exchange(lattice, 1.0) + js.DzyaloshinskiiMoriya(lattice, 0.3) + js.Anisotropy(0.1)


def _messages() -> js.AbstractField:
    lattice = js.square(16)
    network = eqx.filter_eval_shape(lambda: js.forcefield.MessagePassing(lattice, key=jax.random.key(0)))
    return js.BehlerParrinello(lattice, drawn(network))


def _on(descriptor: js.descriptors.AbstractDescriptor) -> js.AbstractField:
    model = js.BehlerParrinello(descriptor)
    return eqx.tree_at(lambda m: m.network, model, drawn(model.network))


# Those that come with the package, the fast ones first.
_SHIPPED = sorted(js.forcefield.pretrained_names(), key=lambda name: ("fast" not in name and "120" not in name, name))
CLASSICAL = ("exchange", "exchange-dmi-anisotropy")
MAKERS: dict[str, Callable[[], Any]] = {
    "exchange": lambda: js.Exchange(js.square(8), (1.0, -0.3)),
    "exchange-dmi-anisotropy": _classical,
    **{name: functools.partial(js.pretrained, name) for name in _SHIPPED[:4]},
    "message-passing": _messages,
    **{name: functools.partial(js.pretrained, name) for name in _SHIPPED[4:]},
    "bispectrum-of-bonds": lambda: _on(js.Bispectrum(js.square(8), 1.0, 1.0, bispectrum=False)),
    "bispectrum": lambda: _on(js.Bispectrum(js.square(16))),
    "local-moments": lambda: _on(js.LocalMoments(js.square(16), 1.0)),
    "local-electrons": lambda: _on(js.LocalElectrons(js.square(16), 1.0, filling=0.3)),
}


def drawn(network: Any) -> Any:
    """A network, or its shapes, with random weights: an untrained one is zero, and says nothing of rounding."""
    numbers = np.random.default_rng(0)

    def draw(x: Any) -> Any:
        if not (isinstance(x, jax.ShapeDtypeStruct) or eqx.is_inexact_array(x)):
            return x
        # each sum of unit variance, with small offsets
        size = 0.1 if len(x.shape) == 1 else 1 / np.sqrt(np.prod(x.shape[:-1]))
        return jnp.asarray(size * numbers.normal(size=x.shape), x.dtype)

    return jax.tree.map(draw, network, is_leaf=lambda x: isinstance(x, jax.ShapeDtypeStruct))


_one_at_a_time = threading.Lock()


@functools.cache
def _made(kind: str) -> Any:
    return MAKERS[kind]()


def field_of(kind: str, side: int) -> Any:
    """The field of a kind on side x side sites; between leads on a channel as wide as it is used to, of as many."""
    with _one_at_a_time:  # several threads ask for it
        field = _made(kind)
    lattice = field.lattice
    if all(lattice.periodic):
        return field.on(lattice.resize(side, side))
    width = lattice.cells[1]
    return field.on(lattice.resize(side * side // width, width))


def spins_on(lattice: js.Lattice, seed: int) -> jax.Array:
    """Random spins in single precision."""
    return js.random_spins(lattice, key=jax.random.key(seed), dtype=jnp.float32)


def program(function: Callable[..., Any], field: Any, arguments: tuple, device: Any) -> Program:
    """`function(field, *arguments)` compiled for a device, the arrays in the field being arguments as well.

    As constants of the program the compiler would compute with them for minutes.
    """
    arrays, rest = eqx.partition(field, eqx.is_array)

    def call(arrays: Any, *arguments: Any) -> Any:
        return function(eqx.combine(arrays, rest), *arguments)

    return Program.of(call, jax.device_put((arrays, *arguments), device))
