"""A public verb called twice with new values compiles nothing the second time."""

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

import jaxspin as js
from jaxspin.descriptors import LocalMoments
from jaxspin.electrons import measure_accuracy
from jaxspin.forcefield import Committee, GeneralizedPotential
from jaxspin.training import (
    RolloutConfig,
    RolloutData,
    evaluate,
    perturbed_configurations,
    random_configurations,
    rollout_errors,
    train_rollout,
)
from tests.helpers import counting_compilations

pytestmark = pytest.mark.usefixtures("optax_mixes_types")

RING = js.chain(6)
MOMENTS = LocalMoments(RING, 2.0, hops=1, moments=4)
KEYS = [jax.random.key(n) for n in range(2)]
SPINS = [random_configurations(RING, 4, key=key) for key in KEYS]
MODELS = [js.BehlerParrinello(descriptor=MOMENTS, hidden=(4,), key=key) for key in KEYS]
COMMITTEES = [Committee([MODELS[n], MODELS[1 - n]]) for n in range(2)]
TWO = [GeneralizedPotential(MOMENTS, hidden=(4,), key=key) for key in KEYS]
SOLVERS = [
    js.KernelPolynomial(js.SDModel(RING, 1.0, 1.0 + n), chemical_potential=0.0, temperature=0.5, order=32)
    for n in range(2)
]
ROLLOUT = RolloutConfig(steps=2, batch=1, evaluate_every=1, field_batch=2)


def labels(n):
    return js.sample(js.Exchange(RING, jnp.asarray(1.0 + n)), SPINS[n])


def pieces(n):
    settings = {"frames": 2, "interval": 1.0, "step": 0.5, "damping": 0.1}
    return RolloutData.sample(js.Exchange(RING, jnp.asarray(0.2 + 0.1 * n)), SPINS[n], **settings)


VERBS = {
    "sample": labels,
    "RolloutData.sample": pieces,
    "BehlerParrinello": lambda n: js.BehlerParrinello(MOMENTS, hidden=(4,), key=KEYS[n]),
    "energy": lambda n: MODELS[n].energy(SPINS[n][0]),
    "site_energies": lambda n: MODELS[n].site_energies(SPINS[n][0]),
    "field": lambda n: MODELS[n].field(SPINS[n][0]),
    "features": lambda n: MOMENTS(SPINS[n][0]),
    "standardized": lambda n: MODELS[n].standardized(SPINS[n], shift=0.1 * n, scale=1.0 + n),
    "on": lambda n: MODELS[n].on(RING.resize(12)).field(jnp.tile(SPINS[n][0], (2, 1, 1))),
    "committee": lambda n: Committee([MODELS[n], MODELS[1 - n]]),
    "energy of a committee": lambda n: COMMITTEES[n].energy(SPINS[n][0]),
    "spread": lambda n: COMMITTEES[n].standard_deviation(SPINS[n][0]),
    "calibrated": lambda n: COMMITTEES[n].calibrated(SPINS[n]).unfamiliar(SPINS[n][0]),
    "potentials": lambda n: TWO[n].potentials(SPINS[n][0]),
    "along": lambda n: TWO[n].potential_along(SPINS[n][0], SPINS[1 - n][0]),
    "evaluate": lambda n: evaluate(MODELS[n], labels(n)),
    "rollout": lambda n: rollout_errors(MODELS[n], pieces(n)),
    "train_rollout": lambda n: train_rollout(MODELS[n], pieces(n), ROLLOUT, fields=labels(n), key=KEYS[n]),
    "measure_accuracy": lambda n: measure_accuracy(SOLVERS[n], SPINS[n][0], key=KEYS[n], draws=2).error,
    "perturbed": lambda n: perturbed_configurations(SPINS[n][0], [0.1, 0.2 + n], key=KEYS[n]),
}


# seconds of compiling, the gradient through the dynamics among them
DEAR = ("train_rollout",)


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in DEAR else n for n in VERBS])
def test_a_verb_called_twice_compiles_once(name):
    jax.block_until_ready(eqx.filter(VERBS[name](0), eqx.is_array))
    with counting_compilations() as compiled:
        jax.block_until_ready(eqx.filter(VERBS[name](1), eqx.is_array))
    assert compiled == []


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
