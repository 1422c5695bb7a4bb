"""Functions made anew compile once where they do the same, and never answer for another that does not."""

import functools
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxspin import observables
from jaxspin.callables import by_content
from jaxspin.classical import Exchange, ZeemanPulse
from jaxspin.dynamics import Leaves, Relaxed, relax, simulate
from jaxspin.lattice import chain
from jaxspin.spins import random_spins
from tests.helpers import counting_compilations

WIDTH = 2.0
SETTINGS = types.ModuleType("settings")


def scaled(factor):
    return lambda x: factor * x


def same(first, second):
    return by_content(first) is by_content(second)


def test_equal_functions_are_one():
    assert same(scaled(2.0), scaled(2.0))
    assert same(functools.partial(jnp.sum, axis=0), functools.partial(jnp.sum, axis=0))
    assert same(
        functools.partial(observables.topological_charge, chain(4)),
        functools.partial(observables.topological_charge, chain(4)),
    )
    assert same(*(lambda t, s, n=n: jnp.mean(s) * n * np.pi for n in (3, 3)))
    values = jnp.arange(3.0)
    assert same(scaled(values), scaled(values))
    assert same(scaled(np.arange(3)), scaled(np.arange(3)))
    # inside pytrees too
    assert by_content(Leaves(scaled(1.0))).observable is by_content(Leaves(scaled(1.0))).observable


def test_functions_that_may_differ_are_two(monkeypatch):
    assert not same(scaled(2.0), scaled(3.0))
    assert not same(scaled(1), scaled(1.0))
    assert not same(scaled(0.0), scaled(-0.0))
    assert not same(scaled(np.arange(3)), scaled(np.arange(3) + 1))
    assert not same(scaled(jnp.arange(3)), scaled(jnp.arange(3)))
    assert not same(functools.partial(jnp.sum, axis=0), functools.partial(jnp.sum, axis=1))
    assert not same(functools.partial(jnp.sum, axis=0), functools.partial(jnp.mean, axis=0))
    # what may change in place is not compared
    assert not same(scaled([1]), scaled([1]))

    class Plain:
        factor = 1

    plain = Plain()
    assert not same(*(lambda x, p=plain: p.factor * x for _ in range(2)))

    def by_width():
        return lambda x: WIDTH * x

    def by_setting():
        return lambda x: SETTINGS.width * x

    SETTINGS.width = 1.0
    first, other = by_content(by_width()), by_content(by_setting())
    assert by_content(by_width()) is first
    assert by_content(by_setting()) is other
    monkeypatch.setitem(globals(), "WIDTH", 3.0)
    SETTINGS.width = 2.0
    assert by_content(by_width()) is not first
    assert by_content(by_setting()) is not other


def test_a_run_with_functions_made_anew_compiles_once():
    lattice = chain(6)
    spins = [random_spins(lattice, key=jax.random.key(n)) for n in range(2)]
    keys = [jax.random.key(n) for n in range(2)]

    def run(n, **settings):
        return simulate(Exchange(lattice, 1.0 + n), spins[n], duration=1.0, step=0.1, damping=0.1 + n, **settings)

    def runs(n):
        run(n, save=lambda t, s: (t, jnp.sum(s) * WIDTH), until=lambda t, s: t > 20.0)
        observed = run(
            n,
            temperature=lambda t: 0.01 * t**2,
            key=keys[n],
            until=Leaves(functools.partial(observables.magnetization), high=2.0 + n),
        )
        run(n, until=Relaxed(1e-9 * (1 + n)))
        pulsed = Exchange(lattice, 1.0 + n) + ZeemanPulse([1.0 + n, 0.0, 0.0], lambda t: jnp.exp(-(t**2)))
        simulate(pulsed, spins[n], duration=1.0, step=0.1)
        relax(pulsed, spins[n], tolerance=1e-3 * (1 + n), max_steps=5 + n)
        observed.map(lambda s: jnp.sum(s**2))
        observed.energy(Exchange(lattice, 1.0 + n))

    runs(0)
    with counting_compilations() as compiled:
        runs(1)
    assert compiled == []


def test_wrong_shapes_are_refused_with_the_remedy(key):
    lattice = chain(4)
    spins, field = random_spins(lattice, key=key), Exchange(lattice, 1.0)
    settings = {"duration": 1.0, "step": 0.1}

    with pytest.raises(ValueError, match="return one number, the same for all spins"):
        simulate(field, spins, temperature=lambda t: jnp.ones(4), key=key, **settings)
    with pytest.raises(ValueError, match="return one number, the same for all spins"):
        jax.eval_shape(
            lambda s: simulate(field, s, temperature=lambda t: jnp.ones(4), key=key, **settings).final, spins
        )
    with pytest.raises(ValueError, match="profile at a time has the shape"):
        simulate(field + ZeemanPulse([0.0, 0.0, 1.0], lambda t: jnp.ones(3)), spins, **settings)
