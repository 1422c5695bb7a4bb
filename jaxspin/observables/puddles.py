"""Puddles: regions of parallel spins in an antiferromagnet, where the holes of a doped magnet gather.

Of lattices with one site a cell and spins `(*cells, 1, 3)`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxspin import renamed
from jaxspin.couplings import real
from jaxspin.lattice import Lattice
from jaxspin.observables.domains import domain_sizes
from jaxspin.observables.magnetization import nearest_neighbor_correlations
from jaxspin.spins import takes_spins


class Puddles(NamedTuple):
    """What `puddles` finds, sizes in sites: four numbers, or arrays of them from a batch of states.

    A record, without checks of its own. Random spins have puddles too: see `puddles`.

    Example:
        >>> found = js.observables.puddles(lattice, js.textures.ferromagnet(lattice))
        >>> float(found.regions), float(found.fraction), float(found.mean_size)
        (1.0, 1.0, 16.0)
    """

    regions: Float[Array, ""]
    """How many connected regions there are."""
    fraction: Float[Array, ""]
    """Of the sites that are in one."""
    mean_size: Float[Array, ""]
    """Sites in one over the regions, 0 without any."""
    size_by_site: Float[Array, ""]
    """sum s^2/sum s over the sizes s: of the puddle in which a site of one is, 0 without any."""

    number = renamed.attribute("Puddles", "number", "regions")


@takes_spins(unit=True)
def site_correlations(lattice: Lattice, spins: Float[Array, "*cells sublattices 3"]) -> Float[Array, "*cells"]:
    """(1/z) sum_j S_i . S_j over the z nearest neighbours j of every site, from -1 in Neel order to 1.

        lattice = js.square(8, 8)
        site_correlations(lattice, js.textures.neel(lattice))  # -1 everywhere

    Bonds to a vacancy or beyond an open edge count as zero. Differentiable.

    Raises `ValueError` for a lattice of several sublattices; take `nearest_neighbor_correlations`, by bond, there; and
    for spins of another lattice or longer than 1.

    Example:
        >>> float(js.observables.site_correlations(lattice, js.textures.neel(lattice)).mean())
        -1.0
    """
    return _site_correlations(lattice, spins)


@takes_spins(unit=True)
def puddles(
    lattice: Lattice, spins: Float[Array, "*cells sublattices 3"], threshold: float | Float[Array, ""] = 0.5
) -> Puddles:
    """Connected regions of sites whose `site_correlations` exceed `threshold`: their number, share and sizes.

        found = puddles(lattice, spins)
        found.regions, found.size_by_site

    Sites connect along the shortest lattice vectors. Random spins have puddles too, by chance: 4 % of the sites of a
    square lattice at 0.5. What tells the mixed phase from noise is `correlation_of_holes`.

    Raises `ValueError` for a lattice of several sublattices, and for spins of another lattice or longer than 1.

    Source: P. Zhang and G.-W. Chern, Phys. Rev. Lett. 127, 146401 (2021), 10.1103/PhysRevLett.127.146401.

    Example:
        >>> found = js.observables.puddles(lattice, js.textures.neel(lattice))
        >>> float(found.regions), float(found.fraction)
        (0.0, 0.0)
    """
    return _puddles(lattice, spins, threshold)


@takes_spins(unit=True)
def correlation_of_holes(
    lattice: Lattice, spins: Float[Array, "*cells sublattices 3"], density: Float[Array, "*cells sublattices"]
) -> Float[Array, ""]:
    """The correlation coefficient, over the sites, of holes 1 - n_i with the `site_correlations` of i, from -1 to 1.

        correlation_of_holes(lattice, spins, electron_density(solver, spins))

    `density` is n_i, the electrons of each site. 1 would be holes that are where neighbours are parallel and nowhere
    else; NaN where either is the same on all sites. Random spins of the doped double-exchange model (J = 6, n = 0.485)
    have 0.65, the mixed phase of its published snapshots 0.97.

    Raises `ValueError` for a lattice of several sublattices, for spins of another lattice or longer than 1, and a
    density of another shape than the sites.

    Source: P. Zhang and G.-W. Chern, Phys. Rev. Lett. 127, 146401 (2021), 10.1103/PhysRevLett.127.146401.

    Example:
        >>> density = 1 - 0.1 * js.observables.site_correlations(lattice, spins)[..., None]
        >>> round(float(js.observables.correlation_of_holes(lattice, spins, density)), 3)
        1.0
    """
    density = real(density, "density")
    if density.shape != lattice.shape:
        raise ValueError(
            f"density has shape {density.shape}; give one number a site, {lattice.shape}, as electron_density does."
        )
    return _correlation_of_holes(lattice, spins, density)


@jax.jit
def _site_correlations(lattice: Lattice, spins: Array) -> Array:
    if lattice.sublattices != 1:
        raise ValueError(
            f"the {lattice.name} lattice has {lattice.sublattices} sites a cell, puddles are for one; "
            "take nearest_neighbor_correlations, by bond."
        )
    forward = nearest_neighbor_correlations(lattice, spins)
    backward = [lattice.translate(forward[..., k], bond.reversed().offset) for k, bond in enumerate(lattice.shell(1))]
    return (jnp.sum(forward, axis=-1) + sum(backward[1:], backward[0])) / (2 * forward.shape[-1])


@jax.jit
def _puddles(lattice: Lattice, spins: Array, threshold: float | Array) -> Puddles:
    inside = _site_correlations(lattice, spins) > threshold
    sizes = jnp.where(inside, domain_sizes(lattice, inside.astype(spins.dtype)), 0).astype(spins.dtype)
    sites = jnp.sum(inside.astype(spins.dtype))
    count = jnp.sum(jnp.where(inside, 1 / jnp.maximum(sizes, 1), 0))
    return Puddles(
        regions=count,
        fraction=sites / inside.size,
        mean_size=sites / jnp.maximum(count, 1),
        size_by_site=jnp.sum(sizes) / jnp.maximum(sites, 1),
    )


@jax.jit
def _correlation_of_holes(lattice: Lattice, spins: Array, density: Array) -> Array:
    return jnp.corrcoef(_site_correlations(lattice, spins).ravel(), (1 - density).ravel())[0, 1]
