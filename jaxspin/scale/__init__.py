"""One run on many devices and hosts: lattices of spins `(*cells, sublattices, 3)` spread over a mesh.

`mesh` shares a lattice out, `shard` places spins, data and models on it; everything else then runs as on one device.
"""

from jaxspin.scale.checkpoints import load, save
from jaxspin.scale.meshes import gather, mesh, shard, sharding

__all__ = ["gather", "load", "mesh", "save", "shard", "sharding"]
