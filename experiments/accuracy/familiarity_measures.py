"""How unlike what was learnt spins are, by several measures, and how well each ranks errors: for `familiarity`."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxspin as js
from jaxspin.forcefield import MultilayerPerceptron
from jaxspin.spins import tangent

States = dict[str, np.ndarray]


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def torques_of(exact: Any, model: Any, spins: jax.Array) -> tuple[np.ndarray, np.ndarray]:
    """Sizes of the exact torque and of the error of the learnt one, by site."""
    right, learnt = (tangent(spins, field.field(spins)) for field in (exact, model))
    return tuple(np.linalg.norm(np.asarray(x, float), axis=-1).ravel() for x in (right, learnt - right))


def site_values(model: js.BehlerParrinello, spins: np.ndarray) -> np.ndarray:
    """`unfamiliarity` by site."""
    return np.asarray(model.unfamiliarity(jnp.asarray(spins)), float).ravel()


def in_layers(model: js.BehlerParrinello, known: np.ndarray, tried: States) -> dict[str, States]:
    """The same distance in the last hidden layer, and sqrt(g^T (sum g g^T/N + r)^-1 g) of its activations g."""

    @jax.jit
    def activations(spins: jax.Array) -> jax.Array:
        x = model.descriptor(spins)
        x = x.reshape(-1, x.shape[-1])
        x = (x - model.mean[None]) / model.deviation[None]
        assert isinstance(model.network, MultilayerPerceptron)
        for layer in model.network.hidden:
            x = jax.nn.silu(layer(x))
        return x

    def of(frames: np.ndarray) -> np.ndarray:
        return np.stack([np.asarray(activations(jnp.asarray(s)), float) for s in frames])

    learnt = np.concatenate(of(known))
    found = {}
    for name, center in (("last hidden layer", learnt.mean(axis=0)), ("variance of the last layer", 0.0)):
        apart = learnt - center
        squares = apart.T @ apart / len(apart)
        inverse = np.linalg.inv(squares + 1e-8 * np.trace(squares) / len(squares) * np.eye(len(squares)))

        def distance(x: np.ndarray, inverse: np.ndarray = inverse, center: Any = center) -> np.ndarray:
            return np.sqrt(np.einsum("...i,ij,...j->...", x - center, inverse, x - center))

        usual = np.quantile(distance(learnt), 0.99)
        found[name] = {case: distance(of(frames)) / usual for case, frames in tried.items()}
    return found


def ranks(errors: States, torques: States, measures: dict[str, States]) -> dict[str, dict[str, float]]:
    """Spearman's rank correlation of each measure with the error: of spins, of frames, of frames over their torque."""
    error, torque = (np.concatenate(list(x.values())) for x in (errors, torques))
    size = np.sqrt(np.mean(error**2, axis=1))
    found = {}
    for name, values in measures.items():
        value = np.concatenate(list(values.values()))
        frames = np.sqrt(np.mean(value**2, axis=1))
        found[name] = {
            "spins": rank(value.ravel(), error.ravel()),
            "frames": rank(frames, size),
            "frames, relative error": rank(frames, size / np.sqrt(np.mean(torque**2, axis=1))),
        }
    return found


def rank(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's rank correlation; NaN where one of them is the same everywhere."""
    from scipy.stats import spearmanr

    correlation: Any = spearmanr
    return float("nan") if np.ptp(one) == 0 or np.ptp(other) == 0 else float(correlation(one, other)[0])
