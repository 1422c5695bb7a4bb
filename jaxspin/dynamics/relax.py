"""Relaxation at zero temperature: spins `(*cells, sublattices, 3)` to a state without torque."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from jaxspin.arguments import check_field
from jaxspin.dynamics.checks import check_state
from jaxspin.dynamics.llg import Mask, as_mask
from jaxspin.field import AbstractField, AbstractPotential, Time
from jaxspin.spins import retract, takes_spins

# Sufficient decrease, and the memory of the non-monotone line search (0: monotone, 1: mean of all energies).
_DECREASE = 1e-4
_MEMORY = 0.85
# The largest turn of a spin in one iteration (radians), about half a right angle: further away the energy is not
# quadratic.
_LARGEST_TURN = 0.8
# After so many iterations without a lower energy or a smaller torque only rounding is left.
_PATIENCE = 200
# Energies closer than this many units in the last place are equal: sums over sites are rounded more than once.
_ROUNDING = 16

_REASONS = ("running", "converged", "step limit", "non-finite", "stalled")
_RUNNING, _CONVERGED, _STEP_LIMIT, _NON_FINITE, _STALLED = range(5)


class Relaxation(eqx.Module):
    """What `relax` returns: of all states on its way, the `spins` with the smallest torque.

    `energy` is theirs (NaN for a field without one), `max_torque` is max_i |S_i x B_i|, both in energy units, and
    `steps` is the number of iterations, one field each. `converged` says whether the tolerance was met, `reason` why
    it stopped.

    A record, without checks of its own: `relax` does not raise where it does not converge. `converged` and `reason` are
    for use outside `jit`; inside it `code` is 1 where it converged.

    Example:
        >>> found = js.relax(js.Zeeman((0.0, 0.0, 1.0)), spins)
        >>> bool(found.converged), round(float(found.energy), 2)
        (True, -16.0)
    """

    spins: Float[Array, "*cells sublattices 3"]
    energy: Float[Array, ""]
    max_torque: Float[Array, ""]
    steps: Int[Array, ""]
    code: Int[Array, ""]

    @property
    def converged(self) -> bool:
        return bool(self.code == _CONVERGED)

    @property
    def reason(self) -> str:
        """Why it stopped: "converged", "step limit" (raise max_steps), "stalled" (the energy cannot fall
        further in this precision: use double, or a larger tolerance), or "non-finite" (the field or the
        energy is).
        """
        return _REASONS[int(self.code)]


class _State(eqx.Module):
    spins: Array
    energy: Array
    slope: Array
    torque: Array
    length: Array
    mean: Array
    weight: Array
    best: Any
    quiet: Array
    step: Array
    code: Array


@takes_spins(half=False)
def relax(
    field: AbstractField,
    spins: Float[Array, "*cells sublattices 3"],
    *,
    tolerance: float | None = None,
    max_steps: int = 10_000,
    frozen: Mask | None = None,
    t: Time = 0.0,
    key: PRNGKeyArray | None = None,
) -> Relaxation:
    """Turn the spins towards their fields until max_i |S_i x B_i| < `tolerance` (energy units).

    It makes Barzilai-Borwein steps along the torque, S_i -> exp([l S_i x B_i]x) S_i, with their two step lengths l in
    turn; for a potential with the non-monotone line search of Zhang and Hager, for a plain field without. It is much
    faster than damped dynamics, and follows the gradient, so that it ends in a nearby minimum. A state that is
    stationary but unstable (all spins parallel in an antiferromagnet) counts as converged: disturb it first, by
    `js.training.perturbed_configurations(spins, (0.01,), key=...)[0]`. For the
    time a decay takes use `simulate`.

    `tolerance` None means sqrt(eps) max_i |B_i|: about 1e-8 of the field in double, 3e-4 in single precision.
    `frozen` spins (mask) do not turn and their torque does not count. `key` serves every evaluation of a
    field that draws random numbers, so that one function is minimized. Not differentiable: the derivative of
    the relaxed energy with respect to a parameter is that of `potential.energy(relaxed.spins)` at fixed
    spins.

    Raises `ValueError` for a tolerance or max_steps that is not positive, spins that are not of length one or zero,
    in half precision, or do not fit the lattice, and a mask of another shape.

    Source: Barzilai and Borwein, IMA J. Numer. Anal. 8, 141 (1988), doi:10.1093/imanum/8.1.141; Zhang and
    Hager, SIAM J. Optim. 14, 1043 (2004), doi:10.1137/S1052623403428208; for magnets Exl et al., J. Appl.
    Phys. 115, 17D118 (2014), doi:10.1063/1.4862839.

    Example:
        >>> found = js.relax(js.Zeeman((0.0, 0.0, 1.0)), spins)
        >>> round(float(js.observables.magnetization(found.spins)[2]), 3)
        1.0
    """
    check_field(field, "field")
    if tolerance is not None and not tolerance > 0:
        raise ValueError(f"tolerance = {tolerance:g} must be positive; leave it out for a default.")
    if max_steps < 1:
        raise ValueError(f"max_steps = {max_steps} must be positive; leave it out for a default.")
    check_state(spins, field.lattice, frozen)
    mask = as_mask(frozen)
    moving = None if mask is None else ~mask[..., None]
    limit = None if tolerance is None else jnp.asarray(tolerance, spins.dtype)
    return _relax(field, spins, limit, jnp.asarray(max_steps, jnp.int32), moving, jnp.asarray(t, spins.dtype), key)


@eqx.filter_jit
def _relax(field, spins, tolerance, max_steps, moving, t, key) -> Relaxation:
    has_energy = isinstance(field, AbstractPotential)
    eps = jnp.finfo(spins.dtype).eps

    def evaluate(spins):
        if has_energy:
            energy, b = field.energy_and_field(spins, t, key=key)
        else:
            energy, b = jnp.zeros((), spins.dtype), field.field(spins, t, key=key)
        turn = jnp.cross(spins, b)
        if moving is not None:
            turn = jnp.where(moving, turn, 0)
        return energy, b, turn, jnp.sqrt(jnp.max(jnp.sum(turn * turn, axis=-1)))

    def advance(state: _State) -> _State:
        # the slope is the rotation that turns each spin towards its field, of length |S x B|
        length = jnp.minimum(state.length, _LARGEST_TURN / state.torque)
        spins = retract(state.spins, length * state.slope)
        energy, _, slope, torque = evaluate(spins)
        finite = jnp.isfinite(energy) & jnp.isfinite(torque)
        rounding = _ROUNDING * eps * jnp.abs(state.energy)
        square = jnp.sum(state.slope**2)
        accepted = finite & ((energy <= state.mean - _DECREASE * length * square + rounding) | (not has_energy))

        change = length * state.slope
        difference = state.slope - slope
        along = jnp.sum(change * difference)
        longer = jnp.sum(change**2) / jnp.where(along > 0, along, 1)
        shorter = along / jnp.maximum(jnp.sum(difference**2), jnp.finfo(spins.dtype).tiny)
        barzilai = jnp.where(along > 0, jnp.where(state.step % 2 == 0, longer, shorter), 2 * length)

        weight = _MEMORY * state.weight + 1
        mean = (_MEMORY * state.weight * state.mean + energy) / weight
        calmer = torque < state.best[1]
        progress = accepted & ((torque < 0.9 * state.best[1]) | (energy < state.best[2] - rounding))
        quiet = jnp.where(progress, 0, state.quiet + 1)
        better = accepted & calmer
        best = (
            jnp.where(better, spins, state.best[0]),
            jnp.where(better, torque, state.best[1]),
            jnp.where(accepted, jnp.minimum(energy, state.best[2]), state.best[2]),
            jnp.where(better, energy, state.best[3]),
        )
        step = state.step + 1
        stuck = (quiet >= _PATIENCE) | (length * state.torque < eps)
        code = jnp.where(step >= max_steps, _STEP_LIMIT, _RUNNING)
        code = jnp.where(stuck, jnp.where(finite, _STALLED, _NON_FINITE), code)
        code = jnp.where(accepted & (torque < limit), _CONVERGED, code)
        return _State(
            spins=jnp.where(accepted, spins, state.spins),
            energy=jnp.where(accepted, energy, state.energy),
            slope=jnp.where(accepted, slope, state.slope),
            torque=jnp.where(accepted, torque, state.torque),
            length=jnp.where(accepted, barzilai, length / 4),
            mean=jnp.where(accepted, mean, state.mean),
            weight=jnp.where(accepted, weight, state.weight),
            best=best,
            quiet=quiet,
            step=step,
            code=code.astype(jnp.int32),
        )

    energy, b, slope, torque = evaluate(spins)
    largest = jnp.sqrt(jnp.max(jnp.sum(b * b, axis=-1)))
    limit = jnp.sqrt(eps) * largest if tolerance is None else tolerance
    started = jnp.where(torque <= jnp.where(torque == 0, torque, limit), _CONVERGED, _RUNNING)
    code = jnp.where(jnp.isfinite(energy) & jnp.isfinite(torque), started, _NON_FINITE)
    state = _State(
        spins=spins,
        energy=energy,
        slope=slope,
        torque=torque,
        length=0.5 / jnp.where(largest > 0, largest, 1),
        mean=energy,
        weight=jnp.ones((), spins.dtype),
        best=(spins, torque, energy, energy),
        quiet=jnp.zeros((), jnp.int32),
        step=jnp.zeros((), jnp.int32),
        code=code.astype(jnp.int32),
    )
    last = jax.lax.while_loop(lambda s: s.code == _RUNNING, advance, state)
    spins, torque, _, energy = last.best
    energy = energy if has_energy else jnp.full_like(energy, jnp.nan)
    return Relaxation(spins, energy, torque, last.step, last.code)
