"""How large the clusters of `LocalElectrons` must be: its energy alone, before any training, against exact torques.

    python -m experiments.accuracy.cluster_size              # twenty minutes on one core, writes runs/cluster_size
    python -m experiments.accuracy.cluster_size --help       # every setting
    python -m experiments.accuracy.cluster_size --resume     # goes on where a killed run stopped

Electrons on clusters of h hops miss what lies further away, and a temperature above that of the electrons, which makes
them more local, misses what is sharp in energy. For each model the torques on random spins, and on those that a quench
by the estimate itself has made of them, are compared with exact diagonalization of the whole lattice: the rms error in
units of the rms torque, for every radius and temperature, and the largest error of a site, which tells levels that the
end of too short a recursion leaves in a gap. Use it to choose `hops` and `temperature` for other electrons.
"""

import dataclasses
import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import jaxspin as js
from experiments.accuracy.cluster_size_figures import draw, table_of
from experiments.stages import Electrons, Resumable, main, open_folder
from experiments.stages.checks import check_counts, check_positive
from jaxspin.io import load_or_make_each, provenance, save_json
from jaxspin.spins import tangent

Kinds = dict[str, tuple[jax.Array, jax.Array]]


@dataclasses.dataclass(frozen=True)
class Config(Resumable):
    """Models, clusters and temperatures."""

    output: Path = Path("runs/cluster_size")
    """Folder for `summary.json`, `table.md` and the figure; an existing one is refused."""
    cases: tuple[Electrons, ...] = (
        Electrons("square", 3.5, 0.48, 0.0027),
        Electrons("square", 6.0, 0.485, 0.0027),
        Electrons("triangular", 3.0, 0.25, 0.05),
        Electrons("triangular", 4.0, 0.5, 0.05),
    )
    """What electrons."""
    hops: tuple[int, ...] = (2, 4, 6, 8, 10)
    """Radii of the clusters; the recursion makes 5 steps a hop and one more, the next odd number."""
    temperatures: tuple[float, ...] = (0.02, 0.05, 0.1, 0.2)
    """At which clusters are filled."""
    side: int = 24
    """Of the lattice; exact diagonalization must be possible."""
    duration: float = 20.0
    """Of the quench from the random spins, damping 0.5."""
    driver: tuple[int, float] = (4, 0.1)
    """Radius of the clusters, and temperature, of the estimate that drives the quench."""
    seed: int = 0
    """Of the random spins."""

    def __post_init__(self):
        check_counts(self, "side")
        check_positive(self, "duration")
        if not (self.cases and self.hops and self.temperatures):
            raise ValueError("cases, hops and temperatures need one value each at least; leave them out for the usual.")
        for case in self.cases:
            for hops, temperature in (self.driver, *self.clusters):
                self.estimate(case, hops, temperature)

    @property
    def clusters(self) -> list[tuple[int, float]]:
        """All pairs of radius and temperature."""
        return [(hops, temperature) for hops in self.hops for temperature in self.temperatures]

    def estimate(self, case: Electrons, hops: int, temperature: float) -> js.BehlerParrinello:
        """The energy of the clusters alone, the network not trained; `ValueError` for a lattice that is too small."""
        descriptor = js.LocalElectrons(
            case.on(self.side),
            case.coupling,
            filling=case.filling,
            hops=hops,
            steps=(5 * hops + 1) | 1,
            temperature=temperature,
            surroundings=0,
        )
        return js.BehlerParrinello(descriptor=descriptor, hidden=(1,))


def run(config: Config) -> dict[str, Any]:
    """The errors of every estimate; returns what summary.json holds."""
    folder = open_folder(config)
    makers = {}
    for number, case in enumerate(config.cases):
        # labelled when the first row asks
        kinds = functools.cache(functools.partial(configurations, config, case, number))
        for place, (hops, temperature) in enumerate(config.clusters):
            makers[f"{number}_{place:02d}"] = functools.partial(row, config, case, kinds, hops, temperature)
    rows = list(load_or_make_each(folder / "rows", makers, progress=True).values())
    summary = {"rows": rows, "provenance": provenance(config, config.seed)}
    save_json(folder / "summary.json", summary)
    (folder / "table.md").write_text(table_of(rows))
    draw(folder / "cluster_size.png", [name_of(case) for case in config.cases], config.temperatures, rows)
    return summary


def row(config: Config, case: Electrons, kinds: Callable[[], Kinds], hops: int, temperature: float) -> dict[str, Any]:
    """Errors of an estimate by kind of configuration, in units of the rms torque, and the time of its field."""
    estimate = config.estimate(case, hops, temperature)
    field = eqx.filter_jit(estimate.field)
    errors, seconds = {}, []
    for name, (spins, given) in kinds().items():
        field(spins).block_until_ready()
        began = time.perf_counter()
        found = field(spins).block_until_ready()
        seconds.append(time.perf_counter() - began)
        size, off = (np.linalg.norm(np.asarray(tangent(spins, f)), axis=-1) for f in (given, found - given))
        rms = float(np.sqrt(np.mean(size**2)))
        errors[name] = {"error": float(np.sqrt(np.mean(off**2))) / rms, "largest": float(off.max()) / rms}
    about = {"hops": hops, "steps": estimate.descriptor.settings()["steps"], "temperature": temperature}
    cost = 1e6 * min(seconds) / case.on(config.side).sites
    return {"case": name_of(case), **about, **errors, "microseconds a site": cost}


def name_of(case: Electrons) -> str:
    """The electrons in words."""
    return f"{case.lattice}, J = {case.coupling:g}, n = {case.filling:g}, T = {case.temperature:g}"


def configurations(config: Config, case: Electrons, number: int) -> Kinds:
    """Random spins and those of a quench, with their exact fields."""
    key = jax.random.fold_in(jax.random.key(config.seed), number)
    exact = case.exact(config.side)
    field = eqx.filter_jit(exact.field)
    start = js.random_spins(exact.lattice, key=key, dtype=jnp.float32)
    driver = config.estimate(case, *config.driver)
    quench = js.simulate(driver, start, duration=config.duration, step=0.5, damping=0.5)
    assert quench.spins is not None
    return {name: (spins, field(spins)) for name, spins in {"random": start, "quench": quench.spins[-1]}.items()}


if __name__ == "__main__":
    main(Config, run, __doc__)
