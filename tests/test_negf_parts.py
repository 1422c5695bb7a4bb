"""Parts of the driven solver: frequencies, integrals, leads, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import digamma

import jaxspin.lattice as lattices
from experiments.benchmarks import negf as benchmark
from experiments.driven import torque_decomposition
from experiments.stages.channel import Leads
from jaxspin.electrons import Crystal, GreensFunction, SDModel, WideBand
from jaxspin.electrons.negf import poles, quadrature
from jaxspin.electrons.negf.poles import error, matsubara, number_for
from jaxspin.electrons.negf.slices import cut
from jaxspin.electrons.negf.surfaces import chain_surface, decimate, lead_modes, lead_slices

CHAIN = lattices.chain(4, periodic=False)
ENDS = (WideBand("left"), WideBand("right"))


@pytest.mark.parametrize("broadening", [0.0, 30.0])
def test_frequencies_give_the_occupation(broadening):
    """1/2 + 2 Re sum_p W_p/(i pi x_p - z): of sharp levels, and of broad ones with their 1/E^2 tails (digamma)."""
    x, weights = matsubara(24)
    levels = np.linspace(-150, 150, 31)
    z = levels - 1j * broadening
    found = 0.5 + 2 * np.real(weights @ (1 / (1j * np.pi * x[:, None] - z[None])))
    # sum_n [1/(n + a) + c.c.] differences: Re of the digamma function
    expected = 0.5 - np.imag(digamma(0.5 + 1j * z / (2 * np.pi))) / np.pi
    if broadening == 0:
        np.testing.assert_allclose(expected, 0.5 * (1 - np.tanh(levels / 2)), atol=1e-12)
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_enough_frequencies_are_taken(monkeypatch):
    assert number_for(1e-6, 100.0, 20.0) < number_for(1e-12, 100.0, 20.0) < number_for(1e-12, 1000.0, 20.0)
    assert error(number_for(1e-6, 500.0, 0.0), 500.0, 0.0) <= 1e-6
    # the largest numbers take seconds each
    monkeypatch.setattr(poles, "_NUMBERS", poles._NUMBERS[:5])
    with pytest.raises(ValueError, match="raise temperature or tolerance"):
        number_for(1e-12, 1e7, 0.0)


def test_integrals_and_their_errors(key):
    """A sharp resonance, a square root at an edge: within the estimate, which is within the tolerance."""
    edges = jnp.array([-1.0, 0.3, 2.0])

    def integrand(w):
        root = jnp.sqrt(jnp.maximum(w - 0.3, 0))
        return {"peak": 0.01 / ((w - 0.5) ** 2 + 1e-4), "root": jnp.stack([root, w**2])}

    exact = {
        "peak": np.arctan(150.0) + np.arctan(150.0),
        "root": np.array([2 / 3 * 1.7**1.5, 3.0]),
    }
    found = jax.jit(lambda e: quadrature.adapt(integrand, e, tolerance=1e-9, most=64, batch=4))(edges)
    off = jax.tree.map(lambda a, b: float(np.max(np.abs(a - b))), found.value, exact)
    assert max(off.values()) < 1e-9
    assert float(found.error) <= 1e-9
    again = jax.jit(lambda p: quadrature.repeat(integrand, p, batch=4))(found.panels)
    np.testing.assert_allclose(again["peak"], found.value["peak"], rtol=1e-13)
    few = jax.jit(lambda e: quadrature.adapt(integrand, e, tolerance=1e-9, most=8, batch=4))(edges)
    assert float(few.error) > 1e-9
    assert abs(float(few.value["peak"]) - exact["peak"]) < float(few.error)
    # exact for polynomials: 15 points of Gauss and Kronrod to degree 23, 7 of Gauss to degree 13
    for weights, degree in ((quadrature.KRONROD, 22), (quadrature.GAUSS, 12)):
        moments = [weights @ quadrature.NODES**n for n in range(0, degree + 1, 2)]
        np.testing.assert_allclose(moments, [2 / (n + 1) for n in range(0, degree + 1, 2)], atol=1e-14)


def test_a_square_crystal_in_closed_form_is_the_decimated_one():
    """At complex energies, where both are exact; and g solves its own equation on the triangular lattice."""
    lattice = lattices.square(4, 3, periodic=(False, False))
    modes = lead_modes(lattice, 0, 1, 2)
    assert modes is not None
    u, e, v = modes
    t = np.array([1.0, 0.2])
    z = jnp.asarray(-0.7 + 1e-3j)
    g = chain_surface(z + (t @ e).astype(complex), jnp.asarray(np.abs(t @ v) ** 2), jnp.ones(3))
    h, hop = (-np.tensordot(t, x, axes=1).astype(complex) for x in lead_slices(lattice, 0, 1, 2))
    decimated = jax.jit(lambda a, b: decimate(z, a, b, 20))(jnp.asarray(h), jnp.asarray(hop))
    np.testing.assert_allclose(u @ np.diag(g) @ u.conj().T, decimated, atol=1e-11)

    triangular = lattices.triangular(4, 3, periodic=(False, False))
    assert lead_modes(triangular, 0, 1, 1) is None
    assert lead_modes(lattices.triangular(4, 3, periodic=(False, True)), 0, 1, 1) is not None
    h, hop = (-x[0].astype(complex) for x in lead_slices(triangular, 0, 1, 1))
    g = np.asarray(jax.jit(lambda a, b: decimate(z, a, b, 20))(jnp.asarray(h), jnp.asarray(hop)))
    np.testing.assert_allclose(g, np.linalg.inv(complex(z) * np.eye(3) - h - hop @ g @ hop.T), atol=1e-11)
    assert np.imag(np.diagonal(g)).max() < 0


def test_the_retarded_root_is_taken_on_the_real_axis():
    """g of a chain: real outside the band and falling off as 1/E, of negative imaginary part within."""
    energies = jnp.array([-5.0, -2.0, -1.0, 0.0, 1.5, 2.0, 5.0]).astype(complex)
    g = np.asarray(chain_surface(energies, jnp.ones(7), jnp.ones(7)))
    x = np.asarray(jnp.real(energies))
    root = np.where(np.abs(x) > 2, np.sign(x) * np.sqrt(np.maximum(x**2 - 4, 0)), 1j * np.sqrt(np.maximum(4 - x**2, 0)))
    np.testing.assert_allclose(g, (x - root) / 2, atol=np.where(np.abs(x) == 2, 1e-7, 1e-14).max())
    slope = jax.grad(lambda a: jnp.sum(jnp.real(chain_surface(energies, a * jnp.ones(7), jnp.ones(7)))))(1.0)
    assert np.isfinite(slope)


@pytest.mark.parametrize(
    ("cells", "shells", "end", "thickness", "slices"),
    [(6, 1, 1, 1, 6), (6, 2, 1, 2, 3), (7, 2, 1, 2, 4), (7, 2, 2, 4, 2), (31, 2, 1, 2, 16), (2, 3, 1, 2, 1)],
)
def test_slices_are_as_thin_as_the_hoppings_allow(cells, shells, end, thickness, slices):
    """They need not divide the length; the last holds `end` cells at least; what is longer than the channel is none."""
    lattice = lattices.chain(cells, periodic=False)
    where = cut(lattice, tuple(b for n in range(shells) for b in lattice.shell(n + 1)), 0, end)
    assert (where.thickness, where.slices) == (thickness, slices)
    numbers = jnp.arange(1.0, cells + 1)
    np.testing.assert_array_equal(where.back(where.into(numbers[:, None]))[:, 0], numbers)
    np.testing.assert_array_equal(where.cells_back(where.cells_into(numbers)), numbers)
    assert [where.locate(site) for site in range(cells)] == [divmod(site, thickness) for site in range(cells)]
    full = where.full(None)
    assert (full is None) == (slices * thickness == cells)
    assert full is None or int(jnp.sum(full)) == cells


def test_what_makes_no_device_is_refused():
    model, closed = SDModel(CHAIN), SDModel(lattices.chain(4))
    with pytest.raises(ValueError, match="leads need names of their own"):
        GreensFunction(model, leads=(WideBand("left"), WideBand("left")), temperature=0.1)
    with pytest.raises(ValueError, match="leads need names of their own"):
        GreensFunction(model, leads=(), temperature=0.1)
    with pytest.raises(ValueError, match=r"no axis of the lattice is open; build it with periodic=\(False, True\)"):
        GreensFunction(closed, leads=ENDS, temperature=0.1)
    with pytest.raises(ValueError, match=r"temperature of the solver must be positive.*; 0.01 is cold"):
        GreensFunction(model, leads=ENDS, temperature=0.0)
    with pytest.raises(ValueError, match="temperature of lead 'left' must be positive"):
        WideBand("left", temperature=-1.0)
    with pytest.raises(ValueError, match="coupling of lead 'left' must be a number, zero or more"):
        WideBand("left", -1.0)
    with pytest.raises(ValueError, match="lead 'tip' sits nowhere; name it 'left' or 'right', or give sites=mask"):
        WideBand("tip")
    with pytest.raises(ValueError, match="must be a mask, got int64; make it with dtype bool"):
        WideBand("tip", sites=np.arange(3))
    with pytest.raises(ValueError, match=r"have shape \(3, 1\); give a mask of shape \(4, 1\)"):
        GreensFunction(model, leads=(WideBand("tip", sites=np.ones((3, 1), bool)),), temperature=0.1)
    with pytest.raises(ValueError, match="give sites='left' or 'right', or take WideBand"):
        Crystal("tip")
    with pytest.raises(ValueError, match="has 1 hoppings; give as many couplings"):
        Crystal("left", 1.0, coupling=(1.0, 2.0))
    with pytest.raises(ValueError, match=r"reaches further than that of the device; .*method='dense'"):
        GreensFunction(model, leads=(Crystal("left", (1.0, 0.5)),), temperature=0.1)
    with pytest.raises(ValueError, match="axis 0 is not an open axis"):
        GreensFunction(closed, leads=ENDS, temperature=0.1, axis=0)
    with pytest.raises(ValueError, match="choose 'recursive' or 'dense'"):
        GreensFunction(model, leads=ENDS, temperature=0.1, method="fast")
    with pytest.raises(ValueError, match="bath must be zero or a positive rate"):
        GreensFunction(model, leads=ENDS, temperature=0.1, bath=-0.1)
    with pytest.raises(ValueError, match="tolerance must lie between 0 and 1"):
        GreensFunction(model, leads=ENDS, temperature=0.1, tolerance=0.0)
    with pytest.raises(ValueError, match="broadening must be positive"):
        Crystal("left", broadening=0.0)
    solver = GreensFunction(model, leads=ENDS, temperature=0.1)
    spins = jnp.zeros((4, 1, 3))
    with pytest.raises(ValueError, match="there is no lead 'up'; choose one of left, right"):
        solver.transmission(spins, jnp.zeros(1), "up")
    with pytest.raises(ValueError, match="needs two different leads; give source= and drain="):
        solver.transmission(spins, jnp.zeros(1), "left", "left")
    with pytest.raises(ValueError, match="do not fit the chain lattice"):
        solver.field(jnp.zeros((5, 1, 3)))
    with pytest.raises(ValueError, match="give poles=, 32 suit most bands"):
        jax.jit(lambda t: GreensFunction(model, leads=ENDS, temperature=t).poles)(0.1)


@pytest.mark.slow
def test_the_experiment_and_the_benchmark_run(tmp_path):
    config = torque_decomposition.Config(
        output=tmp_path / "out", length=2, width=2, couplings=(1.0,), voltages=(0.0, 0.5), tolerance=1e-5,
        leads=Leads(mu=-2.0, temperature=0.05, lead=1.0, bath=0.2),
    )  # fmt: skip
    rows = torque_decomposition.run(config)["rows"]
    assert rows[0]["curl"] < 1e-9 < 1e-4 < rows[1]["curl"]
    assert rows[1]["current"] > 0.01
    assert (tmp_path / "out" / "torque_decomposition.png").stat().st_size > 1000
    small = benchmark.Config(
        output=tmp_path / "negf.json",
        lengths=(2, 3),
        widths=(2,),
        channel=(2, 2),
        tolerances=(1e-2,),
        dense_up_to=4,
        repeats=1,
        learnt=(),
    )
    found = benchmark.run(small)
    assert [row["method"] for row in found] == ["recursive", "recursive", "dense", "recursive"]
    with pytest.raises(FileExistsError, match="choose another --output"):
        benchmark.run(small)


def test_energies_of_the_benchmark_and_voltages_of_the_experiment():
    assert benchmark.solver_of(2, 2, tolerance=0.5, poles=16).energies_used(jnp.zeros((2, 2, 1, 3))) == 76
    with pytest.raises(ValueError, match="put 0 in front and sort them"):
        torque_decomposition.Config(voltages=(0.1, 0.2))
