"""Products of an `OrbitalModel` with vectors, by Fourier transforms over the cells."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from jaxspin.arrays.precision import matmul
from jaxspin.devices.shards import fourier_transform
from jaxspin.lattice import Lattice

Spins = Float[Array, "*cells sublattices 3"]
Vectors = Complex[Array, "*cells n 2 columns"]


class OrbitalProduct(eqx.Module):
    """H psi = F^-1 H0(k) F psi + local parts, of vectors `(*cells, orbitals, 2, columns)` that live where the spins do.

    `blocks` are H0(k) `(*points, n, n)` or `(*points, 2n, 2n)` on `grid`, wider than the cells along open axes.
    Either `spin_blocks` G(k) hold all that follows the spins, -(S.sigma G + G S.sigma) psi, or where they are None the
    matrix `exchange` M of one cell does, -S.sigma M psi.
    """

    spins: Spins
    blocks: Complex[Array, "*points m m"]
    spin_blocks: Complex[Array, "*points n n"] | None
    exchange: Complex[Array, "n n"]
    potential: Float[Array, "*cells n"] | None
    zeeman: Float[Array, "*cells n 3"] | None
    owners: tuple[int | None, ...] = eqx.field(static=True)
    grid: Lattice = eqx.field(static=True)

    def __call__(self, vectors: Vectors) -> Vectors:
        spins = at_orbitals(self.owners, self.spins)
        transformed = self._forward(vectors)
        product = self._times(self.blocks, transformed)
        if self.spin_blocks is None:
            split = matmul(self.exchange, _orbitals_first(vectors)).reshape(vectors.shape)
        else:
            product = product - self._times(self.spin_blocks, self._forward(sigma(spins, vectors)))
            split = self._back(self._times(self.spin_blocks, transformed), vectors)
        out = self._back(product, vectors) - sigma(spins, split)
        if self.zeeman is not None:
            out = out - sigma(self.zeeman, vectors)
        if self.potential is not None:
            out = out + self.potential.astype(vectors.dtype)[..., None, None] * vectors
        return out

    def _forward(self, vectors: Vectors) -> Complex[Array, "*points n two_columns"]:
        """To wavevectors, with zeros beyond open edges."""
        points = self.blocks.shape[:-2]
        pads = [(0, p - c) for p, c in zip(points, vectors.shape, strict=False)]
        wide = jnp.pad(vectors, [*pads, (0, 0), (0, 0), (0, 0)]) if any(p for _, p in pads) else vectors
        return fourier_transform(self.grid, _orbitals_first(wide), like=self.spins)

    def _back(self, transformed: Complex[Array, "*points n two_columns"], like: Vectors) -> Vectors:
        """The cells again, without what lies beyond open edges."""
        found = fourier_transform(self.grid, transformed, inverse=True, like=self.spins)
        cells = like.shape[: self.grid.dimension]
        return found[tuple(slice(0, c) for c in cells)].reshape(like.shape)

    def _times(self, blocks, transformed):
        """The block of each wavevector times its vector; of orbitals alone, or of orbitals and spins."""
        *points, n, both = transformed.shape
        if blocks.shape[-1] == n:
            return matmul(blocks, transformed)
        return matmul(blocks, transformed.reshape(*points, 2 * n, both // 2)).reshape(transformed.shape)


def _orbitals_first(vectors: Vectors) -> Complex[Array, "*cells n two_columns"]:
    return vectors.reshape(*vectors.shape[:-2], -1)


def at_orbitals(owners: tuple[int | None, ...], spins: Spins) -> Float[Array, "*cells n 3"]:
    """The spin that each orbital feels, zero without an owner."""
    padded = jnp.concatenate([spins, jnp.zeros_like(spins[..., :1, :])], axis=-2)
    return padded[..., np.array([spins.shape[-2] if o is None else o for o in owners]), :]


def sigma(field: Float[Array, "*cells n 3"], vectors: Vectors) -> Vectors:
    """(S.sigma) psi, with a vector S of each orbital."""
    x, y, z = (field[..., c][..., None] for c in range(3))
    raising, along = jax.lax.complex(x, y), jax.lax.complex(z, jnp.zeros_like(z))
    up, down = vectors[..., 0, :], vectors[..., 1, :]
    return jnp.stack([along * up + jnp.conj(raising) * down, raising * up - along * down], axis=-2)
