"""The figure of `fit`."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from jaxspin.spins import tangent
from jaxspin.training import Learnt, SpinData, predict


def draw(path: Path, learnt: Learnt, held: SpinData) -> None:
    """Learning curve, and predicted against given torques on the configurations held out."""
    figure, (curve, scatter) = plt.subplots(1, 2, figsize=(8.4, 3.8), layout="constrained")
    history = learnt.history
    curve.plot(history["step"], np.sqrt(history["loss"]), label="training")
    curve.plot(history["step"], history["torque"], label="validation")
    curve.set(xlabel="step", ylabel="rms torque error / rms torque", ylim=(0, None))
    curve.legend(frameon=False)
    _, field = predict(learnt.model, held.spins)
    given, found = (np.asarray(tangent(held.spins, f)).ravel() for f in (held.field, field))
    some = np.random.default_rng(0).choice(len(given), min(6000, len(given)), replace=False)
    reach = float(np.abs(given[some]).max())
    scatter.plot([-reach, reach], [-reach, reach], color="0.6", lw=0.8)
    scatter.plot(given[some], found[some], ".", ms=1.5, rasterized=True)
    scatter.set(xlabel="tangential field given ($t$)", ylabel="learnt ($t$)", aspect="equal")
    figure.savefig(path, dpi=150)
    plt.close(figure)
