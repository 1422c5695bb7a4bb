"""Every kind of field as a function of its parameters, and the spins from which its runs start."""

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

import jaxspin as js

Parameters = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Case:
    """A field as a function of parameters, on a lattice."""

    lattice: js.Lattice
    parameters: Parameters
    build: Callable[[Parameters], js.AbstractField]


def cases(key: Array) -> dict[str, Callable[[], Case]]:
    """Every kind of field on a square of sixteen sites (a learnt one on the smallest that holds its neighbourhood)."""
    square = js.square(4)

    def classical() -> Case:
        one, two, three = jax.random.split(key, 3)
        parameters = {
            "exchange": 1 + 0.3 * jax.random.normal(one, (4, 4, 2)),
            "second exchange": jnp.asarray(-0.3),
            "Dzyaloshinskii-Moriya": 0.4 * jax.random.normal(two, (4, 4, 2)),
            "anisotropy": jnp.asarray(0.5),
            "axis of the anisotropy": jnp.asarray([0.2, 0.1, 1.0]),
            "applied field": 0.2 * jax.random.normal(three, (4, 4, 1, 3)),
        }

        def build(p):
            exchange = js.Exchange(square, (p["exchange"], p["second exchange"]))
            anisotropy = js.Anisotropy(p["anisotropy"], p["axis of the anisotropy"])
            chiral = js.DzyaloshinskiiMoriya(square, p["Dzyaloshinskii-Moriya"])
            return exchange + chiral + anisotropy + js.Zeeman(p["applied field"])

        return Case(square, parameters, build)

    def electrons(solver: str, ensemble: str) -> Case:
        parameters = {
            "hopping": jnp.asarray([1.0, 0.2]),
            "J": jnp.asarray(1.7),
            "site energies": 0.2 * jax.random.normal(key, (4, 4, 1)),
            "electron temperature": jnp.asarray(0.3),
            ensemble: jnp.asarray(0.37 if ensemble == "filling" else -1.3),
        }

        def build(p):
            model = js.SDModel(square, (p["hopping"][0], p["hopping"][1]), p["J"], potential=p["site energies"])
            state = {ensemble.replace(" ", "_"): p[ensemble], "temperature": p["electron temperature"]}
            if solver == "exact":
                return js.ExactDiagonalization(model, **state)
            return js.KernelPolynomial(model, probes=js.electrons.Coloring(4), order=64, window=(-9.0, 9.0), **state)

        return Case(square, parameters, build)

    def learnt(descriptor) -> Case:
        model = js.BehlerParrinello(descriptor=descriptor, hidden=(5,))
        weights, rest = eqx.partition(model.network, eqx.is_inexact_array)
        leaves, structure = jax.tree.flatten(weights)
        keys = jax.random.split(key, len(leaves))
        leaves = [0.7 * jax.random.normal(k, x.shape, x.dtype) for k, x in zip(keys, leaves, strict=True)]

        def build(p):
            return eqx.tree_at(lambda m: m.network, model, eqx.combine(p["weights"], rest))

        return Case(descriptor.lattice, {"weights": jax.tree.unflatten(structure, leaves)}, build)

    return {
        "classical": classical,
        "exact, fixed chemical potential": lambda: electrons("exact", "chemical potential"),
        "exact, fixed filling": lambda: electrons("exact", "filling"),
        "kernel polynomial, fixed chemical potential": lambda: electrons("kernel polynomial", "chemical potential"),
        "learnt, bispectrum": lambda: learnt(
            js.Bispectrum(js.square(4), radius=1.0, bond_radius=1.0, bond_length=1.0, bispectrum=False)
        ),
        "learnt, moments": lambda: learnt(js.LocalMoments(js.square(4), 2.0, hops=1, moments=4)),
        "kernel polynomial, fixed filling": lambda: electrons("kernel polynomial", "filling"),
    }


def starts(lattice: js.Lattice, key: Array) -> dict[str, Array]:
    """Random spins, and orders whose levels are degenerate."""
    return {
        "random": js.random_spins(lattice, key=key),
        "ferromagnet": js.textures.ferromagnet(lattice),
        "neel": js.textures.neel(lattice, (1.0, 0.0, 1.0)),
        "tetrahedral": js.textures.tetrahedral(lattice),
    }
