"""Strong and weak scaling of the fields over devices, cost and memory of a learnt quench against its size, and what
follows for a thousand million spins.

    python -m experiments.benchmarks.scaling --output FILE.json
    python -m experiments.benchmarks.scaling --output FILE.json --devices 1 --strong 32 --weak 16 --steps 1 \\
        --sides 3162 --timed-up-to 3162         # ten million spins: 21 GB of memory, ten minutes on one core

Eight host devices of one process share the machine's cores, so times say what sharing out costs in all, not how much
faster many machines would be: a perfect field keeps the time of one device (strong), or the time per spin (weak). What
is handed on between devices is counted in the compiled program and holds for any machine. Random spins, single
precision, compilation apart, median of several calls after a warm-up, in seconds of the processor. Memory is what the
compiled program needs, its arguments and results included. Kernel polynomials are timed both ways, with the probing
vectors shared out (what they do by themselves) and with the lattice.
"""

import dataclasses
import itertools
import os
from pathlib import Path
from typing import Any
from unittest import mock

from experiments.stages import main_without_folder

# the number of devices is fixed when JAX starts
os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=8")

import jax
import jax.numpy as jnp

import jaxspin as js
from experiments.benchmarks.exchanges import edge, handed_on
from experiments.benchmarks.learnt_quench import Pod, model, sizes
from experiments.benchmarks.programs import Program
from experiments.benchmarks.report import Report
from experiments.benchmarks.scaling_figures import draw
from experiments.benchmarks.timing import timed
from jaxspin.electrons import kpm

LATTICE = "kernel polynomials, lattice shared out"


@dataclasses.dataclass(frozen=True)
class Config(Report):
    """What to time."""

    output: Path | None = None
    """Where to write the JSON, and beside it a figure (.png); existing files are refused."""
    devices: tuple[int, ...] = (1, 2, 4, 8)
    """Numbers of devices."""
    strong: int = 96
    """Side of the lattice that more and more devices share."""
    weak: int = 32
    """Side of the block that each device holds."""
    electrons: int = 16
    """Side of the lattice of the kernel-polynomial field."""
    sides: tuple[int, ...] = (32, 100, 316, 1000, 3162)
    """Of the learnt quench on one device."""
    timed_up_to: int = 1000
    """Side above which the quench is compiled, for its memory, and not run."""
    forcefield: str = "triangular-tetrahedral-fast"
    """The pretrained force field of the quench."""
    steps: int = 2
    """Time steps of each quench."""
    repeats: int = 3
    pod: Pod = dataclasses.field(default_factory=Pod)
    """The machine of the model on paper."""


def run(config: Config) -> dict[str, Any]:
    """Rows of the scaling, rows of the sizes, and the model."""
    config.check_output(".png")
    if jax.device_count() < max(config.devices):
        raise ValueError(
            f"{max(config.devices)} devices are wanted and {jax.device_count()} found; "
            "set XLA_FLAGS=--xla_force_host_platform_device_count=8."
        )
    times = {"timed_up_to": config.timed_up_to, "steps": config.steps, "repeats": config.repeats}
    found: dict[str, Any] = {"scaling": scaling(config), "sizes": sizes(config.forcefield, config.sides, **times)}
    found["model"] = model(config.pod, config.forcefield, found["sizes"])
    config.write(found)
    if config.output is not None:
        draw(config.output.with_suffix(".png"), found, dashed=LATTICE)
    return found


def scaling(config: Config) -> list[dict[str, Any]]:
    """Time of a field, and what it hands on, for every field, kind of scaling and number of devices."""
    rows = []
    for kind, number in itertools.product(("strong", "weak"), config.devices):
        for name, field in fields(config, kind, number).items():
            lattice = field.lattice
            assert lattice is not None
            spins = js.random_spins(lattice, key=jax.random.key(0), dtype=jnp.float32)
            mesh = js.devices.mesh(lattice, number)
            along = list(mesh.shape.values())
            spins = js.devices.shard(spins, mesh) if number > 1 else spins
            jax.clear_caches()  # or the choice made for the field before would be reused
            with mock.patch.object(kpm, "shared_probes", new=kpm.shared_probes if name != LATTICE else _none):
                program = Program.of(lambda s, field=field: field.push(s), (spins,))
            row = {"field": name, "kind": kind, "devices": number, "mesh": along, "sites": lattice.sites}
            row |= timed(program.compiled, (spins,), config.repeats) | {"compile": program.compile}
            row |= handed_on(str(program.compiled.as_text()))
            row["microseconds a spin"] = 1e6 * row["processor"] / lattice.sites
            row["edge cells"] = edge(lattice.cells, along)
            rows.append(row)
            print(
                f"{name:38s} {kind:6s} {number} devices {along} {1e3 * row['processor']:9.2f} ms "
                f"{row['microseconds a spin']:8.3f} us a spin, {row['exchanges']} exchanges of "
                f"{row['bytes a device']} B a device",
                flush=True,
            )
    return rows


def fields(config: Config, kind: str, number: int) -> dict[str, js.AbstractPotential]:
    """What to time, by name."""
    along = js.devices.mesh(js.triangular(config.strong), number).shape.values()
    block = [config.weak * n for n in along] if kind == "weak" else [config.strong] * 2
    lattice = js.triangular(*block)
    own = [config.electrons * n for n in along] if kind == "weak" else [config.electrons] * 2
    electrons = js.triangular(*own)
    solver = js.KernelPolynomial(js.SDModel(electrons, 1.0, 3.0), chemical_potential=-3.0, temperature=0.1)
    return {
        "exchange": js.Exchange(lattice, (1.0, -0.3)),
        "learnt, moments": js.pretrained(config.forcefield, lattice),
        "learnt, bonds": js.BehlerParrinello(descriptor=js.Bispectrum(lattice, 1.0, 1.0, 1.0)),
        "kernel polynomials": solver,
        LATTICE: solver,
    }


def _none(*_: Any) -> tuple[str, ...]:
    return ()


if __name__ == "__main__":
    main_without_folder(Config, run, __doc__)
