"""What the model cards of the pretrained force fields say beside their metadata, from the committed results.

    python -m experiments.accuracy.cards            # writes jaxspin/forcefield/weights/cards.json anew
    python -m experiments.accuracy.cards --measure  # times fields on this machine first, a minute each

The page of the cards is made of it by `python -m experiments.tables`.
"""

import dataclasses
import time
from typing import Any

import equinox as eqx
import jax

import jaxspin as js
from experiments.stages import main_without_folder
from experiments.stages.results import FOLDER
from jaxspin.forcefield.pretrained import WEIGHTS
from jaxspin.io import load_json, provenance, save_json

COSTS = FOLDER / "accuracy" / "results" / "cards.json"


@dataclasses.dataclass(frozen=True)
class Config:
    """What to do."""

    measure: bool = False
    """Time the fields on this machine, one after another, and keep the times in `results/cards.json`."""
    names: tuple[str, ...] = ()
    """Force fields to time; none are all."""
    repeats: int = 5
    """Fields timed of each; the fastest counts."""


def run(config: Config) -> dict[str, Any]:
    """Writes the file of the cards."""
    if config.measure:
        measure(config)
    found = collected()
    save_json(WEIGHTS / "cards.json", found)
    return found


def collected() -> dict[str, Any]:
    """Configurations learnt from, and time a site, of each force field; None where no committed file has them."""
    costs = load_json(COSTS)["rows"] if COSTS.exists() else {}
    found = {}
    for name in js.forcefield.pretrained_names():
        found[name] = {
            "configurations": configurations(name),
            "microseconds a site": costs[name]["microseconds a site"] if name in costs else None,
        }
    return found


def configurations(name: str) -> int | None:
    """How many a force field learnt from, where a committed file says."""
    about = js.forcefield.pretrained_metadata(name)
    if "familiarity" in about:
        return about["familiarity"]["configurations"]
    if name == "driven-channel":
        by_length = load_json(FOLDER / "driven" / "results" / "wall_learning" / "summary.json")["configurations"]
        return sum(by_length.values())
    return None


def measure(config: Config) -> None:
    """Processor time of a field of random spins, in single precision, on lattices of about a thousand sites."""
    rows = load_json(COSTS)["rows"] if COSTS.exists() else {}
    for name in config.names or js.forcefield.pretrained_names():
        known = js.pretrained(name).lattice
        lattice = known.resize(*((32, 32) if all(known.periodic) else (64, known.cells[1])))
        field = eqx.filter_jit(js.pretrained(name, lattice).field)
        spins = js.random_spins(lattice, key=jax.random.key(0))
        began = time.process_time()
        field(spins).block_until_ready()
        first = time.process_time() - began
        times = []
        for _ in range(config.repeats):
            began = time.process_time()
            field(spins).block_until_ready()
            times.append(time.process_time() - began)
        rows[name] = {
            "sites": lattice.sites,
            "seconds to compile and run": first,
            "microseconds a site": 1e6 * min(times) / lattice.sites,
        }
        save_json(COSTS, {"rows": rows, "provenance": provenance(config)})


if __name__ == "__main__":
    main_without_folder(Config, run, __doc__)
