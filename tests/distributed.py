"""One process of a run on many, for tests/test_scale.py: `python -m tests.distributed PORT PROCESSES NUMBER FOLDER`."""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import jaxspin as js
from jaxspin import devices, io
from jaxspin.descriptors import LocalMoments
from jaxspin.devices.hosts import by_first_process
from tests.sharded import learnt

LATTICE = js.triangular(8, 4)


def quench(spins, start: float):
    """Two time units of noisy motion in a learnt field."""
    model = learnt(LocalMoments(LATTICE, 2.0, hops=1, moments=4))
    key = jax.random.key(1)
    return js.simulate(model, spins, start=start, duration=2.0, step=0.5, damping=0.3, temperature=0.1, key=key)


def start():
    return js.random_spins(LATTICE, key=jax.random.key(0))


def examples() -> js.SpinData:
    spins = jnp.stack([js.random_spins(LATTICE, key=jax.random.key(n)) for n in range(6)])
    energy, field = jax.vmap(js.Exchange(LATTICE, -1.0).energy_and_field)(spins)
    return js.SpinData(LATTICE, spins, field, energy)


def trained(data: js.SpinData, checkpoint: Path | None = None, steps: int = 4) -> js.training.Learnt:
    config = js.TrainConfig(steps=steps, batch=2, evaluate_every=2, memory=0.0)
    model = js.BehlerParrinello(descriptor=LocalMoments(LATTICE, 2.0, hops=1, moments=4), hidden=(4,))
    with jax.numpy_dtype_promotion("standard"):  # of optax
        return js.train(model, data, config, checkpoint=checkpoint)


def run(folder: Path) -> None:
    """The first half where nothing is in `folder`, else the second, from what any number of processes left."""
    mesh = devices.mesh(LATTICE)
    assert mesh.size == jax.device_count() == 4
    half = folder / "half"
    if not half.exists():
        spins, time = devices.shard(start(), mesh), 0.0
    else:
        like = jax.ShapeDtypeStruct((*LATTICE.shape, 3), jnp.float64, sharding=devices.sharding(mesh))
        spins, time = devices.load(half, like), 2.0
    assert len(spins.addressable_shards) == jax.local_device_count() < 4
    motion = quench(spins, time)
    writer = io.TrajectoryWriter(folder / "motion.zarr", LATTICE, append=time > 0)
    assert motion.spins is not None
    writer.append(motion.times[1:], motion.spins[1:])
    if time == 0:
        devices.save(half, motion.final)
        made = io.new_folder(folder / "made")
        by_first_process(lambda: (made / "who").write_text(str(jax.process_index())))
        io.save_ovf(folder / "final.ovf", motion.final, LATTICE)
    # a training of four steps, in the second half read from its checkpoint
    found = trained(devices.shard(examples(), mesh), folder / "training")
    path = js.forcefield.save(folder / f"forcefield_{time:g}", found.model)
    weights = jax.tree.leaves(js.forcefield.load(path))
    known = jax.tree.leaves(found.model)
    for a, b in zip(weights, known, strict=True):
        np.testing.assert_array_equal(a, devices.gather(b))


if __name__ == "__main__":
    port, processes, number, folder = sys.argv[1:]
    jax.config.update("jax_enable_x64", True)
    jax.distributed.initialize(f"localhost:{port}", int(processes), int(number))
    run(Path(folder))
    print("passed")
