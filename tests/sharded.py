"""What tests/test_scale.py runs in a process with 8 devices: `python -m tests.sharded NAME` runs one function here."""

import importlib
import re
import sys
import tempfile
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin as js
from jaxspin import observables
from jaxspin.descriptors import Bispectrum, LocalElectrons, LocalMoments
from jaxspin.devices.cores import mesh_of_cores
from jaxspin.devices.shards import shards_of

LATTICES = {
    "periodic": js.triangular(16, 8),
    "open": js.triangular(16, 8, periodic=(False, True)),
    "two sublattices": js.honeycomb(8, 8),
}
# sums over sites are added up in another order; fields are of order one
ROUNDING = 1e-12


def collectives(text: str) -> dict[str, int]:
    """How often a compiled program calls each collective operation."""
    names = re.findall(r" (all-gather|all-to-all|all-reduce|reduce-scatter|collective-permute)(?:-start)?\(", text)
    return {name: names.count(name) for name in sorted(set(names))}


def numbers(text: str, operation: str) -> list[int]:
    """How many numbers each call of a collective operation hands on."""
    shapes = re.findall(rf"= \w+\[([\d,]*)\]\S* {operation}(?:-start)?\(", text)
    return [int(np.prod([int(n) for n in shape.split(",") if n])) for shape in shapes]


def learnt(descriptor) -> js.BehlerParrinello:
    """A force field that does something, without training."""
    model = js.BehlerParrinello(descriptor=descriptor, hidden=(4,), key=jax.random.key(3))
    weights = jax.tree.map(lambda x: x + 0.3 * jnp.cos(jnp.arange(x.size).reshape(x.shape)), model.network)
    return eqx.tree_at(lambda m: m.network, model, weights)


def moments(lattice: js.Lattice) -> js.BehlerParrinello:
    return learnt(LocalMoments(lattice, 2.0, hops=1, moments=4, chunk=8))


def levels(lattice: js.Lattice) -> js.BehlerParrinello:
    """Whose sites share a Fermi level: sums over the devices, and nothing else."""
    features = LocalMoments(lattice, 2.0, hops=1, moments=4, chunk=8)
    network = js.forcefield.LearntLevels(features.n_features, (4,), filling=0.3, levels=4, key=jax.random.key(3))
    weights = jax.tree.map(lambda x: x + 0.3 * jnp.cos(jnp.arange(x.size).reshape(x.shape)), network)
    return js.BehlerParrinello(features, weights)


def passing(lattice: js.Lattice) -> js.BehlerParrinello:
    nearest = min(bond.length for bond in lattice.shell(1))
    network = js.forcefield.MessagePassing(lattice, fields=1, layers=2, first_radius=nearest, key=jax.random.key(3))
    weights = jax.tree.map(lambda x: x + 0.3 * jnp.cos(jnp.arange(x.size).reshape(x.shape)), network)
    return js.BehlerParrinello(lattice, weights)


def placed(lattice: js.Lattice, devices=(4, 2)):
    spins = js.random_spins(lattice, key=jax.random.key(0))
    return spins, js.devices.shard(spins, js.devices.mesh(lattice, devices))


def check_equal(function, spins, sharded, atol=ROUNDING) -> dict[str, int]:
    """The same numbers on one device and on eight; the collectives of the second program."""
    compiled = jax.jit(function).lower(sharded).compile()
    for one, many in zip(jax.tree.leaves(jax.jit(function)(spins)), jax.tree.leaves(compiled(sharded)), strict=True):
        np.testing.assert_allclose(many, one, rtol=0, atol=atol)
    return collectives(compiled.as_text())


def fields():
    check_learnt(moments(LATTICES["open"]), permutes=20)
    check_familiar(moments(LATTICES["open"]))
    check_learnt(passing(LATTICES["open"]), permutes=20)
    check_classical(LATTICES["two sublattices"])


def more_fields():
    """Every descriptor, and the fields above with the two lattices exchanged."""
    check_learnt(moments(LATTICES["two sublattices"]), permutes=20)
    check_learnt(passing(LATTICES["two sublattices"]), permutes=20)
    check_learnt(levels(LATTICES["two sublattices"]), permutes=20)
    check_classical(LATTICES["open"])
    lattice = LATTICES["periodic"]
    check_learnt(learnt(Bispectrum(lattice, 1.0, 1.0, 1.0, bispectrum=False)), permutes=12)
    # beside the edges, sums over the devices for the Fermi level
    filled = learnt(LocalElectrons(lattice, 2.0, filling=0.3, hops=1, steps=4, chunk=8))
    check_learnt(filled, permutes=20)
    # outside jit too
    spins, sharded = placed(lattice)
    np.testing.assert_allclose(filled.site_energies(sharded), filled.site_energies(spins), atol=ROUNDING)


def check_familiar(model: js.BehlerParrinello) -> None:
    """The distance of a site is its own: what the features hand on between devices, and no more."""
    spins, sharded = placed(model.lattice)
    known = model.familiar_with(js.training.perturbed_configurations(spins, [0.01, 0.02], key=jax.random.key(5)))
    found = check_equal(lambda s: known.unfamiliarity(s), spins, sharded, atol=1e-9)
    assert found == check_equal(model.descriptor.rows, spins, sharded), found


def check_learnt(model: js.BehlerParrinello, permutes: int) -> None:
    """Spins out, features out, and their derivatives back: both sides of two axes each."""
    found = check_equal(lambda s: model.energy_and_field(s), *placed(model.lattice))
    assert found["collective-permute"] <= permutes, found
    assert set(found) <= {"collective-permute", "all-reduce"}, found


def check_classical(lattice: js.Lattice) -> None:
    random = jax.random.normal(jax.random.key(1), (*lattice.cells, len(lattice.shell(1))))
    site = jax.random.normal(jax.random.key(2), lattice.shape)
    classical = (
        js.Exchange(lattice, (random, 0.3), pairs=[(0, 0, (1, -2), np.arange(9.0).reshape(3, 3) / 9)])
        + js.DzyaloshinskiiMoriya(lattice, 0.2)
        + js.Anisotropy(site)
        + js.Zeeman((0.1, 0.0, 0.2))
    )
    check_sums_of_waves(lattice)
    classical = js.devices.shard(classical, js.devices.mesh(lattice, (4, 2)))
    assert len(classical.terms[0].couplings[0].sharding.device_set) == 8
    found = check_equal(lambda s: classical.energy_and_field(s), *placed(lattice))
    assert set(found) <= {"collective-permute", "all-reduce"}, found


def check_sums_of_waves(lattice: js.Lattice) -> None:
    """Fourier transforms hand axes on: no device holds all spins."""
    for couplings in (np.linspace(1, 0, 60), np.linspace(-1, 1, 540).reshape(60, 3, 3)):
        ends = [(x, y) for x in range(5) for y in range(-6, 6) if (x, y) > (0, 0)]
        pairs = [(0, 0, offset, J) for offset, J in zip(ends, couplings, strict=False)]
        many = js.devices.shard(js.Exchange(lattice, pairs=pairs), js.devices.mesh(lattice, (4, 2)))
        found = check_equal(lambda s, f=many: f.energy_and_field(s), *placed(lattice), atol=10 * ROUNDING)
        assert "all-to-all" in found, found
        assert set(found) <= {"collective-permute", "all-reduce", "all-to-all"}, found
    dipoles = js.classical.DipoleDipole(lattice, 0.1)
    dipoles = js.devices.shard(dipoles, js.devices.mesh(lattice, (4, 2)))
    found = check_equal(lambda s: dipoles.energy_and_field(s), *placed(lattice))
    assert set(found) <= {"collective-permute", "all-reduce", "all-to-all"}, found


def electrons():
    lattice = LATTICES["periodic"]
    spins, sharded = placed(lattice)
    key = jax.random.key(4)
    exact = js.ExactDiagonalization(js.SDModel(lattice, 1.0, 3.0), filling=0.25, temperature=0.3)
    check_equal(lambda s: exact.energy_and_field(s), spins, sharded)
    permutes = {}
    # 8 vectors are shared by all devices; 2 by two of them, and then the lattice by the other four
    for colors in (4, 1):
        kpm = js.KernelPolynomial(
            exact.model,
            filling=0.25,
            temperature=0.3,
            order=16,
            probes=js.electrons.Coloring(colors),
            window=(-12.0, 10.0),
        )
        columns = kpm.start(spins)[0][0].shape[-1]
        found = check_equal(lambda s, f=kpm: f.energy_and_field(s, key=key), spins, sharded)
        permutes[columns] = found.get("collective-permute", 0)
    assert permutes[8] == 0 < permutes[2], permutes
    driven = js.SDModel(js.square(8, 4, periodic=(False, False)), 1.0, 1.0)
    ends = js.GreensFunction(
        driven, leads=(js.WideBand("left"), js.WideBand("right")), voltage=0.5, temperature=0.2, tolerance=1e-3
    )
    spins, sharded = placed(ends.lattice)
    check_equal(lambda s: ends.field(s), spins, sharded, atol=1e-10)


def orbitals():
    """Two orbitals an atom and hoppings that the spins split, open along an axis that devices share."""
    lattice = js.square(8, 8, periodic=(True, False))
    rng = np.random.default_rng(0)
    hop = rng.normal(size=(2, 2, 2)) + 1j * rng.normal(size=(2, 2, 2))
    hopping = 0.3 * np.concatenate([np.diag([0.0, 1.0])[None], hop, np.conj(np.swapaxes(hop, 1, 2))])
    offsets = [(0, 0), (1, 0), (0, 1), (-1, 0), (0, -1)]
    model = js.OrbitalModel(lattice, (0, 0), offsets, hopping, np.diag([1.0, 0.5]), split=0.2 * hopping)
    spins, sharded = placed(lattice)
    state = {"filling": 0.3, "temperature": 0.3}
    exact = js.ExactDiagonalization(model, **state)
    check_equal(lambda s: exact.energy_and_field(s), spins, sharded, atol=10 * ROUNDING)
    # 16 vectors are shared by all devices; 4 by four of them, and then the lattice by the other two
    for colors in (8, 2):
        settings = {"order": 16, "probes": js.electrons.Coloring(colors), "window": (-8.0, 8.0)}
        series = js.KernelPolynomial(model, **state, **settings)
        assert series.start(spins).shape[-1] == 2 * colors
        check_equal(lambda s, f=series: f.energy_and_field(s, key=jax.random.key(4)), spins, sharded)


def quench():
    lattice = LATTICES["periodic"]
    spins, sharded = placed(lattice)
    model = moments(lattice)

    def run(s):
        return js.simulate(
            model, s, duration=2.0, step=0.5, damping=0.3, temperature=0.1, key=jax.random.key(1), throw=False
        )

    compiled = jax.jit(run).lower(sharded).compile()
    single, many = run(spins), compiled(sharded)
    assert float(jnp.max(jnp.abs(single.final - spins))) > 0.1
    np.testing.assert_allclose(many.spins, single.spins, rtol=0, atol=ROUNDING)
    assert many.final.sharding.is_equivalent_to(sharded.sharding, 4)
    np.testing.assert_allclose(many.structure_factor(), single.structure_factor(), rtol=0, atol=ROUNDING)
    np.testing.assert_allclose(many.chirality(), single.chirality(), rtol=0, atol=ROUNDING)
    text = compiled.as_text()
    found = collectives(text)
    assert set(found) == {"collective-permute", "all-reduce"}, found
    # whether all spins are finite is all that is asked of all devices
    assert max(numbers(text, "all-reduce")) == 1
    # no more than the edges: 2 cells wide around blocks of 4 x 4, of at most the own features
    own = model.descriptor.n_features // 2
    assert max(numbers(text, "collective-permute")) <= 2 * (4 + 4) * max(3, own), numbers(text, "collective-permute")
    # the loop holds one step, of two fields
    assert found["collective-permute"] <= 2 * 20, found


def measured():
    check_measured(LATTICES["two sublattices"])


def measured_elsewhere():
    check_measured(LATTICES["open"])
    check_measured(LATTICES["periodic"])


def check_measured(lattice: js.Lattice) -> None:
    spins, sharded = placed(lattice)
    for function in (
        observables.structure_factor,
        observables.correlation_function,
        observables.correlation_length,
        observables.scalar_chirality,
        observables.topological_charge,
        lambda _, s: observables.magnetization(s),
        lambda grid, s: observables.structure_factor_at(grid, s, jnp.asarray([[0.3, 0.7], [1.0, 2.0]])),
    ):
        # the ferromagnet's share of S(q), as large as the number of sites
        found = check_equal(lambda s, f=function, grid=lattice: f(grid, s), spins, sharded, atol=1e-11)
        if function is observables.structure_factor:
            # the transform never holds the whole lattice on one device
            assert set(found) == {"all-to-all"}, found


@jax.numpy_dtype_promotion("standard")  # of optax
def training():
    lattice = js.triangular(8, 4)
    target = js.Exchange(lattice, -1.0)
    spins = jnp.stack([js.random_spins(lattice, key=jax.random.key(n)) for n in range(6)])
    energy, field = jax.vmap(target.energy_and_field)(spins)
    data = js.SpinData(lattice, spins, field, energy)
    config = js.TrainConfig(steps=3, batch=2, evaluate_every=2)
    model = js.BehlerParrinello(descriptor=LocalMoments(lattice, 2.0, hops=1, moments=4), hidden=(4,))
    # without the table of features' derivatives, which is made on one device
    single = js.train(model, data, js.TrainConfig(steps=3, batch=2, evaluate_every=2, memory=0.0))
    shared = js.devices.shard(data, js.devices.mesh(lattice, (4, 2)))
    assert shared.spins.sharding.spec[1] == "cell_1"
    with tempfile.TemporaryDirectory() as folder:
        many = js.train(model, shared, config, checkpoint=Path(folder) / "training")
    one, other = (eqx.tree_at(lambda m: m.familiarity, m, None) for m in (single.model, many.model))
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(b, a, rtol=0, atol=1e-9)
    # by an inverse of condition 1e8
    known = single.model.unfamiliarity(spins[0])
    np.testing.assert_allclose(many.model.unfamiliarity(spins[0]), known, rtol=1e-5)
    np.testing.assert_allclose(many.history["torque"], single.history["torque"], atol=1e-9)


def placement():
    lattice = LATTICES["periodic"]
    mesh = js.devices.mesh(lattice)
    # slabs of 2 x 8 cells have edges as short as blocks of 4 x 4, and fewer neighbours; 2 x 16 are longer than 4 x 8
    assert dict(mesh.shape) == {"cell_1": 8, "cell_2": 1}
    assert dict(js.devices.mesh(js.triangular(16)).shape) == {"cell_1": 4, "cell_2": 2}
    assert dict(js.devices.mesh(js.triangular(8, 16), 2).shape) == {"cell_1": 1, "cell_2": 2}
    mesh = js.devices.mesh(lattice, (4, 2))
    spins = js.random_spins(lattice, key=jax.random.key(0))
    made = js.devices.shard(lambda: js.random_spins(lattice, key=jax.random.key(0)), mesh)
    np.testing.assert_allclose(made, spins, rtol=0, atol=1e-14)
    assert made.sharding == js.devices.sharding(mesh)
    assert made.addressable_data(0).shape == (4, 4, 1, 3)
    frames = js.devices.shard({"frames": jnp.stack([spins, spins]), "times": jnp.zeros(2)}, mesh, lattice)
    assert frames["frames"].addressable_data(0).shape == (2, 4, 4, 1, 3)
    assert frames["times"].sharding.is_fully_replicated
    np.testing.assert_array_equal(js.devices.gather(js.devices.shard(spins, mesh)), spins)
    single = jax.device_put(spins, jax.devices()[3])
    assert shards_of(lattice, single) is None
    assert shards_of(lattice, made).cells == (4, 4)


def cores():
    """A learnt run cuts the lattice by itself, unless the spins have been placed; the result lies on one device."""
    lattice = js.triangular(48, 48)
    spins = js.random_spins(lattice, key=jax.random.key(0))
    field = moments(lattice) + js.Exchange(lattice, 0.1) + 2.0 * js.Zeeman((0.0, 0.0, 0.1))
    assert field.narrowest_block == (3, 3)
    cut = mesh_of_cores(lattice, spins, field.narrowest_block)
    assert cut is not None
    assert cut.devices.size == 8
    frozen = jnp.zeros(lattice.shape, bool).at[0].set(True)

    def run(s):
        options = {"damping": jnp.full(lattice.shape, 0.3), "temperature": 0.1, "key": jax.random.key(1)}
        return js.simulate(field, s, duration=2.0, step=0.5, frozen=frozen, until=js.dynamics.Relaxed(1e-9), **options)

    placed_by_user = jax.device_put(spins, jax.devices()[0])
    assert mesh_of_cores(lattice, placed_by_user, field.narrowest_block) is None
    program, used = importlib.import_module("jaxspin.dynamics.simulate"), []
    start = program.run_frames

    def noted(settings, first, *rest):
        used.append(len(first.devices()))
        return start(settings, first, *rest)

    program.run_frames = noted
    many, one = run(spins), run(placed_by_user)
    program.run_frames = start
    assert used == [8, 1]
    np.testing.assert_allclose(many.spins, one.spins, rtol=0, atol=ROUNDING)
    np.testing.assert_array_equal(many.times, one.times)
    assert float(jnp.max(jnp.abs(one.final - spins))) > 0.1
    assert many.frames == one.frames
    assert {type(leaf) for leaf in jax.tree.leaves(many)} == {type(leaf) for leaf in jax.tree.leaves(one)}
    assert not many.final.committed
    assert len(many.spins.devices()) == 1
    # blocks of 256 sites at least, as wide as the field needs, and nothing to cut for fields that see all of it
    small = js.triangular(20, 20)
    assert mesh_of_cores(small, js.random_spins(small, key=jax.random.key(0)), (3, 3)) is None
    assert mesh_of_cores(lattice, spins, (25, 48)) is None
    assert mesh_of_cores(lattice, spins, (24, 48)).devices.size == 2
    exact = js.ExactDiagonalization(js.SDModel(lattice, 1.0, 2.0), filling=0.5, temperature=0.1)
    assert (field + exact).narrowest_block is None
    assert js.Exchange(lattice, 1.0).narrowest_block == ()
    assert mesh_of_cores(lattice, spins, ()) is None


def refusals():
    lattice = LATTICES["periodic"]
    spins, sharded = placed(lattice)
    with pytest.raises(ValueError, match=r"16 devices are wanted and 8 found; use fewer, or start more .*=8"):
        js.devices.mesh(lattice, 16)
    with pytest.raises(ValueError, match="15 cells along axis 0 cannot be shared by 4 devices; use a number of cells"):
        js.devices.mesh(js.triangular(15, 8), (4, 2))
    with pytest.raises(ValueError, match=r"\(15, 7\) cells cannot be shared out evenly by 8 devices; use cells that"):
        js.devices.mesh(js.triangular(15, 7))
    with pytest.raises(ValueError, match="give 2 numbers, 1 for an axis that stays whole"):
        js.devices.mesh(lattice, (8,))
    with pytest.raises(ValueError, match="a mesh needs at least one device, got 0; leave devices out"):
        js.devices.mesh(lattice, 0)
    of_three_hops = learnt(LocalMoments(lattice, 2.0, hops=3, moments=4))
    with pytest.raises(
        ValueError, match=r"8 devices along axis 0 leave 2 cells each, fewer than the 3 .*use at most 5"
    ):
        of_three_hops.field(js.devices.shard(spins, js.devices.mesh(lattice, (8, 1))))
    with pytest.raises(ValueError, match="15 cells along axis 0 cannot be shared by 8 devices"):
        js.devices.shard(js.random_spins(js.triangular(15, 8), key=jax.random.key(0)), js.devices.mesh(lattice))
    with pytest.raises(ValueError, match=r"does not tell its lattice; pass shard\(tree, mesh, lattice\)"):
        js.devices.shard([spins], js.devices.mesh(lattice))
    with pytest.raises(ValueError, match="does not begin with 2 axes of cells"):
        js.devices.shard(jnp.zeros(16), js.devices.mesh(lattice))
    with pytest.raises(ValueError, match="the mesh shares out 2 axes, the lattice has 3; make another mesh"):
        js.devices.shard(js.random_spins(js.cubic(4), key=jax.random.key(0)), js.devices.mesh(lattice), js.cubic(4))
    with pytest.raises(ValueError, match=r"shares out no lattice; make it with jaxspin\.devices\.mesh"):
        js.devices.sharding(jax.make_mesh((8,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,)))
    explicit = jax.make_mesh((4, 2), ("cell_1", "cell_2"), axis_types=(jax.sharding.AxisType.Explicit,) * 2)
    with pytest.raises(ValueError, match=r"axis cell_1 of the mesh is explicit; make it with jaxspin\.devices\.mesh"):
        js.Exchange(lattice, 1.0).field(jax.device_put(spins, js.devices.sharding(explicit)))
    with tempfile.TemporaryDirectory() as folder:
        path = js.devices.save(Path(folder) / "spins", sharded)
        with pytest.raises(FileExistsError, match="exists; choose another path or pass overwrite=True"):
            js.devices.save(path, sharded)
        # onto another mesh
        other = jax.ShapeDtypeStruct(
            spins.shape, spins.dtype, sharding=js.devices.sharding(js.devices.mesh(lattice, (2, 1)))
        )
        back = js.devices.load(path, other)
        assert len(back.sharding.device_set) == 2
        np.testing.assert_array_equal(back, spins)
        with pytest.raises(FileNotFoundError, match=r"there is no checkpoint at .*; give the folder"):
            js.devices.load(Path(folder) / "nothing", sharded)


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_numpy_dtype_promotion", "strict")
    jax.config.update("jax_numpy_rank_promotion", "raise")
    assert jax.device_count() == 8
    for name in sys.argv[1:]:
        print(name, file=sys.stderr, flush=True)  # in front of its traceback
        globals()[name]()
    print("passed")
