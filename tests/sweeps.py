"""Sweeps that several tests make, also in processes of their own."""

import equinox as eqx
import jax
import jax.numpy as jnp
import xarray as xr

from jaxspin.sweeps import Stepwise, grid, sweep


def draw(scale, seed):
    """A point's spins and their sum, cheap to compile."""
    spins = scale * jax.random.normal(jax.random.key(seed), (2, 3))
    return {"spins": spins, "total": jnp.sum(spins)}


DESIGN = grid(scale=[0.5, 1.0, 2.0], seed=range(5))


def run(function, design, store, **options):
    options = {"batch": 4, "progress": False} | options
    with sweep(function, design, store=store, **options) as found:
        return found.load()


def same(one, other):
    """Two sweeps, but for when and by which command they were made."""
    xr.testing.assert_identical(one.drop_attrs(), other.drop_attrs())
    assert one.attrs["sweep"] == other.attrs["sweep"]


def counter(limit=1000):
    """x is halved n times."""
    return Stepwise(
        start=lambda n, bad=-1: {"n": n, "k": jnp.zeros_like(n), "x": jnp.ones(2), "bad": jnp.asarray(bad)},
        advance=lambda s: {
            **s,
            "k": s["k"] + 1,
            "x": eqx.error_if(s["x"], (s["bad"] == 1) & (s["k"] == 2), "the step is too long; halve it.")
            * jnp.where((s["bad"] == 2) & (s["k"] == 1), jnp.nan, 0.5),
        },
        done=lambda s: s["k"] >= s["n"],
        result=lambda s: {"x": s["x"], "pieces": s["k"]},
        limit=limit,
    )
