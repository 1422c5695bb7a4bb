"""Exchange by pairs: as the sum over all cells, in both programs, from lists with each pair once or from both ends."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

import jaxspin as js
from jaxspin.classical import bonds as bond_sums

# Sums of some tens of numbers in double precision.
ROUNDING = 1e-12
LATTICE = js.honeycomb(3, 2, periodic=(False, True))
MATRIX = np.arange(9.0).reshape(3, 3) / 10
# bonds within a cell, to the next, twice around the periodic axis, and beyond the open one
ENDS = [(0, 1, (0, 0)), (1, 0, (1, 0)), (0, 0, (-1, 3)), (1, 1, (0, 1)), (0, 1, (4, 0))]
NUMBERS = [(*ends, 0.3 - 0.2 * n) for n, ends in enumerate(ENDS)]
MATRICES = [(*ends, np.roll(MATRIX, n) if n else 0.7) for n, ends in enumerate(ENDS)]


def reversals(pairs):
    return [(j, i, tuple(-n for n in offset), np.transpose(J)) for i, j, offset, J in pairs]


def summed(lattice, pairs, spins):
    """E and B by loops over cells."""
    spins = np.asarray(spins)
    energy, field = 0.0, np.zeros_like(spins)
    for i, j, offset, J in pairs:
        J = J * np.eye(3) if np.ndim(J) == 0 else J
        for cell in np.ndindex(*lattice.cells):
            other = np.array(cell) + offset
            if all(p or 0 <= x < n for x, n, p in zip(other, lattice.cells, lattice.periodic, strict=True)):
                here, there = (*cell, i), (*(other % lattice.cells), j)
                energy -= spins[here] @ J @ spins[there]
                field[here] += J @ spins[there]
                field[there] += J.T @ spins[here]
    return energy, field


@jax.jit
def both_of(term, spins):
    return term.energy_and_field(spins)


@pytest.mark.parametrize("pairs", [NUMBERS, MATRICES], ids=["numbers", "matrices"])
@pytest.mark.parametrize("many", [48, 0], ids=["written out", "transforms"])
def test_energy_field_and_slopes_are_those_of_the_sum_over_cells(pairs, many, key, monkeypatch):
    monkeypatch.setattr(bond_sums, "_MANY", many)
    spins = js.random_spins(LATTICE, key=key)
    energy, field = summed(LATTICE, pairs, spins)

    @jax.jit
    def everything(term, spins):
        return term.energy_and_field(spins), eqx.filter_grad(lambda term: term.energy(spins))(term).pairs.strengths

    (found, found_field), slopes = everything(js.Exchange(LATTICE, pairs=pairs), spins)
    np.testing.assert_allclose(found, energy, atol=ROUNDING)
    np.testing.assert_allclose(found_field, field, atol=ROUNDING)
    # the energy is linear in every J
    for pair, slope in zip(pairs, slopes, strict=True):
        J = np.asarray(pair[3])
        J = J * np.eye(3) if slope.ndim > J.ndim else J
        np.testing.assert_allclose(np.sum(slope * J), summed(LATTICE, [pair], spins)[0], atol=ROUNDING)
        assert np.any(slope) or pair[2] == (4, 0)


def test_a_list_from_both_ends_counts_every_pair_once():
    term = js.Exchange(LATTICE, pairs=MATRICES)
    mixed = [pair for two in zip(reversals(MATRICES), MATRICES, strict=True) for pair in two]
    spins = js.random_spins(LATTICE, key=jax.random.key(1))
    for pairs in (mixed, [*MATRICES, *reversals(MATRICES)]):
        twice = js.Exchange(LATTICE, pairs=pairs)
        assert twice.pairs is not None
        assert len(twice.pairs.ends) == len(ENDS)
        np.testing.assert_allclose(both_of(twice, spins)[0], both_of(term, spins)[0], atol=ROUNDING)
    # numbers as they are printed
    i, j, offset, J = MATRICES[1]
    js.Exchange(LATTICE, pairs=[(i, j, offset, J), *reversals([(i, j, offset, J + 1e-6)])])


def test_numbers_may_be_traced(key):
    spins = js.random_spins(LATTICE, key=key)

    def energy(J, matrix):
        once = [(0, 1, (0, 0), J), (1, 1, (0, 1), matrix)]
        return js.Exchange(LATTICE, pairs=[*once, (1, 0, (0, 0), J), (1, 1, (0, -1), matrix.T)]).energy(spins)

    slopes = jax.jit(jax.grad(energy, argnums=(0, 1)))(0.3, jnp.asarray(MATRIX))
    np.testing.assert_allclose(slopes[0], -np.sum(spins[..., 0, :] * spins[..., 1, :]), atol=ROUNDING)
    one = spins[..., 1, :]
    np.testing.assert_allclose(slopes[1], -np.einsum("xyi,xyj->ij", one, np.roll(one, -1, 1)), atol=ROUNDING)


def test_pairs_say_what_shells_and_dzyaloshinskii_moriya_say(key):
    lattice = js.triangular(3, 4)
    spins, bonds = js.random_spins(lattice, key=key), lattice.shell(1)
    named = js.Exchange(lattice, (0.8, 0.1)) + js.DzyaloshinskiiMoriya(lattice, 0.5, "bulk")
    twist = [0.5 * np.cross(np.eye(3), (*b.vector, 0.0)).T for b in bonds]
    pairs = [(b.start, b.end, b.offset, 0.8 * np.eye(3) + d) for b, d in zip(bonds, twist, strict=True)]
    one = js.Exchange(lattice, (0.0, 0.1), pairs=pairs)
    for expected, found in zip(both_of(named, spins), both_of(one, spins), strict=True):
        np.testing.assert_allclose(found, expected, atol=ROUNDING)
    large = lattice.resize(6)
    up = js.textures.ferromagnet(large, (1.0, 2.0, 3.0))
    np.testing.assert_allclose(both_of(one.on(large), up)[0], both_of(named.on(large), up)[0], atol=1e-11)


REFUSED = [
    ([], "pairs is empty; give at least one"),
    ([(0, 1, (0, 0))], r"is no pair; give \(i, j, R, J\)"),
    ([(0, 1, (0.5, 0), 1.0)], r"is no pair; give \(i, j, R, J\)"),
    ([(0, 2, (0, 0), 1.0)], "has no atom 2 .*; count them from 0 to 1"),
    ([(0, 1, (0, 0, 0), 1.0)], r"R = \(0, 0, 0\) .* needs 2 entries, one per lattice vector"),
    ([(1, 1, (0, 0), 1.0)], "joins a site to itself; give that energy as a term of sites"),
    ([(0, 1, (0, 0), np.ones(3))], r"J of shape \(3,\) .* give a number or \(3, 3\)"),
    ([(0, 1, (0, 0), 1j)], "the J of a pair is complex"),
    ([(0, 1, (0, 0), np.nan)], "inf or nan; give finite"),
    ([(0, 1, (0, 0), 1.0), (0, 1, (0, 0), 1.0)], r"\(0, 1, \(0, 0\)\) is listed twice; give one J, the sum"),
    ([NUMBERS[0], *reversals(NUMBERS[:2])], r"from both ends, \(0, 1, \(-1, 0\)\) from one; give each pair once"),
    ([MATRICES[1], (0, 1, (-1, 0), MATRICES[1][3])], "must be the transpose of J_ij; give each"),
    ([(0, 1, (0, 0), 1.0), (1, 0, (0, 0), 1.01)], "make the two agree"),
]


@pytest.mark.parametrize("case", range(len(REFUSED)))
def test_what_is_no_list_of_pairs_is_refused_with_the_remedy(case):
    pairs, text = REFUSED[case]
    with pytest.raises(ValueError, match=text):
        js.Exchange(LATTICE, pairs=pairs)


def test_no_coupling_at_all_is_refused():
    with pytest.raises(ValueError, match=r"give one for each shell, .* or pairs="):
        js.Exchange(LATTICE)


def test_pairs_of_another_lattice_are_refused():
    pairs = js.Exchange(LATTICE, pairs=NUMBERS).pairs
    with pytest.raises(ValueError, match="has no atom 1"):
        js.Exchange(js.square(4), pairs=pairs)
    with pytest.raises(ValueError, match="needs 1 entries"):
        js.Exchange(js.Lattice("two", [[1.0]], [[0.0], [0.5]], [8], [True]), pairs=pairs)


@pytest.fixture
def unchecked():
    """As users have it: without the check of annotations that runs here."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def test_what_has_a_list_of_pairs_is_none(unchecked):
    chain = js.io.ExchangePairs([0], [0], [(1, 0, 0)], [np.eye(3)], ("Fe",), np.zeros((1, 3)), np.eye(3))
    with pytest.raises(TypeError, match=r"ExchangePairs is no list of pairs; give .* \.pairs\(\.\.\.\)"):
        js.Exchange(js.cubic(4), pairs=chain)
    with pytest.raises(TypeError, match=r"ExchangeCouplings is no list of pairs"):
        js.Exchange(js.chain(4), pairs=js.observables.ExchangeCouplings.of_pairs(js.chain(4), [(0, 0, (1,), 1.0)]))
