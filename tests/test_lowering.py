"""Every entry point that a user jits lowers for CPUs, GPUs and TPUs, on one device and on a mesh; compilations.

Lowering needs no such device. `jax.export` refuses what only one platform has, and host callbacks.
"""

import ast
import re
from pathlib import Path

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AbstractMesh, AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

import jaxspin as js
from experiments.stages.schemes import SOLVERS, name_of
from jaxspin import observables
from jaxspin.arrays.precision import EXACT
from jaxspin.descriptors import Bispectrum, LocalMoments, electrons, on_clusters
from jaxspin.dynamics import ProjectedTsit5
from jaxspin.forcefield import tiles
from jaxspin.forcefield.familiarity import _features
from jaxspin.spins import tangent_frame
from jaxspin.training.losses import LossScales
from jaxspin.training.trainer import _advance, batch_rows
from tests.helpers import counting_compilations

PLATFORMS = ("cpu", "cuda", "tpu")
LATTICE = js.triangular(8, 8)
MODEL = js.SDModel(LATTICE, 1.0, 3.0)
HOPS = np.stack([np.eye(2), -np.ones((2, 2)), -np.ones((2, 2))])
ORBITALS = js.OrbitalModel(LATTICE, (0, 0), [(0, 0), (1, 0), (-1, 0)], HOPS, np.eye(2), split=0.1 * HOPS)
CHANNEL = js.square(8, 4, periodic=(False, False))
EXCHANGE = js.Exchange(LATTICE, (1.0, 0.2))
MOMENTS = js.BehlerParrinello(descriptor=LocalMoments(LATTICE, 2.0, hops=1, moments=4), hidden=(4,), dtype=jnp.float32)
FIELDS = {
    "classical, real magnets": js.Exchange(LATTICE, pairs=[(0, 0, (2, -1), np.diag([1.0, 2.0, 3.0]))])
    + js.Exchange(LATTICE, pairs=[(0, 0, (x, y), 0.1) for x in range(1, 8) for y in range(8)])
    + js.classical.DipoleDipole(LATTICE, 0.1)
    + js.classical.CubicAnisotropy(0.1, 0.2)
    + js.classical.UniaxialAnisotropy(0.1, 0.2, 0.3, 0.4),
    "classical": EXCHANGE + js.DzyaloshinskiiMoriya(LATTICE, 0.3) + js.Anisotropy(0.1) + js.Zeeman((0.0, 0.0, 1.0)),
    "exact": js.ExactDiagonalization(MODEL, filling=0.25, temperature=0.1),
    "kernel polynomials": js.KernelPolynomial(
        MODEL, filling=0.25, temperature=0.3, probes=js.electrons.Coloring(4), order=16
    ),
    "orbitals": js.KernelPolynomial(
        ORBITALS, filling=0.25, temperature=0.3, probes=js.electrons.Coloring(8), order=16, window=(-9.0, 9.0)
    ),
    "orbitals, exact": js.ExactDiagonalization(ORBITALS, filling=0.25, temperature=0.1),
    "learnt, moments": MOMENTS,
    "learnt, electrons": js.BehlerParrinello(
        descriptor=js.LocalElectrons(LATTICE, 2.0, filling=0.3, hops=1, steps=3), hidden=(4,), dtype=jnp.float32
    ),
    "learnt, bispectrum": js.BehlerParrinello(
        descriptor=Bispectrum(LATTICE, 1.0, 1.0, 1.0), hidden=(4,), dtype=jnp.float32
    ),
    "learnt, messages": js.BehlerParrinello(
        LATTICE,
        js.forcefield.MessagePassing(
            LATTICE, fields=1, layers=2, first_radius=1.0, key=jax.random.key(0), dtype=jnp.float32
        ),
        dtype=jnp.float32,
    ),
    "learnt, generalized": js.forcefield.GeneralizedPotential(
        descriptor=LocalMoments(LATTICE, 2.0, hops=1, moments=4), hidden=(4,), dtype=jnp.float32
    ),
    "Green's function": js.GreensFunction(
        js.SDModel(CHANNEL, 1.0, 1.0),
        leads=(js.WideBand("left"), js.WideBand("right")),
        voltage=0.5,
        temperature=0.2,
        tolerance=1e-3,
    ),
}


def motion(solver: diffrax.AbstractSolver):
    settled = isinstance(solver, ProjectedTsit5)

    def run(spins, key):
        noise = {"step": "adaptive"} if settled else {"step": 0.5, "temperature": 0.1, "key": key}
        noise = noise | ({"temperature": 0.0} if not isinstance(solver, diffrax.AbstractStratonovichSolver) else {})
        return js.simulate(EXCHANGE, spins, duration=1.0, solver=solver, throw=False, **noise).final

    return run


def measured(spins, key):
    del key
    return (
        observables.structure_factor(LATTICE, spins),
        observables.correlation_function(LATTICE, spins),
        observables.correlation_length(LATTICE, spins),
        observables.scalar_chirality(LATTICE, spins),
        observables.topological_charge(LATTICE, spins),
        observables.magnetization(spins),
    )


def trained(spins, key):
    """One optimizer step on two configurations."""
    both = jnp.stack([spins, spins])
    data = eqx.tree_at(lambda d: (d.spins, d.field), DATA, (both, both))
    weights = eqx.filter(MOMENTS.network, eqx.is_inexact_array)
    carry = (weights, weights, js.training.loop.optimizer(CONFIG).init(weights), jnp.zeros((), jnp.float32))
    with jax.numpy_dtype_promotion("standard"):  # of optax
        return _advance(carry, MOMENTS, data, batch_rows(key, 2, 2), None, SCALES, CONFIG)[0]


CONFIG = js.TrainConfig(steps=2, batch=2)
SCALES = LossScales(jnp.ones((), jnp.float32), jnp.ones((), jnp.float32))
STILL = jnp.broadcast_to(js.textures.ferromagnet(LATTICE, dtype=jnp.float32), (2, *LATTICE.shape, 3))
DATA = js.SpinData(LATTICE, STILL, STILL, jnp.zeros(2, jnp.float32))
ENTRIES = {
    **{name: (lambda s, k, f=field: f.field(s, key=k)) for name, field in FIELDS.items()},
    **{name_of(solver): motion(solver) for solver in SOLVERS},
    "training": trained,
    "observables": measured,
}


def shape_of(name: str, sharding=None) -> jax.ShapeDtypeStruct:
    lattice = CHANNEL if name == "Green's function" else LATTICE
    return jax.ShapeDtypeStruct((*lattice.shape, 3), jnp.float32, sharding=sharding)


@pytest.mark.parametrize("name", ENTRIES)
def test_lowers_everywhere_on_one_device_and_on_many(name, key):
    key = jax.random.key(0, impl="threefry2x32")
    exported = jax.export.export(jax.jit(ENTRIES[name]), platforms=PLATFORMS)(shape_of(name), key)
    assert exported.platforms == PLATFORMS
    mesh = AbstractMesh((4, 2), ("cell_1", "cell_2"), axis_types=(AxisType.Auto,) * 2)
    spread = shape_of(name, NamedSharding(mesh, P("cell_1", "cell_2")))
    exported = jax.export.export(jax.jit(ENTRIES[name]), platforms=PLATFORMS)(spread, key)
    assert exported.platforms == PLATFORMS
    assert exported.nr_devices == 8


WIDE = js.triangular(24, 16)
MESSAGES = js.forcefield.MessagePassing(
    WIDE, fields=1, layers=2, first_radius=1.0, key=jax.random.key(0), dtype=jnp.float32
)
# fields, and more loops than they have on a CPU and elsewhere where all is done at once
IN_PARTS = {
    "groups of columns": (
        js.KernelPolynomial(
            js.SDModel(WIDE, 1.0, 3.0), filling=0.25, temperature=0.3, probes=js.electrons.Coloring(67), order=16
        ),
        (4, 0),  # accelerators want all columns at once
    ),
    "clusters": (
        js.BehlerParrinello(
            descriptor=js.LocalElectrons(WIDE, 2.0, filling=0.3, hops=1, steps=3, chunk=50),
            hidden=(4,),
            dtype=jnp.float32,
        ),
        (32, 32),
    ),
    "tiles": (js.BehlerParrinello(WIDE, MESSAGES, dtype=jnp.float32), (0, 0)),
}


@pytest.mark.parametrize("name", IN_PARTS)
def test_fields_in_parts_lower_for_machines_that_are_not_here(name, monkeypatch):
    """Parts that do not divide the whole, and whose size is chosen by the machine that the program is for."""
    monkeypatch.setattr(tiles, "CELLS_ON_CPU", 100)
    monkeypatch.setattr(tiles, "CELLS_ELSEWHERE", 100)
    monkeypatch.setattr(on_clusters, "ON_ACCELERATORS", 2)
    monkeypatch.setattr(electrons, "_FILLED_CHUNK", 100)
    field, (on_cpu, elsewhere) = IN_PARTS[name]
    spins = jax.ShapeDtypeStruct((*WIDE.shape, 3), jnp.float32)
    for platform in PLATFORMS:
        exported = jax.export.export(jax.jit(lambda s: field.field(s)), platforms=(platform,))(spins)
        assert exported.platforms == (platform,)
        assert exported.mlir_module().count("stablehlo.while") > (on_cpu if platform == "cpu" else elsewhere)


class Counted(js.AbstractPotential):
    """Exchange that counts how often it is traced."""

    traces: list = eqx.field(static=True)
    strength: jax.Array

    def energy(self, spins, t=0.0, *, key=None):
        self.traces.append(1)
        return js.Exchange(LATTICE, self.strength).energy(spins)


class Traces(list):
    """Equal to itself alone, as a static field has to be."""

    __hash__ = object.__hash__

    def __eq__(self, other):
        return self is other


def test_a_second_run_of_equal_shapes_compiles_nothing(key):
    traces = Traces()

    def run(strength, temperature, n):
        spins = js.random_spins(LATTICE, key=jax.random.key(n))
        field = Counted(traces, jnp.asarray(strength))
        settings = {"duration": 0.8, "step": 0.1, "save_every": 0.2, "damping": 0.1 * n}
        return js.simulate(field, spins, temperature=temperature, key=jax.random.key(n), **settings)

    with counting_compilations() as programs:
        run(0.3, 0.1, 1)
    # two stages of the solver, each traced a few times on its way through diffrax's loops
    first = len(traces)
    assert first <= 8
    # measured: 1 program for the run and some twenty of one operation
    assert len(programs) < 60
    with counting_compilations() as programs:
        run(0.5, 0.2, 2)
    assert len(traces) == first
    assert programs == []


@jax.numpy_dtype_promotion("standard")  # of optax
def test_a_second_training_of_equal_shapes_compiles_nothing():
    spins = jnp.stack([js.random_spins(LATTICE, key=jax.random.key(n)) for n in range(8)])
    energy, field = jax.vmap(EXCHANGE.energy_and_field)(spins)
    data = js.SpinData(LATTICE, spins, field, energy)
    model = js.BehlerParrinello(descriptor=LocalMoments(LATTICE, 2.0, hops=1, moments=4), hidden=(4,))
    config = js.TrainConfig(steps=2, batch=2, evaluate_every=1, memory=0.0)
    js.train(model, data, config, key=jax.random.key(0))
    with counting_compilations() as compiled:
        found = js.train(model, data, config, key=jax.random.key(1))
    assert np.isfinite(found.history["loss"]).all()
    assert compiled == []


def test_a_batch_of_runs_compiles_in_silence(capfd):
    # XLA moved the batch's broadcast through diffrax's hundred roundings of the end, and said it was going in circles
    spins = jnp.stack([js.random_spins(LATTICE, key=jax.random.key(n)) for n in range(3)])
    run = motion(js.dynamics.DepondtMertens())
    jax.jit(jax.vmap(run, in_axes=(0, None))).lower(spins, jax.random.key(1)).compile()
    assert "circular" not in capfd.readouterr().err


def dots_left_to_the_machine(text: str) -> list[str]:
    """The products of floats in a program that do not say HIGHEST for both factors."""
    products = [
        line for line in text.splitlines() if "stablehlo.dot_general" in line or "stablehlo.convolution" in line
    ]
    kinds = [set(re.findall(r"x?(f\d+|bf16|complex<f\d+>|i\d+|ui\d+)>", line.split(":")[-1])) for line in products]
    floats = [line for line, kind in zip(products, kinds, strict=True) if not kind or any("f" in k for k in kind)]
    return [line.strip() for line in floats if "precision = [HIGHEST, HIGHEST]" not in line]


ELECTRONS = js.LocalElectrons(LATTICE, 2.0, filling=0.3, hops=1, steps=3)
PRODUCTS = {
    **{name: (lambda s, f=field: f.field(s)) for name, field in FIELDS.items()},
    **{f"{n}, energy and field": (lambda s, f=FIELDS[n]: f.energy_and_field(s)) for n in ("exact", "learnt, moments")},
    "committee": lambda s: js.Committee([MOMENTS, MOMENTS]).standard_deviation(s),
    "slope of the exact field": lambda s: jax.jvp(FIELDS["exact"].field, (s,), (s,))[1],
    "training": lambda s: trained(s, jax.random.key(0, impl="threefry2x32")),
    "derivatives of features": lambda s: MOMENTS.descriptor.own_and_jacobian(s, tangent_frame(s))[1],
    "derivatives of electrons": lambda s: ELECTRONS.own_and_jacobian(s, tangent_frame(s))[1],
    "rotation": lambda s: js.spins.rotate(s, js.spins.rotation_matrix(s[0, 0, 0], 0.3)),
    "structure factor": lambda s: observables.structure_factor(LATTICE, s),
    "structure factor at": lambda s: observables.structure_factor_at(LATTICE, s, jnp.ones((3, 2), s.dtype)),
    "curl": lambda s: observables.unreachable_fraction(EXCHANGE, s),
    "effective exchange": lambda s: observables.effective_exchange(LATTICE, jnp.ones((128, 128), s.dtype), s),
    "local density of states": lambda s: observables.local_density_of_states(
        FIELDS["exact"], s, jnp.ones(3, s.dtype), np.zeros((1, 3), int), resolution=0.2
    ),
    "observables": lambda s: measured(s, None),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_matrix_products_say_how_exactly(name):
    """An accelerator left to itself multiplies in bfloat16 or TF32: three digits."""
    lowered = jax.export.export(jax.jit(PRODUCTS[name]), platforms=("tpu",))(shape_of(name)).mlir_module()
    assert dots_left_to_the_machine(lowered) == []


def test_a_product_that_does_not_is_seen():
    three = jax.ShapeDtypeStruct((3, 3), jnp.float32)
    plain, exact = (jax.jit(lambda a, p=p: jnp.matmul(a, a, precision=p)).lower(three) for p in (None, EXACT))
    assert len(dots_left_to_the_machine(plain.as_text())) == 1
    assert dots_left_to_the_machine(exact.as_text()) == []
    assert "dot_general" in exact.as_text()
    whole = jax.ShapeDtypeStruct((3, 3), jnp.int32)
    assert dots_left_to_the_machine(jax.jit(jnp.matmul).lower(whole, whole).as_text()) == []


def test_every_product_in_the_package_is_written_with_its_precision():
    found = []
    for path in Path(js.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                name = ast.unparse(node.func)
                given = {k.arg for k in node.keywords}
                if name in {f"jnp.{x}" for x in ("dot", "einsum", "inner", "matmul", "tensordot", "vdot")}:
                    found += [] if "precision" in given else [f"{path.name}:{node.lineno} {name}"]
    assert found == []


def loops(text: str) -> list[int]:
    """How often each loop of a program that counts up to a constant runs."""
    conditions = re.findall(r"cond \{(.*?)\} do", text, re.DOTALL)
    return [int(n) for condition in conditions for n in re.findall(r"dense<(\d+)> : tensor<i(?:32|64)>", condition)]


LARGE = js.triangular(128, 128)
LARGE_DESCRIPTORS = {
    "moments": LocalMoments(LARGE, 2.0, hops=1, moments=4, chunk=8),
    "electrons": js.LocalElectrons(LARGE, 2.0, filling=0.3, hops=1, steps=3, chunk=8),
}


@pytest.mark.parametrize("name", LARGE_DESCRIPTORS)
def test_sites_are_parted_for_the_caches_of_cpus_alone(name):
    """A loop of thousands of small programs leaves an accelerator idle; which it is shows where it is lowered."""
    model = js.BehlerParrinello(descriptor=LARGE_DESCRIPTORS[name], hidden=(4,), dtype=jnp.float32)
    spins = jax.ShapeDtypeStruct((*LARGE.shape, 3), jnp.float32)
    traced = jax.jit(lambda s: model.field(s)).trace(spins)
    text = {platform: traced.lower(lowering_platforms=(platform,)).as_text() for platform in PLATFORMS}
    assert max(loops(text["cpu"])) == LARGE.sites // 8
    for platform in ("cuda", "tpu"):
        assert 1 <= max(loops(text[platform])) <= 64


def test_features_of_many_configurations_are_computed_together_on_accelerators():
    spins = jax.ShapeDtypeStruct((3000, *LATTICE.shape, 3), jnp.float32)
    traced = jax.jit(lambda s: _features(MOMENTS.descriptor, s)).trace(spins)
    text = {platform: traced.lower(lowering_platforms=(platform,)).as_text() for platform in ("cpu", "tpu")}
    assert max(loops(text["cpu"])) == 3000
    assert max(loops(text["tpu"])) <= 8
