"""Which configurations go into which part of a split: numbers alone, so that every data set splits alike."""

from collections.abc import Sequence

import jax
import numpy as np
from jaxtyping import Int, PRNGKeyArray

WAYS = ("block", "run", "configuration")


def check_way(by: str) -> None:
    """`ValueError` for what is no way to split."""
    if by not in WAYS:
        raise ValueError(f"cannot split by {by!r}; choose by='block', by='run' or by='configuration'.")


def rows_of_parts(
    run: Int[np.ndarray, " n"],
    parts: Sequence[int] | Sequence[float],
    *,
    key: PRNGKeyArray,
    by: str,
    gap: float,
) -> list[Int[np.ndarray, " _"]]:
    """The numbers in each part; see `SpinData.split`, which says what they mean and what is raised."""
    check_way(by)
    n = len(run)
    counts = all(isinstance(part, int | np.integer) for part in parts)
    if any(part <= 0 for part in parts) or sum(parts) > (n if counts else 1 + 1e-9):
        raise ValueError(
            f"parts {tuple(parts)} do not fit {n} configurations; "
            "give positive counts up to that in all, or fractions up to 1 in all."
        )
    if not 0 <= gap < 1:
        raise ValueError(f"gap must be a fraction of a run from 0 to below 1, got {gap}; 0.1 is usual.")
    ends = np.cumsum(parts) / (n if counts else 1)
    rows = np.arange(n)
    if by == "block":
        _, code, sizes = np.unique(run, return_inverse=True, return_counts=True)
        alone = sizes[code] == 1
        found = _of_groups(rows[alone], rows[alone], ends, key)
        cut = _of_blocks(rows[~alone], run[~alone], ends, jax.random.fold_in(key, 1), gap)
        found = [np.concatenate(both) for both in zip(found, cut, strict=True)]
    else:
        found = _of_groups(rows, run if by == "run" else rows, ends, key)
    if any(len(part) == 0 for part in found):
        groups = len(set(run.tolist())) if by == "run" else n
        what = "run" if by == "run" else "configuration"
        raise ValueError(f"parts {tuple(parts)} of {groups} {what}s leave one empty; make it larger, or sample more.")
    return found


def _of_groups(rows: np.ndarray, labels: np.ndarray, ends: np.ndarray, key: PRNGKeyArray) -> list[np.ndarray]:
    """In random order; those of one label stay together, in the part that the middle of their stretch falls into."""
    if not len(rows):
        return [rows] * len(ends)
    _, code, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    order = np.asarray(jax.random.permutation(key, len(sizes)))
    middle = np.empty(len(sizes))
    middle[order] = np.cumsum(sizes[order]) - sizes[order] / 2
    place = middle[code]
    belongs = np.searchsorted(np.rint(ends * len(rows)), place)
    order = np.argsort(place, kind="stable")
    return [rows[order][belongs[order] == part] for part in range(len(ends))]


def _of_blocks(rows: np.ndarray, run: np.ndarray, ends: np.ndarray, key: PRNGKeyArray, gap: float) -> list[np.ndarray]:
    """Runs in random order one after another on a ring, cut at a random place of the first: a part is a stretch of it.

    Where a run is cut, the part named later loses what is less than the gap away.
    """
    if not len(rows):
        return [rows] * len(ends)
    _, code, sizes = np.unique(run, return_inverse=True, return_counts=True)
    order_key, shift_key = jax.random.split(key)
    order = np.asarray(jax.random.permutation(order_key, len(sizes)))
    start = np.empty(len(sizes), int)
    start[order] = np.cumsum(sizes[order]) - sizes[order]
    shift = int(jax.random.randint(shift_key, (), 0, int(sizes[order[0]])))
    number = np.empty(len(rows), int)  # of a configuration within its run
    for name in range(len(sizes)):
        number[code == name] = np.arange(sizes[name])
    place = (start[code] + number - shift) % len(rows)
    belongs = np.searchsorted(np.rint(ends * len(rows)), place + 0.5)
    kept = np.ones(len(rows), bool)
    for name, size in enumerate(sizes):
        here, width = code == name, round(gap * size)
        apart = np.abs(np.subtract.outer(number[here], number[here]))
        earlier = np.less.outer(belongs[here], belongs[here])  # [a, b]: a is in a part named before that of b
        kept[here] = ~np.any(earlier & (apart <= width), axis=0) if width else True
    order = np.argsort(place, kind="stable")
    return [rows[order][(kept & (belongs == part))[order]] for part in range(len(ends))]
