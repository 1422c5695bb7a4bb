"""The annealing of spins in the field of exact diagonalization, at many couplings and fillings at once."""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import xarray as xr

import jaxspin as js
from experiments.stages import Dynamics
from experiments.stages.checks import check_counts, check_positive
from experiments.stages.phases import check_side


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


def anneal(store: Path, settings: Annealing, temperature: float, seed: int, resume: bool = False) -> xr.Dataset:
    """Spins cooled from random, with their largest torque and the number of pieces they took, kept in `store`."""
    lattice = js.triangular(*settings.cells)
    design = js.sweeps.grid(coupling=settings.couplings, filling=settings.fillings, seed=[seed])

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
        resume=resume,
    )
