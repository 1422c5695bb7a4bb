"""From one device to many: lattices of spins `(*cells, sublattices, 3)` spread over a mesh, and many runs at once.

`mesh` shares a lattice out, `shard` places spins, data and models on it; everything else then runs as on one device.
`sweep` runs a function over a design of settings, batched, shared out among the devices, kept as they finish.
"""

from jaxspin.scale.batches import Stepwise
from jaxspin.scale.checkpoints import load, save
from jaxspin.scale.design import Design, grid, listed, random
from jaxspin.scale.meshes import gather, mesh, shard, sharding
from jaxspin.scale.results import load_sweep
from jaxspin.scale.sweep import sweep

__all__ = [
    "Design",
    "Stepwise",
    "gather",
    "grid",
    "listed",
    "load",
    "load_sweep",
    "mesh",
    "random",
    "save",
    "shard",
    "sharding",
    "sweep",
]
