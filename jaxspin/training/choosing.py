"""Which configurations a committee wants labelled next."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxspin import renamed
from jaxspin.forcefield import Committee
from jaxspin.spins import takes_spins, tangent
from jaxspin.training.sampling import overlaps


@renamed.keyword("number", "count")
def choose(
    committee: Committee,
    candidates: Float[Array, "n *cells sublattices 3"],
    count: int,
    *,
    known: Float[Array, "m *cells sublattices 3"] | None = None,
    by: str = "mean",
    overlap: float = 0.95,
) -> list[int]:
    """The numbers of the candidates to label next: `sample(exact, candidates[jnp.array(chosen)])`.

    Those of which the committee knows least come first, see `disagreement`. Passed over is what is more alike than
    `overlap`, see `distinct`, to one already chosen or to one of `known`, the configurations that have labels: frames
    that follow one another are known as well as each other and teach the same. Where too few are left, those passed
    over fill up, in the same order. Give frames of a run with the committee's own field, so that it is asked about what
    it will meet.

    Candidates at even times of a long quench are nearly all close to equilibrium. The few far from it have the large
    torques and errors: "mean" finds them, where labels drawn at random rarely do.

    Raises `ValueError` for a `count` below 1 or above that of the candidates, another `by`, candidates of another
    lattice, and unless 0 < overlap <= 1. Source: see `Committee`.

    Example:
        >>> features = js.LocalMoments(js.chain(8), coupling=2.0, hops=2, moments=4)
        >>> keys = jax.random.split(jax.random.key(0), 2)
        >>> committee = js.Committee([js.BehlerParrinello(descriptor=features, hidden=(4,), key=key) for key in keys])
        >>> frames = js.training.random_configurations(js.chain(8), 4, key=jax.random.key(1))
        >>> len(js.training.choose(committee, frames, 2))
        2
    """
    if not 1 <= count <= len(candidates):
        raise ValueError(
            f"count must be between 1 and the {len(candidates)} candidates, got {count}; give more candidates."
        )
    if not 0 < overlap <= 1:
        raise ValueError(f"overlap must be between 0 and 1, got {overlap}; 0.95 keeps all but near copies.")
    order = np.argsort([-disagreement(committee, spins, by=by) for spins in candidates], kind="stable").tolist()
    given = np.asarray(candidates)
    taken = given[:0] if known is None else np.asarray(known)
    chosen: list[int] = []
    for row in order:
        if len(chosen) < count and not np.any(overlaps(taken, given[row]) > overlap):
            chosen.append(row)
            taken = np.concatenate([taken, given[row : row + 1]])
    rest = [row for row in order if row not in chosen]
    return (chosen + rest)[:count]


@takes_spins
def disagreement(committee: Committee, spins: Float[Array, "*cells sublattices 3"], *, by: str = "mean") -> float:
    """How little the committee knows of a configuration, from s_i = `Committee.standard_deviation` at the N spins.

    "mean": sqrt((1/N) sum_i s_i^2), in units of the hopping, a measure of the rms error of the tangential field.
    "max": the largest s_i, for a rare defect in a configuration that is known elsewhere. "relative": "mean" over the
    rms of the committee's own tangential field, for nearly ordered configurations to count as much as hot ones.

    Raises `ValueError` for another `by`, and for spins of another lattice. Source: see `Committee`.

    Example:
        >>> features = js.LocalMoments(js.chain(8), coupling=2.0, hops=2, moments=4)
        >>> keys = jax.random.split(jax.random.key(0), 2)
        >>> committee = js.Committee([js.BehlerParrinello(descriptor=features, hidden=(4,), key=key) for key in keys])
        >>> js.training.disagreement(committee, js.random_spins(js.chain(8), key=keys[0]))
        0.0
    """
    if by not in ("mean", "max", "relative"):
        raise ValueError(f"cannot choose by {by!r}; choose by='mean', by='max' or by='relative'.")
    deviation = committee.standard_deviation(spins)
    if by == "max":
        return float(jnp.max(deviation))
    occupied = jnp.maximum(jnp.sum(jnp.any(spins != 0, axis=-1)), 1).astype(deviation.dtype)
    mean = float(jnp.sqrt(jnp.sum(deviation**2) / occupied))
    if by == "mean":
        return mean
    torque = tangent(spins, committee.field(spins))
    # a state without any torque has no unit to measure in
    return mean / max(float(jnp.sqrt(jnp.sum(torque**2) / occupied)), float(jnp.finfo(deviation.dtype).tiny))
