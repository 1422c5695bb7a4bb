"""Order of the triangular s-d model against filling and coupling: energies of named textures, and annealing.

    python -m experiments.quenches.phase_diagram           # a quarter of an hour on one core, writes runs/phase_diagram
    python -m experiments.quenches.phase_diagram --smoke   # a minute
    python -m experiments.quenches.phase_diagram --resume  # after a kill: no finished point is computed again
    python -m experiments.quenches.phase_diagram --help    # every setting

Two sweeps, each a Zarr store. `textures.zarr`: the free energy of ferromagnet, 120 degrees, stripe, tetrahedral and
coplanar double-Q on a fine grid, by Bloch diagonalization at a temperature of the electrons above zero.
`annealed.zarr`: spins that start at random, cooled in the field of exact diagonalization on a smaller lattice and then
let fall into a minimum; its points end at different times, and the batch is refilled as they do. The first knows only
the five states it was told, the second is told none: where the annealed state, repeated on the lattice of the
textures, lies below all five, another state wins.
"""

import dataclasses
import functools
import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

import jaxspin as js
from experiments.quenches.phase_diagram_figures import draw
from experiments.stages import Dynamics, Resumable, main, open_folder
from experiments.stages.checks import check_counts, check_positive
from experiments.stages.phases import TEXTURES, check_side, classified, margin
from jaxspin.io import provenance, save_json


@dataclasses.dataclass(frozen=True)
class Annealing:
    """Spins that start at random, are cooled, and then fall into a minimum."""

    cells: tuple[int, int] = (6, 12)
    """Cells of the lattice; multiples of 6."""
    couplings: tuple[float, ...] = (1.0, 2.0, 3.0, 4.0)
    """J."""
    fillings: tuple[float, ...] = (0.125, 0.25, 0.375, 0.5, 0.625, 0.75)
    """Electrons per spin-orbital."""
    hot: float = 0.03
    """Bath temperature at which the annealing begins."""
    cold: float = 0.001
    """That at which it ends; after it the bath is at zero."""
    cooling: int = 20
    """Pieces of the cooling, each at its own temperature, falling by one factor."""
    piece: float = 10.0
    """Duration of a piece."""
    motion: Dynamics = dataclasses.field(default_factory=Dynamics)
    """Of the spins."""
    tolerance: float = 3e-3
    """Largest torque on a spin at which a state is at rest."""
    limit: int = 60
    """Most pieces of a point, cooling included."""
    batch: int = 4
    """Points at once."""

    def __post_init__(self):
        for side in self.cells:
            check_side("annealing.cells", side)
        check_counts(self, "cooling", "batch")
        check_positive(self, "piece", "tolerance")
        if any(not 0 < n < 1 for n in self.fillings):
            raise ValueError("fillings count electrons per spin-orbital; give numbers between 0 and 1.")
        if not self.hot >= self.cold > 0:
            raise ValueError(f"the bath cools from {self.hot} to {self.cold}; give positive temperatures that fall.")
        if self.limit < self.cooling:
            raise ValueError(f"limit = {self.limit} ends before the cooling does; use at least {self.cooling}.")


@dataclasses.dataclass(frozen=True)
class Config(Resumable):
    """Settings of both sweeps. Energies in units of the hopping t, times in hbar/t."""

    output: Path = Path("runs/phase_diagram")
    """Folder for the stores, `summary.json` and the figure; an existing one is refused."""
    smoke: bool = False
    """Run everything at a tiny size."""
    seed: int = 0
    """Of the starts and the noise of the annealing."""
    temperature: float = 0.02
    """Of the electrons, in both sweeps."""
    side: int = 24
    """Side of the lattice of the textures; a multiple of 6, the common magnetic cell."""
    largest_coupling: float = 6.0
    """J of the textures runs from zero (left out) to here."""
    couplings: int = 24
    """Number of values of J."""
    fillings: int = 39
    """Number of fillings between 0 and 1, both left out; 39 is a step of 0.025."""
    annealing: Annealing = dataclasses.field(default_factory=Annealing)
    """The second sweep."""

    def __post_init__(self):
        check_side("side", self.side)
        check_counts(self, "couplings", "fillings")
        check_positive(self, "largest_coupling", "temperature")


def smoke_size(config: Config) -> Config:
    """The same in a minute."""
    return dataclasses.replace(
        config,
        side=6,
        couplings=3,
        fillings=3,
        annealing=dataclasses.replace(
            config.annealing,
            cells=(6, 6),
            couplings=(3.0,),
            fillings=(0.25, 0.5),
            cooling=2,
            limit=3,
            piece=2.0,
            batch=2,
        ),
    )


def run(config: Config) -> dict[str, Any]:
    """Both sweeps, the comparison and the figure; returns what `summary.json` holds."""
    config = smoke_size(config) if config.smoke else config
    folder = open_folder(config)
    with jax.enable_x64(True):
        textures = energies(config, folder / "textures.zarr").load()
    with jax.enable_x64(False):
        annealed = anneal(config, folder / "annealed.zarr").load()
    with jax.enable_x64(True):
        rows = compare(config, annealed)
    draw(folder / "phase_diagram.png", textures, rows)
    table = textures.energy.transpose("texture", "coupling", "filling").values
    names = list(TEXTURES)
    summary = {
        "textures": names,
        "couplings": textures.coupling.values,
        "fillings": textures.filling.values,
        "lowest": [[names[i] for i in row] for row in table.argmin(axis=0)],
        "margin to the next, energy per site": np.round(margin(table), 6),
        "annealed": rows,
        "annealed and variational order agree": int(sum(r["order"] == r["lowest texture"] for r in rows)),
        "annealed below every texture": int(sum(r["above the lowest texture"] < -1e-4 for r in rows)),
        "textures made by": json.loads(textures.attrs["provenance"]),
        "annealed made by": json.loads(annealed.attrs["provenance"]),
        "provenance": provenance(config, config.seed),
    }
    save_json(folder / "summary.json", summary)
    return summary


def energies(config: Config, store: Path) -> xr.Dataset:
    """Free energy per site of each texture on the grid of couplings and fillings."""
    design = js.sweeps.grid(
        texture=list(TEXTURES),
        coupling=config.largest_coupling * np.arange(1, config.couplings + 1) / config.couplings,
    )
    fillings = np.arange(1, config.fillings + 1) / (config.fillings + 1)

    temperature, cells = config.temperature, (config.side, config.side)

    # what the function holds must be the same when it is resumed, and `config` says that it is
    def energy(texture, coupling):
        # the levels do not depend on the filling: mapped here they are computed once for all
        at = jax.vmap(lambda n: texture_energy(texture, coupling, n, temperature, cells))
        return {"energy": at(jnp.asarray(fillings))}

    found = js.sweeps.sweep(
        energy,
        design,
        store=store,
        batch=8,
        dims={"energy": ("filling",)},
        attributes={"temperature": config.temperature, "side": config.side, "fillings": fillings},
        resume=config.resume,
    )
    return found.assign_coords(filling=fillings)


def texture_energy(name: str, coupling, filling, temperature: float, cells: tuple[int, int]):
    """Free energy per site of a named texture on a periodic lattice."""
    texture, cell = TEXTURES[name]
    lattice = js.triangular(cell)
    electrons = js.ExactDiagonalization(js.SDModel(lattice, 1.0, coupling), filling=filling, temperature=temperature)
    return js.electrons.bloch_energy(electrons, texture(lattice), (cells[0] // cell, cells[1] // cell))


def anneal(config: Config, store: Path) -> xr.Dataset:
    """Spins cooled from random, with their largest torque and the number of pieces they took."""
    settings, temperature = config.annealing, config.temperature
    lattice = js.triangular(*settings.cells)
    design = js.sweeps.grid(coupling=settings.couplings, filling=settings.fillings, seed=[config.seed])

    def electrons(state):
        model = js.SDModel(lattice, 1.0, state["coupling"])
        return js.ExactDiagonalization(model, filling=state["filling"], temperature=temperature)

    def start(coupling, filling, seed):
        begin, noise = jax.random.split(jax.random.key(seed))
        # the same start everywhere: what differs between points is the electrons' doing
        spins = js.random_spins(lattice, key=begin)
        torque = jnp.full((), jnp.inf, spins.dtype)
        pieces = jnp.zeros((), jnp.int32)
        return {
            "coupling": coupling,
            "filling": filling,
            "spins": spins,
            "torque": torque,
            "pieces": pieces,
            "key": noise,
        }

    def advance(state):
        pieces, field = state["pieces"], electrons(state)
        fraction = pieces.astype(state["torque"].dtype) / max(1, settings.cooling - 1)
        bath = settings.hot * (settings.cold / settings.hot) ** fraction
        spins = js.simulate(
            field,
            state["spins"],
            duration=settings.piece,
            step=settings.motion.step,
            damping=settings.motion.damping,
            temperature=jnp.where(pieces < settings.cooling, bath, 0.0),
            key=jax.random.fold_in(state["key"], pieces),
            save_every=settings.piece,
            throw=False,
        ).final
        torque = jnp.sqrt(jnp.max(jnp.sum(jnp.cross(spins, field.push(spins)) ** 2, axis=-1)))
        return {**state, "spins": spins, "torque": torque, "pieces": pieces + 1}

    job = js.sweeps.Stepwise(
        start=start,
        advance=advance,
        done=lambda s: (s["pieces"] >= settings.cooling) & (s["torque"] < settings.tolerance),
        result=lambda s: {name: s[name] for name in ("spins", "torque", "pieces")},
        limit=settings.limit,
    )
    kept = ("hot", "cold", "cooling", "piece", "tolerance", "limit")
    return js.sweeps.sweep(
        job,
        design,
        store=store,
        batch=settings.batch,
        attributes={
            "temperature": temperature,
            "annealed_cells": settings.cells,
            **dataclasses.asdict(settings.motion),
            **{name: getattr(settings, name) for name in kept},
        },
        dims={"spins": ("cell_1", "cell_2", "sublattice", "component")},
        resume=config.resume,
    )


def compare(config: Config, annealed: xr.Dataset) -> list[dict[str, Any]]:
    """Each annealed state: its order, and its energy above that of the lowest texture.

    On its own small lattice a state may owe its energy to a few shells of levels. So it is repeated, too, until it
    fills the lattice of the textures: a state that is lower there is a better one.
    """
    lattice = js.triangular(*config.annealing.cells)
    along = tuple(max(1, config.side // cells) for cells in config.annealing.cells)
    large = (along[0] * config.annealing.cells[0], along[1] * config.annealing.cells[1])
    rows = []
    for coupling in annealed.coupling.values:
        for filling in annealed.filling.values:
            point = annealed.sel(coupling=coupling, filling=filling).isel(seed=0)
            spins = js.normalize(jnp.asarray(point.spins.values, float))
            model = js.SDModel(lattice, 1.0, coupling)
            exact = js.ExactDiagonalization(model, filling=filling, temperature=config.temperature)
            energy = float(js.electrons.bloch_energy(exact, spins, along))
            named = all_textures(coupling, filling, config.temperature, large)
            small = all_textures(coupling, filling, config.temperature, config.annealing.cells)
            lowest = min(named, key=lambda name: named[name])
            order, shares, chirality = classified(lattice, spins)
            rows.append(
                {
                    "coupling": coupling,
                    "filling": filling,
                    "order": order,
                    "lowest texture": lowest,
                    "energy per site": energy,
                    "above the lowest texture": energy - named[lowest],
                    "the same on its own lattice": float(exact.energy(spins)) / lattice.sites - min(small.values()),
                    "shares of S(q)": shares,
                    "chirality, mean of the absolute value": chirality,
                    "largest torque": float(point.torque),
                    "pieces": int(point.pieces),
                    "why not at rest": str(point.reason.values),
                }
            )
    return rows


@functools.partial(jax.jit, static_argnums=3)
def _textures(coupling, filling, temperature, cells: tuple[int, int]):
    return [texture_energy(name, coupling, filling, temperature, cells) for name in TEXTURES]


def all_textures(coupling: float, filling: float, temperature: float, cells: tuple[int, int]) -> dict[str, float]:
    """Free energy per site of every texture on one lattice."""
    return dict(zip(TEXTURES, map(float, _textures(coupling, filling, temperature, cells)), strict=True))


if __name__ == "__main__":
    main(
        Config,
        run,
        __doc__,
        lambda found, _: "\n".join(
            f"J = {row['coupling']:g}, n = {row['filling']:g}: {row['order']} "
            f"({1e3 * row['above the lowest texture']:+.2f}e-3 t above {row['lowest texture']})"
            for row in found["annealed"]
        ),
    )
