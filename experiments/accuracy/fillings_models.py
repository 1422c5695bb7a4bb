"""The data and the rows of `fillings`: what is labelled at which filling, and which force field is asked there."""

import dataclasses
from pathlib import Path
from typing import Any

import equinox as eqx
import jax

import jaxspin as js
from experiments.stages import Electrons, Motion, Sampling, sample_quenches, sample_random
from experiments.stages.checks import check_counts, check_positive
from jaxspin.descriptors import AtFilling, LocalMoments
from jaxspin.forcefield import LearntLevels
from jaxspin.lattice import Lattice
from jaxspin.training import SpinData

LEVELS, ONE, EACH, ALL = "levels", "levels of one filling", "Fermi level, each", "site energies, all"


@dataclasses.dataclass(frozen=True, kw_only=True)
class FillingsData:
    """What is labelled."""

    electrons: Electrons = dataclasses.field(default_factory=lambda: Electrons("square", 6.0, 0.45, 0.05))
    """The model; its filling is set to each of those below."""
    fillings: tuple[float, ...] = (0.42, 0.45, 0.485)
    """Learnt from."""
    unseen: float = 0.47
    """Held out."""
    side: int = 12
    """Side of the lattice."""
    large: int = 24
    """Side of the lattice that nothing is learnt from."""
    random: int = 24
    """Random configurations at each filling learnt from."""
    quenches: int = 4
    """Quenches at each filling learnt from."""
    held_random: int = 8
    """Random configurations held out, at each filling."""
    held_quenches: int = 1
    """Quenches held out, at each filling."""
    quench_duration: float = 100.0
    """Of each, in hbar/t."""
    quench_frames: int = 12
    """Kept of each, more of its beginning."""
    motion: Motion = dataclasses.field(default_factory=lambda: Motion(damping=0.2, step=0.5, temperature=0.0025))
    """Of the quenches."""
    seed: int = 0
    """Of spins and noise."""

    def check(self) -> None:
        """`ValueError` for data that cannot be."""
        check_counts(self, "side", "large", "random", "quenches", "held_random", "held_quenches", "quench_frames")
        check_positive(self, "quench_duration")
        if len(set(self.fillings)) < 2 or self.unseen in self.fillings:
            raise ValueError(f"fillings {self.fillings} and {self.unseen}: give two to learn from and another unseen.")
        for filling in (*self.fillings, self.unseen):
            dataclasses.replace(self.electrons, filling=filling)

    def learnt(self, folder: Path, *, resume: bool) -> dict[float, SpinData]:
        """What is learnt from, by filling."""
        counts = (self.random, self.quenches)
        return {
            n: self._labelled(folder / f"{n:g}", n, self.side, *counts, k, resume) for k, n in enumerate(self.fillings)
        }

    def held(self, folder: Path, *, resume: bool) -> dict[str, SpinData]:
        """What is held out, by name: each filling on this lattice, the middle one and the unseen on the larger."""
        wanted = {f"n = {n:g}": (n, self.side) for n in sorted((*self.fillings, self.unseen))}
        wanted |= {f"n = {n:g}, larger": (n, self.large) for n in (self.middle, self.unseen)}
        return {
            name: self._labelled(
                folder / f"held_{n:g}_{side}", n, side, self.held_random, self.held_quenches, 100 + k, resume
            )
            for k, (name, (n, side)) in enumerate(wanted.items())
        }

    @property
    def middle(self) -> float:
        """The filling in the middle of those learnt from."""
        return sorted(self.fillings)[len(self.fillings) // 2]

    def _labelled(self, folder: Path, filling: float, side: int, random: int, quenches: int, seed: int, resume: bool):
        electrons = dataclasses.replace(self.electrons, filling=filling)
        keys = jax.random.split(jax.random.fold_in(jax.random.key(self.seed), seed))
        drawn = sample_random(electrons, side, random, folder / "random", key=keys[0], resume=resume)
        field = electrons.exact(side) if side == self.side else electrons.kernel_polynomial(side, 16)
        sampling = Sampling(side=side, quench_duration=self.quench_duration, quench_frames=self.quench_frames)
        run = sample_quenches(
            field, electrons, sampling, self.motion, quenches, folder / "quenches", key=keys[1], resume=resume
        )
        return SpinData.concatenate([drawn, run])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Compared(FillingsData):
    """Which force fields learn."""

    hops: int = 4
    """Reach of the clusters."""
    moments: int = 24
    """Of the electrons on each."""
    hidden: tuple[int, ...] = (64, 64)
    """Widths of the layers."""
    levels: int = 16
    """Learnt levels of a site."""

    def rows(self) -> tuple[str, ...]:
        """By name."""
        return LEVELS, ONE, EACH, ALL

    def has_levels(self, row: str) -> bool:
        """Whether a row knows fillings by learnt levels."""
        return row in (LEVELS, ONE)

    def averages(self, row: str) -> bool:
        """Whether a row learns from several fillings without knowing them."""
        return row == ALL

    def parts(self, row: str, learnt: dict[float, SpinData]) -> dict[float, SpinData]:
        """What each force field of a row learns from, by the filling it is made for."""
        if row == EACH:
            return learnt
        if row == ONE:
            return {self.middle: learnt[self.middle]}
        return {self.middle: SpinData.concatenate(list(learnt.values()))}

    def start(self, row: str, filling: float, lattice: Lattice, key: jax.Array) -> js.BehlerParrinello:
        """The untrained force field of a row."""
        described: Any = LocalMoments(lattice, self.electrons.coupling, hops=self.hops, moments=self.moments)
        described = AtFilling(described, filling=filling) if row == EACH else described
        network = None
        if self.has_levels(row):
            electrons = {"filling": filling, "temperature": self.electrons.temperature}
            network = LearntLevels(described.n_features, self.hidden, levels=self.levels, key=key, **electrons)
        return js.BehlerParrinello(described, network, hidden=self.hidden, key=key)

    def chosen(self, row: str, models: dict[float, Any], filling: float) -> Any:
        """Which of a row's force fields is asked at a filling: the nearest, with what it knows of the level there."""
        nearest = min(models, key=lambda n: abs(n - filling))
        model = models[nearest]
        if row != EACH or abs(nearest - filling) < 1e-6:
            return model
        return eqx.tree_at(lambda m: m.descriptor, model, AtFilling(model.descriptor.descriptor, filling=filling))
