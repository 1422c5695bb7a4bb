"""Whatever takes spins looks at them first: every public function and method of the package, and a user's own field."""

import importlib
import inspect
import pkgutil
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin
from jaxspin import textures
from jaxspin.classical import Anisotropy, Exchange, Zeeman
from jaxspin.electrons import ExactDiagonalization, SDModel
from jaxspin.lattice import kagome, square
from jaxspin.observables import magnetization, structure_factor
from jaxspin.spins import as_spins, normalize, random_spins, tangent
from tests.test_field import Quartic, Swirl

LATTICE = square(4)
# Not doors but rooms behind them: their spins were looked at where they came in.
BEHIND = {
    "jaxspin.spins.checks": ("check_finite", "check_unit", "check_spins", "check_vectors", "as_spins"),
    "jaxspin.classical.bonds": ("over_bonds", "neighbors_of", "shared_out"),
    "jaxspin.classical.convolution": ("sum_over_pairs", "summed"),
    "jaxspin.classical.pairs": ("Pairs.field",),
    "jaxspin.classical.many_bonds": ("sum_over_bonds",),
    "jaxspin.classical.sites": ("at_every_site",),
    "jaxspin.dynamics.stored": ("run_to_store",),
    "jaxspin.dynamics.checks": ("check_state",),
    "jaxspin.dynamics.events": ("Relaxed", "Leaves"),
    "jaxspin.dynamics.memory": ("warn_of_frames",),
    "jaxspin.dynamics.plan": ("plan_run",),
    "jaxspin.devices.memory": ("memory_of",),
    "jaxspin.dynamics.program": ("Settings", "run_frames"),
    "jaxspin.dynamics.timestep": ("krylov",),
    "jaxspin.dynamics.implicit": ("AbstractMidpoint", "ImplicitMidpoint", "SphericalMidpoint"),
    "jaxspin.dynamics.llg": ("Push",),
    "jaxspin.dynamics.solvers": ("AbstractSpinSolver", "ProjectedHeun", "DepondtMertens", "SemiImplicit", "cayley"),
    "jaxspin.descriptors.chains": ("Chains.features", "Chains.pullback", "Chains.jacobian"),
    "jaxspin.descriptors.clusters": ("Recursion", "product_with", "orbital_at_center", "spinor_along"),
    "jaxspin.descriptors.invariants": ("term_values", "invariants"),
    "jaxspin.devices.cores": ("mesh_of_cores",),
    "jaxspin.forcefield.familiarity": ("distances_of", "learnt_from", "share_beyond", "standardization"),
    # without a body: those of the models are asked
    "jaxspin.electrons.base": tuple(f"AbstractElectrons.{x}" for x in ("dense", "field_of", "hamiltonian", "matvec")),
    "jaxspin.electrons.orbital_matrices": ("dense", "field_of", "spin_part"),
    "jaxspin.electrons.orbital_bonds": ("Turned",),
    "jaxspin.electrons.orbital_product": ("at_orbitals",),
    "jaxspin.electrons.negf.slices": ("hamiltonian",),
    "jaxspin.electrons.negf.orbital_slices": ("hamiltonian", "sliced", "torque"),
    "jaxspin.electrons.negf.system": ("assemble",),
    "jaxspin.observables.force_theorem": ("as_crystal", "half_splitting"),
    "jaxspin.observables.velocities": ("spins_of",),
    "jaxspin.textures.directions": ("finish",),
    "jaxspin.training.linearized": ("LinearizedSet.bytes_needed",),
}
# They take a run or spins, and are asked on their own below.
OWN_WAY = {"jaxspin.training.sampling.sample"}
NAMES = ("spins", "frames", "texture")


def takers():
    """(name, function, is a method) of whatever has an argument for spins."""
    found = {}
    for info in pkgutil.walk_packages(jaxspin.__path__, "jaxspin."):
        module = importlib.import_module(info.name)
        for name, thing in vars(module).items():
            if name.startswith("_") or getattr(thing, "__module__", None) != info.name:
                continue
            if name in BEHIND.get(info.name, ()):
                continue
            if inspect.isclass(thing):
                parts = {f"{name}.{k}": getattr(thing, k) for k in vars(thing) if k == "__call__" or k[0] != "_"}
            else:
                parts = {name: thing}
            for label, part in parts.items():
                if not callable(part) or label in BEHIND.get(info.name, ()) or f"{info.name}.{label}" in OWN_WAY:
                    continue
                arguments = list(inspect.signature(part).parameters)
                # the directions of spins are called frames, too
                spins = next((n for n in NAMES if n in arguments), None)
                if spins and not (spins == "frames" and arguments[0] != "lattice"):
                    found[f"{info.name}.{label}"] = (part, arguments, spins)
    return found


TAKERS = takers()


def test_the_list_is_long():
    assert len(TAKERS) > 90
    assert "jaxspin.field.AbstractPotential.energy" in TAKERS


@pytest.mark.parametrize("name", sorted(TAKERS))
def test_every_public_callable_looks_at_spins_first(name):
    """Nothing else is given that it could work with: it must be the spins that are refused."""
    function, arguments, spins = TAKERS[name]
    given = dict.fromkeys(arguments)
    given.pop("kwargs", None)
    if arguments[0] != spins and arguments[0] != "lattice":
        given[arguments[0]] = SimpleNamespace(lattice=LATTICE)
    if "lattice" in arguments:
        given["lattice"] = LATTICE
    with pytest.raises(ValueError, match=r"spins are complex \(complex128\).*pass spins\.real"):
        function(**(given | {spins: np.ones((*LATTICE.shape, 3), complex)}))


class Measured(Swirl):
    """With a question of its own."""

    def strength(self, spins):
        return jnp.sum(spins)


def test_a_users_own_field_looks_too():
    """Nothing in it knows of checks."""
    quartic, up = Quartic(jnp.asarray(0.5)), textures.ferromagnet(LATTICE)
    ask = [quartic.energy, quartic.field, quartic.push, quartic.energy_and_field, Swirl().field, Swirl().push]
    for function in [*ask, Measured().strength, (quartic + Zeeman((0, 0, 1))).energy, (2.0 * quartic).energy]:
        with pytest.raises(ValueError, match=r"pass spins\.real"):
            function(up.astype(complex))
    assert float(quartic.energy(np.asarray(up).astype(int).tolist())) == 8.0


def test_right_values_where_wrong_numbers_came_out():
    exchange, up = Exchange(LATTICE, 0.5), textures.ferromagnet(LATTICE)
    whole = np.asarray(up).astype(int)
    for spins in (up, whole, whole.tolist(), np.asarray(up)):
        assert float(exchange.energy(spins)) == -16.0
        np.testing.assert_array_equal(exchange.field(spins), 2 * up)
        np.testing.assert_array_equal(magnetization(spins), [0, 0, 1])
        assert float(structure_factor(LATTICE, spins)[0, 0]) == 16.0
    assert exchange.field(up.astype(jnp.bfloat16)).dtype == jnp.bfloat16
    np.testing.assert_array_equal(normalize([0, 0, -2]), [0, 0, -1])
    np.testing.assert_array_equal(tangent([0, 0, 1], jnp.array([1.0, 2.0, 3.0])), [1, 2, 0])


def test_spins_of_another_lattice_and_batches_are_refused(key):
    exchange, spins = Exchange(LATTICE, 0.5), random_spins(LATTICE, key=key)
    with pytest.raises(ValueError, match=r"do not fit the square lattice, which needs \(4, 4, 1, 3\)"):
        exchange.energy(random_spins(kagome(4), key=key))
    batch = jnp.stack([spins, -spins, 0.5 * spins])
    for ask in (exchange.energy, exchange.field, exchange.energy_and_field, (exchange + Anisotropy(0.1)).push):
        with pytest.raises(ValueError, match=r"are a batch on the square lattice.*jax\.vmap"):
            ask(batch)
    assert jax.vmap(exchange.energy)(batch).shape == (3,)
    with pytest.raises(ValueError, match=r"spins of shape \(4, 2\) have no three components"):
        Zeeman((0, 0, 1)).energy(np.ones((4, 2)))
    with pytest.raises(ValueError, match="cannot be read as an array"):
        exchange.energy([[1.0, 0.0], [2.0]])
    with pytest.raises(ValueError, match=r"dtype bool.*astype\(float\)"):
        as_spins(np.ones((4, 3), bool))
    with pytest.raises(ValueError, match=r"do not fit the square lattice"):
        jaxspin.sample(exchange, batch[0, 0])


def test_electrons_and_runs_refuse_half_precision(key):
    electrons = ExactDiagonalization(SDModel(LATTICE, 1.0, 1.0), filling=0.5, temperature=0.1)
    spins = random_spins(LATTICE, key=key, dtype=jnp.bfloat16)
    for ask in (electrons.energy, electrons.field, electrons.model.dense, (electrons + Zeeman((0, 0, 1.0))).energy):
        with pytest.raises(ValueError, match=r"dtype bfloat16 are too coarse.*astype\(jnp\.float32\)"):
            ask(spins)
    with pytest.raises(ValueError, match="too coarse"):
        jaxspin.simulate(Exchange(LATTICE, 1.0), spins, duration=1.0, step=0.1)
