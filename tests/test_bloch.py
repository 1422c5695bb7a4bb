"""Electrons over a repeated texture: equal to the repeated lattice, with its derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin as js
from jaxspin.electrons import BlochDiagonalization, Hopping, kinetic, rashba

# Of energies of order one, sums over a hundred levels.
ROUNDING = 1e-11


def solver(lattice, **ensemble):
    return js.ExactDiagonalization(js.SDModel(lattice, 1.0, 3.0), temperature=0.05, **(ensemble or {"filling": 0.25}))


@pytest.mark.parametrize("ensemble", [{"filling": 0.25}, {"chemical_potential": -3.0}])
@pytest.mark.parametrize(("cells", "even"), [((2, 2), True), ((2, 2), False), ((3, 1), False)])
def test_equals_the_repeated_lattice(key, ensemble, cells, even):
    small, large = js.triangular(*cells), js.triangular(3 * cells[0], 3 * cells[1])
    spins = js.random_spins(small, key=key)
    energy, field = BlochDiagonalization(solver(small, **ensemble), 3, even=even).energy_and_field(spins)
    whole, fields = solver(large, **ensemble).energy_and_field(jnp.tile(spins, (3, 3, 1, 1)))
    assert float(energy) == pytest.approx(float(whole) / 9, abs=ROUNDING)
    np.testing.assert_allclose(jnp.tile(field, (3, 3, 1, 1)), fields, atol=ROUNDING)


EVEN_OR_NOT = {
    "Rashba": (js.square(2), lambda x: (*kinetic(x, 1.0), *rashba(x, 0.5)), False),
    "complex": (js.square(2), lambda x: kinetic(x, 1.0, 0.3j), False),
    "uneven": (
        js.square(2),
        lambda x: [Hopping(b, np.array([[1.0, 0.3], [0.6, 0.2]])) for b in x.shell(1)],
        False,
    ),
    "one spin": (js.square(2), lambda x: [Hopping(b, 1.0, np.diag([1.0, 0.5])) for b in x.shell(1)], True),
    "uniform array": (js.chain(2), lambda x: [Hopping(x.shell(1)[0], np.array([0.7 + 0j, 0.7]))], True),
}


@pytest.mark.parametrize("case", EVEN_OR_NOT)
def test_even_is_taken_only_where_it_holds(case, key):
    """k and -k have the same levels where even=True is taken, others where it is refused."""
    lattice, hoppings, even = EVEN_OR_NOT[case]
    spins = np.asarray(js.random_spins(lattice, key=key))
    model = js.SDModel(lattice, tuple(hoppings(lattice)), 2.0)
    k = np.full(lattice.dimension, 1 / 3)
    levels = np.linalg.eigvalsh(np.asarray(jnp.stack([model.dense(spins, jnp.asarray(q)) for q in (k, -k)])))
    assert np.allclose(levels[0], levels[1], atol=1e-10) == even
    electrons = js.ExactDiagonalization(model, filling=0.25, temperature=0.05)
    if even:
        assert BlochDiagonalization(electrons, 3, even=True).even
        return
    with pytest.raises(ValueError, match=r"not their own image .* leave out even=True"):
        BlochDiagonalization(electrons, 3, even=True)


@pytest.mark.parametrize("ordered", [True, False])
def test_derivatives(key, ordered):
    """The field is that of the energy, and its own derivative holds in the perfect order, where levels coincide."""
    lattice = js.triangular(2)
    electrons = BlochDiagonalization(solver(lattice), 3, even=True)
    spins = js.textures.tetrahedral(lattice) if ordered else js.random_spins(lattice, key=key)
    push, weight = jax.random.normal(key, (2, *spins.shape))

    @jax.jit
    def measures(x):
        energy, field = electrons.energy_and_field(spins + x * push)
        return jnp.stack([energy, jnp.sum(weight * field)])

    slopes = jax.jacrev(measures)(0.0)
    step = 1e-4
    np.testing.assert_allclose(slopes, (measures(step) - measures(-step)) / (2 * step), rtol=1e-5, atol=1e-7)
    assert float(slopes[0]) == pytest.approx(-float(jnp.sum(push * electrons.field(spins))), abs=ROUNDING)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BlochDiagonalization(solver(js.triangular(2)), 0), "give at least 1"),
        (lambda: BlochDiagonalization(solver(js.triangular(3)), 2, even=True), "leave out even=True"),
        (lambda: BlochDiagonalization(solver(js.triangular(2, periodic=False)), 2), "build it with periodic=True"),
        (
            lambda: BlochDiagonalization(js.ExactDiagonalization(js.SDModel(js.triangular(2)), filling=0.5), 2),
            "use 0.02, say",
        ),
        (
            lambda: BlochDiagonalization(
                js.ExactDiagonalization(
                    js.SDModel(js.triangular(2), occupied=np.ones((2, 2, 1), bool)), filling=0.5, temperature=0.1
                ),
                2,
            ),
            "on the whole lattice",
        ),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()
