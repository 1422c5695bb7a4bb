"""What `simulate` returns: spins `(n, *cells, sublattices, 3)` at times `(n,)`, and what one plots."""

import dataclasses
import functools
import json
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Int, PyTree

from jaxspin import observables
from jaxspin.callables import by_content
from jaxspin.field import AbstractPotential
from jaxspin.io import lattice_of, load_trajectory, save_trajectory
from jaxspin.lattice import Lattice
from jaxspin.warned import caller

# Intervals that differ by less are equal: times are rounded.
_UNEQUAL = 1e-2
# Frames of which a larger share is unfamiliar to a learnt field are warned of.
_UNFAMILIAR = 0.1
# Frames that are in a file are read together up to this size.
_BYTES_AT_ONCE = 2**27


class Trajectory(eqx.Module):
    """A run at its n saved times.

    - `times`: in double precision whatever the spins have (inside jit in that of JAX).
    - `spins`: the frames, or None for a run made with `save=...`, whose results are in `saved` (leading axis n).
    - `final`: the state at the last time; start from it to continue.
    - `finite`, `solved`: for each frame, whether all spins were finite, and whether the solver converged up to it.
    - `temperature`: that of the bath at the saved times.
    - `step`, `steps`: the time step (NaN if adaptive), and how many were made.
    - `largest_turn`: the largest angle (radians) by which the field turned a spin in a step; NaN for solvers that do
      not tell.
    - `stopped`: whether the condition `until` ended the run, at `times[-1]`. Inside jit the last `held` frames then
      repeat the one before them, times included.

    A run made with `store=...` has its frames in that file and `spins` None; the methods read them from there.

    The methods evaluate one frame after another, so they need memory for one; each raises `ValueError` where
    the frames, or the lattice, are missing.

    Example:
        >>> run = js.simulate(field, spins, duration=2.0, step=0.1, save_every=0.5)
        >>> run.frames, [round(float(t), 3) for t in run.times], run.magnetization().shape
        (5, [0.0, 0.5, 1.0, 1.5, 2.0], (5, 3))
    """

    times: Float[Array | np.ndarray, " n"]
    spins: Float[Array, "n *cells sublattices 3"] | None
    saved: PyTree[Any]
    final: Float[Array, "*cells sublattices 3"]
    finite: Bool[Array, " n"]
    temperature: Float[Array, " n"]
    damping: Float[Array, "..."]
    step: Float[Array, ""]
    steps: Array
    lattice: Lattice | None = eqx.field(static=True, default=None)
    stopped: Bool[Array, ""] | bool = False
    held: Int[Array, ""] | int = 0
    solved: Bool[Array, " n"] | bool = True
    largest_turn: Float[Array, ""] | float = float("nan")
    store: str | None = eqx.field(static=True, default=None)

    def __len__(self) -> int:
        return self.times.shape[0]

    @property
    def frames(self) -> int | Int[Array, ""]:
        """The number of frames without those that repeat the last one: len(run), but inside jit."""
        return len(self) - self.held

    def shortened(self) -> "Trajectory":
        """Without the frames that repeat the last one; where their number is traced, with their times alike."""
        if isinstance(self.held, Tracer):
            rows = jnp.minimum(jnp.arange(len(self)), self.frames - 1)
            return eqx.tree_at(lambda run: run.times, self, jnp.asarray(self.times)[rows])
        count = int(self.frames)
        if count == len(self):
            return dataclasses.replace(self, held=0)
        names = ("times", "spins", "saved", "finite", "temperature", "solved")
        series = {name: getattr(self, name) for name in names}
        return dataclasses.replace(self, **jax.tree.map(lambda x: x[:count] if np.ndim(x) else x, series), held=0)

    @property
    def result(self) -> str:
        """The word "successful", or when and how the run failed."""
        finite, solved = np.asarray(self.finite), np.broadcast_to(np.asarray(self.solved), self.times.shape)
        good = finite & solved
        if good.all():
            return "successful"
        bad = int(np.argmin(good))
        before = f"after t = {float(self.times[bad - 1]):g} and " if bad else ""
        what = "the solver did not converge" if not solved[bad] else "the spins became non-finite or a step too long"
        return f"{what} {before}by t = {float(self.times[bad]):g}"

    def map(self, function: Callable[[Float[Array, "..."]], PyTree[Array]]) -> PyTree[Array]:
        """`function(spins)` of every frame, stacked."""
        function = by_content(function)
        results = [_mapped(function, spins) for _, spins in self._parts()]
        return results[0] if len(results) == 1 else jax.tree.map(lambda *parts: jnp.concatenate(parts), *results)

    def magnetization(self) -> Float[Array, "n 3"]:
        """The mean spin of every frame."""
        return self.map(observables.magnetization)

    def chirality(self) -> Float[Array, " n"]:
        """The mean scalar chirality S_i . (S_j x S_k) of the elementary triangles."""
        lattice = self._lattice()
        return self.map(functools.partial(_mean_chirality, lattice))

    def final_chirality(self) -> Float[Array, ""]:
        """The mean scalar chirality at the last time."""
        return eqx.filter_jit(_mean_chirality)(self._lattice(), self.final)

    def topological_charge(self) -> Float[Array, " n"]:
        """The Berg-Luescher charge of every frame."""
        lattice = self._lattice()
        return self.map(functools.partial(observables.topological_charge, lattice))

    def structure_factor(self) -> Float[Array, "n ..."]:
        """S(q) on the reciprocal grid of the cells, for every frame."""
        lattice = self._lattice()
        return self.map(functools.partial(observables.structure_factor, lattice))

    def dynamical_structure_factor(self, *, window: str = "hann", components: str = "xyz") -> observables.Spectrum:
        """S(q, w) of the frames; see `observables.dynamical_structure_factor`. A shorter last interval is left out.

        Raises `ValueError` for a run stopped inside jit, whose last frames repeat one.
        """
        lattice = self._lattice()
        if isinstance(self.held, Tracer) or int(self.held):
            raise ValueError("frames after the event repeat the last one; take the spectrum of run.shortened().")
        if self.spins is None:
            raise ValueError(
                "the spectrum needs all frames in memory; read them with jaxspin.load(path), or simulate without "
                "store= and save=."
            )
        intervals = self.times[1:] - self.times[:-1]
        spins = self.spins
        if not isinstance(intervals, Tracer) and abs(float(intervals[-1] / intervals[0]) - 1) > _UNEQUAL:
            spins = spins[:-1]
        interval = (self.times[len(spins) - 1] - self.times[0]) / (len(spins) - 1)
        return observables.dynamical_structure_factor(lattice, spins, interval, window=window, components=components)

    def energy(self, potential: AbstractPotential) -> Float[Array, " n"]:
        """E(S, t) of every frame."""
        results = [_energies(potential, spins, jnp.asarray(times, spins.dtype)) for times, spins in self._parts()]
        return results[0] if len(results) == 1 else jnp.concatenate(results)

    def unfamiliar(self, learnt: Any) -> Float[Array, " n"]:
        """The share of the spins of every frame that a learnt field does not know, `learnt.unfamiliar(spins)`.

        1 % is usual. It warns where a frame has more than 10 %, outside jit. The run itself asks nothing, and is as
        fast as ever; for one that ends there simulate with until=lambda t, spins: learnt.unfamiliar(spins) > 0.1.
        Of a sum of fields give the learnt one. Raises `TypeError` for a field without such a method, `ValueError` for
        one that does not know what it learnt from.
        """
        if not hasattr(learnt, "unfamiliar"):
            raise TypeError(
                f"a {type(learnt).__name__} learnt from no configurations; give a BehlerParrinello, a Committee or a "
                "GeneralizedPotential, of a sum of fields that one."
            )
        shares = self.map(learnt.unfamiliar)
        if not isinstance(shares, Tracer):
            self._warn_of_unfamiliar(np.asarray(shares))
        return shares

    def _warn_of_unfamiliar(self, shares: np.ndarray) -> None:
        beyond = np.flatnonzero(shares > _UNFAMILIAR)
        if len(beyond):
            first, worst = beyond[0], int(np.argmax(shares))
            warnings.warn(
                f"{len(beyond)} of {len(shares)} frames hold spins in surroundings that the field did not learn from: "
                f"{100 * shares[first]:.0f} % of them at t = {float(self.times[first]):g}, "
                f"{100 * shares[worst]:.0f} % at t = {float(self.times[worst]):g}, where 1 % is usual. Label some of "
                "these frames exactly, js.sample(exact, frames), and train again with them.",
                stacklevel=caller(),
            )

    def save(self, path: str | os.PathLike, *, overwrite: bool = False) -> Path:
        """Write times and spins, and what the run says about itself, to a Zarr store that `jaxspin.load` reads back.

            run.save("quench.zarr")
            run = jaxspin.load("quench.zarr")

        Plain `xarray.open_zarr(path)` reads it, too. Raises `ValueError` for a run without spins or lattice,
        `FileExistsError` where something is in the way and `overwrite` is not given.
        """
        if self.spins is None:
            where = f"they are in {self.store}" if self.store else "save run.saved with jaxspin.io.save_json or NumPy"
            raise ValueError(f"this run holds no spins in memory; {where}.")
        about = {
            "step": float(self.step),
            "damping": np.asarray(self.damping, float).tolist(),
            "steps": int(self.steps),
            "stopped": bool(self.stopped),
            "largest_turn": float(self.largest_turn),
            **{
                name: np.broadcast_to(np.asarray(getattr(self, name)), self.times.shape).tolist()
                for name in ("finite", "temperature", "solved")
            },
        }
        return save_trajectory(
            path, self.times, self.spins, self._lattice(), attributes={"run": about}, overwrite=overwrite
        )

    @staticmethod
    def load(path: str | os.PathLike, *, in_memory: bool = True) -> "Trajectory":
        """The run that `save` or `simulate(store=...)` wrote, its frames in memory or (`in_memory=False`) on disk.

        Raises `FileNotFoundError`, or `ValueError` for a store of another kind.
        """
        with load_trajectory(path) as stored:
            about = json.loads(stored.attrs.get("run", "{}"))
            times = np.asarray(stored.time.values, float)
            spins = jnp.asarray(stored.spins.values) if in_memory else None
            final = jnp.asarray(stored.spins[-1].values)
            lattice = lattice_of(stored)
        n, dtype = len(times), final.dtype
        return Trajectory(
            times=times,
            spins=spins,
            saved=None,
            final=final,
            finite=jnp.asarray(about.get("finite", np.ones(n, bool))),
            # what was not finite is null in JSON
            temperature=jnp.asarray(np.asarray(about.get("temperature", np.full(n, np.nan)), float), dtype),
            damping=jnp.asarray(np.asarray(about.get("damping"), float), dtype),
            step=jnp.asarray(np.asarray(about.get("step"), float), dtype),
            steps=jnp.asarray(about.get("steps", 0)),
            lattice=lattice,
            stopped=about.get("stopped", False),
            solved=jnp.asarray(about.get("solved", np.ones(n, bool))),
            largest_turn=float(np.asarray(about.get("largest_turn"), float)),
            store=None if in_memory else str(path),
        )

    def _parts(self) -> Iterator[tuple[Any, Float[Array, "n *cells sublattices 3"]]]:
        """Times and spins of all frames, some at a time where they are in a file."""
        if self.spins is not None:
            yield self.times, self.spins
            return
        if self.store is None:
            raise ValueError(
                "this run holds observables instead of spins; read run.saved, or simulate without save=..."
            )
        several = max(1, _BYTES_AT_ONCE // max(1, self.final.nbytes))
        with load_trajectory(self.store) as stored:
            for first in range(0, len(self), several):
                rows = slice(first, min(first + several, len(self)))
                yield self.times[rows], jnp.asarray(stored.spins[rows].values)

    def _lattice(self) -> Lattice:
        if self.lattice is None:
            raise ValueError("this run does not know its lattice; simulate(..., lattice=lattice).")
        return self.lattice


@eqx.filter_jit
def _mapped(function: Callable[[Array], PyTree[Array]], frames: Array) -> PyTree[Array]:
    return jax.lax.map(function, frames)


@eqx.filter_jit
def _energies(potential: AbstractPotential, frames: Array, times: Array) -> Array:
    return jax.lax.map(lambda frame: potential.energy(frame[0], frame[1]), (frames, times))


def _mean_chirality(lattice: Lattice, spins: Array) -> Array:
    return jnp.mean(observables.scalar_chirality(lattice, spins))
