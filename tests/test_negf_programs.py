"""The programs of driven channels: small ones, compiled once, of products and roots that are right."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin.lattice as lattices
from jaxspin.electrons import GreensFunction, SDModel, WideBand
from jaxspin.electrons.negf.linalg import inverse, multiply
from jaxspin.electrons.negf.rows import flattened
from jaxspin.electrons.negf.surfaces import square_root
from jaxspin.textures import ferromagnet
from tests.helpers import counting_compilations

CHAIN = lattices.chain(6, periodic=False)
SOLVER = GreensFunction(SDModel(CHAIN), leads=(WideBand("left"), WideBand("right")), voltage=0.5, temperature=0.1)


@pytest.mark.parametrize(("name", "most"), [("field", 1800), ("currents", 1500), ("bond_currents", 2000)])
def test_a_channel_compiles_to_a_small_program(name, most):
    """Each operation takes nearly a millisecond of XLA's time: there were 2401, 2097 and 2650 of them."""
    question = getattr(SOLVER, name)
    text = jax.jit(lambda s: question(s)).lower(ferromagnet(CHAIN)).as_text()
    assert text.count(" = ") < most


def test_each_question_is_one_program():
    """Bond currents were put together outside the program, by 35 others."""
    spins, other = ferromagnet(CHAIN), ferromagnet(CHAIN, (1.0, 0.0, 0.0))
    with counting_compilations() as programs:
        SOLVER.bond_currents(spins)
    assert len(programs) <= 3
    with counting_compilations() as programs:
        SOLVER.bond_currents(other)
    assert programs == []


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize("size", [2, 5, 64])
def test_products_and_inverses(size, dtype):
    """Those of a single site are written out, those of large matrices in single precision go through real ones."""
    rng = np.random.default_rng(size)
    whole, b = (rng.normal(size=(size, size)) + 1j * rng.normal(size=(size, size)) for _ in range(2))
    a = 2 * np.linalg.qr(whole)[0]
    one, other = jnp.asarray(a, dtype), jnp.asarray(b, dtype)
    close = {"rtol": 0, "atol": 20 * size * np.finfo(dtype).eps}
    np.testing.assert_allclose(multiply(one, other), a @ b, **close)
    x, slope = jax.jvp(inverse, (one,), (other,))
    np.testing.assert_allclose(x, np.linalg.inv(a), **close)
    np.testing.assert_allclose(slope, -np.linalg.inv(a) @ b @ np.linalg.inv(a), **close)
    assert x.dtype == slope.dtype == dtype
    # a pivot of zero
    np.testing.assert_allclose(inverse(jnp.flip(jnp.eye(size, dtype=dtype), 0)), np.eye(size)[::-1], atol=0)


def test_square_root():
    """On both sides of its cut and near it, and its derivative."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=200) + 1j * rng.normal(size=200) * 10.0 ** rng.uniform(-18, 0, 200)
    z = np.concatenate([z, [-1 + 0j, complex(-1, -0.0), 1, 1j, -1j]])
    root, slope = jax.jvp(square_root, (jnp.asarray(z),), (jnp.asarray(np.conj(z)),))
    np.testing.assert_allclose(root, np.sqrt(z), rtol=1e-15)
    np.testing.assert_allclose(slope, np.conj(z) / (2 * np.sqrt(z)), rtol=1e-14)


def test_a_row_is_taken_apart_as_it_was_put_together():
    def function(x):
        return {"complex": 1j * x.astype(complex).reshape(2, 1, 3), "real": (x[:2], jnp.sum(x))}

    x = jnp.arange(6.0)
    flat, restore = flattened(function, x)
    assert flat(x).shape == (12 + 2 + 1,)
    jax.tree.map(np.testing.assert_array_equal, restore(flat(x)), function(x))
