"""Textures that move: the path of a centre over the edges of a periodic lattice, and its velocity."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxspin.lattice import Lattice
from jaxspin.observables.walls import wall_velocity


def texture_path(lattice: Lattice, centers: Float[Array | np.ndarray, "n d"]) -> Float[Array, "n d"]:
    """`centers` `(n, d)` of successive frames without the jumps at periodic edges: a path that leaves the lattice.

    Each step is the shortest of all its periodic images, so that frames must be close enough for the texture to move
    less than half the lattice between two of them. Open axes are left alone. Lengths as `texture_center` has them.

    Raises `ValueError` for centres of another shape. NaN from a frame without a texture on.

    Example:
        >>> centers = jnp.array([[2.9, 1.0], [3.7, 1.0], [0.5, 1.0]])
        >>> [round(float(x), 1) for x in js.observables.texture_path(lattice, centers)[:, 0]]
        [2.9, 3.7, 4.5]
    """
    centers = jnp.asarray(centers)
    if centers.ndim != 2 or centers.shape[1] != lattice.dimension or not len(centers):
        raise ValueError(
            f"centers of shape {centers.shape} are no path; give (n, {lattice.dimension}), one a frame, such as "
            "run.map(lambda spins: texture_center(lattice, charge_density(lattice, spins)))."
        )
    vectors = np.array(lattice.vectors)
    to_cells = jnp.asarray(np.linalg.inv(vectors), centers.dtype)
    length = jnp.asarray([n if wraps else np.inf for n, wraps in zip(lattice.cells, lattice.periodic, strict=True)])
    length = length.astype(centers.dtype)[None]
    # sums of products, not a matrix product: an accelerator would round those
    steps = jnp.sum(jnp.diff(centers, axis=0)[:, :, None] * to_cells[None], axis=1)
    steps = steps - jnp.where(jnp.isinf(length), 0, length * jnp.round(steps / length))
    moved = jnp.sum(steps[:, :, None] * jnp.asarray(vectors, centers.dtype)[None], axis=1)
    return jnp.concatenate([centers[:1], centers[:1] + jnp.cumsum(moved, axis=0)])


def texture_velocity(
    lattice: Lattice,
    times: Float[Array | np.ndarray, " m"],
    centers: Float[Array | np.ndarray, "n d"],
    *,
    start: float = -float("inf"),
) -> Float[Array, " d"]:
    """The mean velocity `(d,)` of a skyrmion or another texture, from its centre in each frame.

        centers = run.map(lambda spins: texture_center(lattice, charge_density(lattice, spins)))
        texture_velocity(lattice, run.times, centers, start=20.0)

    The slope of the straight lines fitted to the `texture_path` of the centres at the `times` from `start` on, in the
    lattice's lengths over the units of the times. Its angle to the drive is the skyrmion Hall angle. NaN without a
    texture or with fewer than two frames.

    Raises `ValueError` for shapes that do not fit. For a wall use `wall_velocity`.

    Example:
        >>> centers = jnp.array([[2.9, 1.0], [3.7, 1.0], [0.5, 1.0]])
        >>> [round(float(x), 1) for x in js.observables.texture_velocity(lattice, np.array([0.0, 2.0, 4.0]), centers)]
        [0.4, 0.0]
    """
    path = texture_path(lattice, centers)
    if np.shape(times) != path.shape[:1]:
        raise ValueError(f"times of shape {np.shape(times)} do not fit {len(path)} centers; give those of the frames.")
    return jnp.stack([wall_velocity(times, path[:, k], start=start) for k in range(lattice.dimension)])
