"""Free energies of the named textures, on one lattice and over a whole diagram."""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

import jaxspin as js
from experiments.stages.phases import TEXTURES


def energies(
    store: Path, couplings: np.ndarray, fillings: np.ndarray, side: int, temperature: float, resume: bool = False
) -> xr.Dataset:
    """Free energy per site of each texture on the grid of couplings and fillings, kept in `store`."""
    design, cells = js.sweeps.grid(texture=list(TEXTURES), coupling=couplings), (side, side)

    # what the function holds must be the same when it is resumed, and the settings of the folder say that it is
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
        attributes={"temperature": temperature, "side": side, "fillings": fillings},
        resume=resume,
    )
    return found.assign_coords(filling=fillings)


def texture_energy(name: str, coupling, filling, temperature: float, cells: tuple[int, int]):
    """Free energy per site of a named texture on a periodic lattice."""
    texture, cell = TEXTURES[name]
    lattice = js.triangular(cell)
    electrons = js.ExactDiagonalization(js.SDModel(lattice, 1.0, coupling), filling=filling, temperature=temperature)
    return js.electrons.bloch_energy(electrons, texture(lattice), (cells[0] // cell, cells[1] // cell))


@functools.partial(jax.jit, static_argnums=3)
def _textures(coupling, filling, temperature, cells: tuple[int, int]):
    return [texture_energy(name, coupling, filling, temperature, cells) for name in TEXTURES]


def all_textures(coupling: float, filling: float, temperature: float, cells: tuple[int, int]) -> dict[str, float]:
    """Free energy per site of every texture on one lattice."""
    return dict(zip(TEXTURES, map(float, _textures(coupling, filling, temperature, cells)), strict=True))
