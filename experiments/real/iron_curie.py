"""Curie temperature of iron by thermal dynamics of its exchange, beside mean field and random phases of the same J.

    python -m experiments.real.iron_curie              # a quarter of an hour on one core
    python -m experiments.real.iron_curie --smoke      # a coarse mesh, few and short runs
    python -m experiments.real.iron_curie --help       # every setting

The couplings of all pairs, from the Wannier Hamiltonian that comes with the package, "with hoppings" of `bcc_iron`.
Copies of boxes of L^3 atoms run at temperatures about the random-phase one, and the Binder cumulants U = 1 -
<m^4>/(3 <m^2>^2) of two sizes cross at T_c. Errors are bootstraps over the copies, which are independent. The same is
done for couplings whose T_c is known: nearest neighbours on the bcc lattice, k_B T_c = 2.0542 J (K. Chen, A. M.
Ferrenberg and D. P. Landau, Phys. Rev. B 48, 3249 (1993), doi:10.1103/PhysRevB.48.3249). Whether the runs are in
equilibrium is seen from others with half the step, random spins at the start, and less damping: a precession of finite
steps heats the spins, and the less damping there is to take that away, the smaller must the step be.
"""

import dataclasses
import functools
import itertools
from pathlib import Path
from typing import Any

import jax
import numpy as np

import jaxspin as js
from experiments.real import bcc_iron
from experiments.real.cumulants import crossing
from experiments.real.iron_curie_figures import draw
from experiments.real.thermal_runs import exchange_on, measured
from experiments.stages import Resumable, Timer, main, open_folder
from jaxspin.io import load_or_make, load_or_make_each, provenance, save_json
from jaxspin.observables import (
    ExchangeCouplings,
    exchange_couplings,
    mean_field_temperature,
    random_phase_temperature,
)

MEASURED = 1043.0  # K
KNOWN = 2.0542  # k_B T_c in units of J, each pair once
FINE = 16


@dataclasses.dataclass(frozen=True)
class Config(Resumable):
    """Settings."""

    output: Path = Path("runs/iron_curie")
    """Folder for `summary.json` and the figure; an existing one is refused."""
    seed: int = 0
    """Of the noise."""
    smoke: bool = False
    """Run everything on a coarse mesh, briefly."""
    mesh: int = 16
    """Wavevectors of the electrons along each axis; pairs reach half as many cells."""
    temperature: float = 0.05
    """k_B T of the electrons, eV."""
    sides: tuple[int, ...] = (6, 8, 12)
    """Cells of the boxes along each axis, one atom a cell."""
    around: tuple[float, ...] = (1.03, 1.08, 1.13, 1.18)
    """Temperatures, in units of the random-phase one."""
    copies: int = 8
    """Independent runs at each temperature."""
    duration: float = 240.0
    """Of each run, in units of hbar over the random-phase k_B T_c; the first quarter is left out."""
    step: float = 0.06
    """In the same units."""
    damping: float = 1.0
    """Strong: only the equilibrium counts."""

    def __post_init__(self):
        if len(self.sides) < 2 or min(self.sides) < 3:
            raise ValueError(
                f"sides = {self.sides} have no two cumulants that cross; give two or more, such as 6 8 12."
            )
        if len(self.around) < 3:
            raise ValueError(
                f"{len(self.around)} temperatures fix no parabola; give three or more, such as 1.0 1.07 1.14."
            )
        if self.copies < 2:
            raise ValueError("one copy has no scatter and no error; give --copies 8.")

    @property
    def steps(self) -> float:
        """Of every run."""
        return self.duration / self.step


def smoke_size(config: Config) -> Config:
    """Hot electrons on four wavevectors along each axis, small boxes."""
    small = {"mesh": 4, "temperature": 0.3, "sides": (3, 4), "around": (1.0, 1.1, 1.2, 1.3)}
    return dataclasses.replace(config, **small, copies=2, duration=12.0)


def run(config: Config) -> dict[str, Any]:
    """T_c of iron and of the case that is known; returns what `summary.json` holds."""
    config = smoke_size(config) if config.smoke else config
    folder = open_folder(config)
    timer = Timer(folder)
    with jax.enable_x64(True), timer("exchange"):
        iron = js.io.read_wannier90(*js.io.example("bcc_iron"))
        couplings = load_or_make(folder / "couplings.npy", functools.partial(of_electrons, config, iron))
        lattice = iron.lattice(config.mesh)
        shell = [(0, 0, bond.offset, 1.0) for bond in lattice.shell(1)]
        magnets = {
            "iron": ExchangeCouplings(lattice, couplings),
            # on the same mesh, so that the runs are the same programs
            "nearest neighbours": ExchangeCouplings.of_pairs(lattice, shell),
        }
        others = {name: estimates(found) for name, found in magnets.items()}
        lists = {name: found.pairs() for name, found in magnets.items()}
    found = {}
    for name, pairs in lists.items():
        unit = others[name]["random phase"]
        makers = {
            f"{name}, {side}": functools.partial(moments, config, iron.lattice(side), pairs, unit)
            for side in config.sides
        }
        with timer(name):
            rows = list(load_or_make_each(folder / "rows", makers, progress=True).values())
        found[name] = others[name] | {"sizes": rows, "crossings": crossings(config, rows)}
    with timer("equilibrium"):
        check = functools.partial(equilibrium, config, iron, lists["iron"], others["iron"]["random phase"])
        checks = load_or_make(folder / "equilibrium.json", check)
    summary = {
        "magnets": found,
        "equilibrium": checks,
        "known": KNOWN,
        "measured": MEASURED,
        "provenance": provenance(config, config.seed),
    }
    draw(folder / "iron_curie.png", summary)
    save_json(folder / "summary.json", summary)
    return summary


def of_electrons(config: Config, iron: Any) -> np.ndarray:
    """J(R) in eV, the spins turning the split hoppings too."""
    settings = bcc_iron.Config(temperature=config.temperature)
    electrons = bcc_iron.electrons_of(settings, bcc_iron.model_of(iron), config.mesh)
    up = js.textures.ferromagnet(iron.lattice(1))
    return np.asarray(exchange_couplings(electrons, up, frequencies=settings.frequencies).couplings)


def estimates(exchange: ExchangeCouplings) -> dict[str, float]:
    """k_B T_c of mean field and random phases; the latter on a mesh so fine that it is that of an endless lattice."""
    fine = exchange.resized(*(max(FINE, n) for n in exchange.lattice.cells))
    mean_field, random_phase = mean_field_temperature(exchange), random_phase_temperature(fine)
    return {"mean field": float(mean_field), "random phase": float(random_phase)}


def moments(config: Config, lattice: js.Lattice, pairs: Any, unit: float) -> dict[str, Any]:
    """<|m|>, <m^2> and <m^4> of each temperature and copy."""
    temperatures = unit * np.array(config.around)
    every = np.repeat(temperatures, config.copies)
    same = np.ones_like(every)
    runs = {"temperature": every, "step": config.step / unit * same, "damping": config.damping * same}
    m, energy = measured(exchange_on(lattice, pairs), runs, config.steps, config.seed + lattice.cells[0])
    m, energy = (x.reshape(len(temperatures), config.copies, -1) for x in (m, energy))
    powers = {name: np.mean(m**n, -1) for name, n in (("m", 1), ("m^2", 2), ("m^4", 4))}
    return {"side": lattice.cells[0], "temperatures": temperatures, "energy": energy.mean(-1), **powers}


def crossings(config: Config, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """T_c of neighbouring sizes, and of the least and the largest."""
    pairs = [*itertools.pairwise(rows), *([(rows[0], rows[-1])] if len(rows) > 2 else [])]
    rng = np.random.default_rng(config.seed)
    return [{"sides": [a["side"], b["side"]], **crossing(a, b, rng)} for a, b in pairs]


TRIED = {
    "as above": (1.0, 1.0, False),
    "half the step": (0.5, 1.0, False),
    "damping 0.3 times": (1.0, 0.3, False),
    "from random spins": (1.0, 1.0, True),
}


def equilibrium(config: Config, iron: Any, pairs: Any, unit: float) -> dict[str, dict[str, float]]:
    """Mean |m| and energy of the smallest box at the middle temperature, with their standard errors.

    Steps, damping and start, which must not change them, are those of `TRIED`, in units of those above. All runs have
    as many steps.
    """
    copies = len(config.around) * config.copies // len(TRIED)
    steps, dampings, disordered = (np.repeat([row[n] for row in TRIED.values()], copies) for n in range(3))
    middle = unit * config.around[len(config.around) // 2]
    runs = {
        "temperature": np.full(len(steps), middle),
        "step": config.step / unit * steps,
        "damping": config.damping * dampings,
    }
    magnet = exchange_on(iron.lattice(config.sides[0]), pairs)
    m, energy = measured(magnet, runs, config.steps, config.seed + 1000, disordered)
    found: dict[str, dict[str, float]] = {}
    for n, name in enumerate(TRIED):
        rows = {"m": m, "energy": energy}
        each = {key: x.reshape(len(TRIED), copies, -1)[n].mean(-1) for key, x in rows.items()}
        found[name] = {key: float(x.mean()) for key, x in each.items()}
        found[name] |= {f"error of {key}": float(x.std(ddof=1) / copies**0.5) for key, x in each.items()}
    return found


def shown(summary: dict[str, Any], _: Path) -> dict[str, Any]:
    """Temperatures, without the moments they are made of."""
    kept = ("mean field", "random phase", "crossings")
    magnets = {name: {key: row[key] for key in kept} for name, row in summary["magnets"].items()}
    return {"magnets": magnets, "equilibrium": summary["equilibrium"]}


if __name__ == "__main__":
    main(Config, run, __doc__, shown)
