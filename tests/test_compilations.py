"""A public verb called twice with new values compiles nothing the second time."""

import jax
import jax.numpy as jnp

from tests.helpers import counting_compilations


def test_compilations_are_counted():
    double = jax.jit(lambda x: 2 * x)
    here, there = jnp.ones(3), jnp.zeros(3)
    with counting_compilations() as compiled:
        double(here)
    assert compiled == ["jit(<lambda>)"]
    with counting_compilations() as compiled:
        double(there)
    assert compiled == []
    with counting_compilations() as compiled:
        jax.jit(lambda x: 2 * x)(there)
    assert len(compiled) == 1
