"""Every entry point that a user jits lowers for CPUs, GPUs and TPUs, on one device and on a mesh; compilations.

Lowering needs no such device. `jax.export` refuses what only one platform has, and host callbacks.
"""

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
from jaxspin.descriptors import Bispectrum, LocalMoments
from jaxspin.dynamics import ProjectedTsit5
from jaxspin.training.losses import LossScales
from jaxspin.training.trainer import _advance, batch_rows

PLATFORMS = ("cpu", "cuda", "tpu")
LATTICE = js.triangular(8, 8)
MODEL = js.SDModel(LATTICE, 1.0, 3.0)
CHANNEL = js.square(8, 4, periodic=(False, False))
EXCHANGE = js.Exchange(LATTICE, (1.0, 0.2))
MOMENTS = js.BehlerParrinello(descriptor=LocalMoments(LATTICE, 2.0, hops=1, moments=4), hidden=(4,), dtype=jnp.float32)
FIELDS = {
    "classical": EXCHANGE + js.DzyaloshinskiiMoriya(LATTICE, 0.3) + js.Anisotropy(0.1) + js.Zeeman((0.0, 0.0, 1.0)),
    "exact": js.ExactDiagonalization(MODEL, filling=0.25, temperature=0.1),
    "kernel polynomials": js.KernelPolynomial(MODEL, filling=0.25, temperature=0.3, probes=js.Coloring(4), order=16),
    "learnt, moments": MOMENTS,
    "learnt, electrons": js.BehlerParrinello(
        descriptor=js.LocalElectrons(LATTICE, 2.0, filling=0.3, hops=1, steps=3), hidden=(4,), dtype=jnp.float32
    ),
    "learnt, bispectrum": js.BehlerParrinello(
        descriptor=Bispectrum(LATTICE, 1.0, 1.0, 1.0), hidden=(4,), dtype=jnp.float32
    ),
    "learnt, generalized": js.GeneralizedPotential(
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
STILL = jnp.broadcast_to(js.ferromagnet(LATTICE, dtype=jnp.float32), (2, *LATTICE.shape, 3))
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
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, seconds, **_: compiled.append(seconds) if event.endswith("backend_compile_duration") else None
    )

    def run(strength, temperature, n):
        spins = js.random_spins(LATTICE, key=jax.random.key(n))
        field = Counted(traces, jnp.asarray(strength))
        settings = {"duration": 0.8, "step": 0.1, "save_every": 0.2, "damping": 0.1 * n}
        return js.simulate(field, spins, temperature=temperature, key=jax.random.key(n), **settings)

    run(0.3, 0.1, 1)
    # two stages of the solver, each traced a few times on its way through diffrax's loops
    first, programs = len(traces), len(compiled)
    assert first <= 8
    run(0.5, 0.2, 2)
    assert (len(traces), len(compiled)) == (first, programs)
    # measured: 1 program for the run and some twenty of one operation
    assert programs < 60
    jax.monitoring.clear_event_listeners()


@jax.numpy_dtype_promotion("standard")  # of optax
def test_a_second_training_of_equal_shapes_compiles_nothing():
    compiled = []
    spins = jnp.stack([js.random_spins(LATTICE, key=jax.random.key(n)) for n in range(8)])
    energy, field = jax.vmap(EXCHANGE.energy_and_field)(spins)
    data = js.SpinData(LATTICE, spins, field, energy)
    model = js.BehlerParrinello(descriptor=LocalMoments(LATTICE, 2.0, hops=1, moments=4), hidden=(4,))
    config = js.TrainConfig(steps=2, batch=2, evaluate_every=1, memory=0.0)
    js.train(model, data, config, key=jax.random.key(0))
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, seconds, **_: compiled.append(seconds) if event.endswith("backend_compile_duration") else None
    )
    found = js.train(model, data, config, key=jax.random.key(1))
    jax.monitoring.clear_event_listeners()
    assert np.isfinite(found.history["loss"]).all()
    assert compiled == []


def test_a_batch_of_runs_compiles_in_silence(capfd):
    # XLA moved the batch's broadcast through diffrax's hundred roundings of the end, and said it was going in circles
    spins = jnp.stack([js.random_spins(LATTICE, key=jax.random.key(n)) for n in range(3)])
    run = motion(js.dynamics.DepondtMertens())
    jax.jit(jax.vmap(run, in_axes=(0, None))).lower(spins, jax.random.key(1)).compile()
    assert "circular" not in capfd.readouterr().err
