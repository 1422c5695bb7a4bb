"""From one device to many: lattices of spins `(*cells, sublattices, 3)` shared out over a mesh of devices and hosts.

`mesh` shares a lattice out, `shard` places spins, data and models on it; everything else then runs as on one device.
`use_cores` lets runs on a machine without an accelerator use all its cores. `save` and `load` write and read arrays
that no process holds whole.
"""

from jaxspin.devices.checkpoints import load, save
from jaxspin.devices.cores import use_cores
from jaxspin.devices.meshes import gather, mesh, shard, sharding

__all__ = ["gather", "load", "mesh", "save", "shard", "sharding", "use_cores"]
