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
import re
import time
from pathlib import Path
from typing import Any
from unittest import mock

from experiments.stages import main_without_folder

# the number of devices is fixed when JAX starts
os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=8")

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import jaxspin as js
from experiments.benchmarks.report import Report
from experiments.benchmarks.timing import timed
from jaxspin.electrons import kpm

LATTICE = "kernel polynomials, lattice shared out"


@dataclasses.dataclass(frozen=True)
class Pod:
    """The machine of the model on paper; none of these numbers is measured here."""

    chips: int = 256
    """Accelerators, in a two-dimensional torus."""
    spins: float = 1e9
    """Spins of the quench, in a square block on each chip."""
    operations: float = 5e13
    """Floating-point operations a second of a chip, single precision."""
    efficiency: float = 0.1
    """Share of them that short matrix products and arithmetic reach."""
    link: float = 4.5e10
    """Bytes a second to a neighbour."""
    latency: float = 5e-6
    """Seconds of one exchange, however short."""


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
    pod: Pod = Pod()
    """The machine of the model on paper."""


def run(config: Config) -> dict[str, Any]:
    """Rows of the scaling, rows of the sizes, and the model."""
    config.check_output(".png")
    if jax.device_count() < max(config.devices):
        raise ValueError(
            f"{max(config.devices)} devices are wanted and {jax.device_count()} found; "
            "set XLA_FLAGS=--xla_force_host_platform_device_count=8."
        )
    found: dict[str, Any] = {"scaling": scaling(config), "sizes": sizes(config)}
    found["model"] = model(config, found["sizes"])
    config.write(found)
    if config.output is not None:
        figure(found, config.output.with_suffix(".png"))
    return found


def scaling(config: Config) -> list[dict[str, Any]]:
    """Time of a field, and what it hands on, for every field, kind of scaling and number of devices."""
    rows = []
    for kind in ("strong", "weak"):
        for number in config.devices:
            for name, field in fields(config, kind, number).items():
                lattice = field.lattice
                assert lattice is not None
                spins = js.random_spins(lattice, key=jax.random.key(0), dtype=jnp.float32)
                mesh = js.devices.mesh(lattice, number)
                along = list(mesh.shape.values())
                spins = js.devices.shard(spins, mesh) if number > 1 else spins
                jax.clear_caches()  # or the choice made for the field before would be reused
                with mock.patch.object(kpm, "shared_probes", new=kpm.shared_probes if name != LATTICE else _none):
                    lowered = jax.jit(lambda s, field=field: field.push(s)).lower(spins)
                began = time.perf_counter()
                compiled = lowered.compile()
                compiling = {"compile": time.perf_counter() - began}
                row = {"field": name, "kind": kind, "devices": number, "mesh": along, "sites": lattice.sites}
                row |= timed(compiled, (spins,), config.repeats) | compiling | handed_on(str(compiled.as_text()))
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
    electrons = js.triangular(*(config.electrons * n for n in along)) if kind == "weak" else js.triangular(16)
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


def sizes(config: Config) -> list[dict[str, Any]]:
    """A learnt quench on one device."""
    rows = []
    for side in config.sides:
        lattice = js.triangular(side)
        field = js.pretrained(config.forcefield, lattice)
        spins = js.random_spins(lattice, key=jax.random.key(0), dtype=jnp.float32)

        def quench(s, field=field):
            settings = {"damping": 0.5, "temperature": 0.001, "key": jax.random.key(1), "throw": False}
            duration = 0.5 * config.steps
            return js.simulate(field, s, duration=duration, step=0.5, save_every=duration, **settings).final

        lowered = jax.jit(quench).lower(spins)
        began = time.perf_counter()
        compiled = lowered.compile()
        compiling = {"compile": time.perf_counter() - began}
        row: dict[str, Any] = {"sites": lattice.sites}
        if side <= config.timed_up_to:
            repeats = config.repeats if lattice.sites < 1e5 else 1
            row |= timed(compiled, (spins,), repeats, warm_up=lattice.sites < 2e6) | compiling
            row["microseconds a spin and step"] = 1e6 * row["processor"] / config.steps / lattice.sites
        memory: Any = compiled.memory_analysis()
        total = memory.temp_size_in_bytes + memory.argument_size_in_bytes + memory.output_size_in_bytes
        row["bytes a spin"] = total / lattice.sites
        rows.append(row)
        cost = row.get("microseconds a spin and step", float("nan"))
        print(f"{lattice.sites} spins {cost:.3f} us a spin and step, {row['bytes a spin']:.0f} B a spin", flush=True)
    return rows


def figure(found: dict[str, Any], path: Path) -> None:
    """Time against devices, strong and weak, and cost and memory of the quench against its size."""
    _, (strong, weak, quench) = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
    for axes, kind in ((strong, "strong"), (weak, "weak")):
        for name in dict.fromkeys(row["field"] for row in found["scaling"]):
            rows = [row for row in found["scaling"] if row["field"] == name and row["kind"] == kind]
            axes.loglog(
                [row["devices"] for row in rows],
                [row["microseconds a spin"] for row in rows],
                "--s" if name == LATTICE else "-o",
                label=name,
            )
        ticks = sorted({row["devices"] for row in found["scaling"]})
        axes.set_xticks(ticks, labels=[str(n) for n in ticks], minor=False)
        axes.minorticks_off()
        axes.set_xlabel("devices on the same cores")
        axes.set_ylabel("processor time of a field (µs a spin)")
        axes.set_title({"strong": "one lattice for all (strong)", "weak": "a block for each (weak)"}[kind])
    strong.legend(fontsize=7, loc="lower right")
    strong.set_ylim(bottom=1e-3)
    rows = [row for row in found["sizes"] if "median" in row]
    sites, cost = "sites", "microseconds a spin and step"
    quench.loglog([row[sites] for row in rows], [row[cost] for row in rows], "-o", label="time of a step (µs a spin)")
    memory = [row["bytes a spin"] / 1000 for row in found["sizes"]]
    quench.loglog([row[sites] for row in found["sizes"]], memory, "-s", label="memory (kB a spin)")
    quench.set_xlabel("spins")
    quench.set_ylim(0.5, 200)
    quench.set_title("learnt quench on one device")
    quench.legend(fontsize=8)
    plt.savefig(path, dpi=150)
    plt.close()


def handed_on(text: str) -> dict[str, Any]:
    """The exchanges of edges in a compiled program, and the bytes that a device sends in them; other collectives."""
    calls = re.findall(r"= [a-z]+(\d+)\[([\d,]*)\]\S* collective-permute(?:-start)?\(", text)
    sent = sum(int(bits) // 8 * int(np.prod([int(n) for n in shape.split(",") if n])) for bits, shape in calls)
    others = re.findall(r" (all-gather|all-to-all|all-reduce|reduce-scatter)(?:-start)?\(", text)
    return {
        "exchanges": len(calls),
        "bytes a device": sent,
        "others": {name: others.count(name) for name in sorted(set(others))},
    }


def edge(cells: tuple[int, ...], along: list[int]) -> int:
    """Cells on the edges of a device's block that face other devices."""
    block = [n // d for n, d in zip(cells, along, strict=True)]
    return sum(2 * int(np.prod(block)) // n for n, d in zip(block, along, strict=True) if d > 1)


def operations(field: js.BehlerParrinello) -> float:
    """Floating-point operations of a field at one spin, counted on paper: recursion and network, there and back.

    A product with the Hamiltonian of the cluster of m sites: 8 m^2 for the hopping of four real parts as a dense
    matrix, 40 m for exchange and sums; `moments`/2 of them for the features, and three times as many in the reverse
    pass, which runs forwards again and then backwards with two products a step.
    """
    descriptor: Any = field.descriptor
    members = len(descriptor.clusters[0].sites)
    products = 4 * (descriptor.moments // 2 + 1)
    widths = (descriptor.n_features, *field.hidden, 1)
    network = 3 * sum(2 * a * b for a, b in itertools.pairwise(widths))
    return products * (8 * members**2 + 40 * members) + network


def model(config: Config, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Time, memory and communication of a step of the learnt quench on the pod."""
    pod = config.pod
    lattice = js.triangular(64)
    field = js.pretrained(config.forcefield, lattice)
    assert isinstance(field, js.BehlerParrinello)
    along = (4, 2)
    spins = js.random_spins(lattice, key=jax.random.key(0), dtype=jnp.float32)
    spread = js.devices.shard(spins, js.devices.mesh(lattice, along))
    counted = handed_on(str(jax.jit(lambda s: field.push(s)).lower(spread).compile().as_text()))
    per_edge = counted["bytes a device"] / edge(lattice.cells, list(along))
    per_chip = pod.spins / pod.chips
    sent = 2 * per_edge * 4 * per_chip**0.5
    computing = 2 * operations(field) * per_chip / (pod.operations * pod.efficiency)
    waiting = 2 * counted["exchanges"] * pod.latency
    return {
        "operations a spin and field": operations(field),
        "reached on one core, operations a second": 2e6
        * operations(field)
        / min(row["microseconds a spin and step"] for row in rows if "median" in row),
        "bytes an edge cell and field": per_edge,
        "spins a chip": per_chip,
        "seconds of computing a step": computing,
        "seconds of sending a step": sent / pod.link,
        "seconds of latency a step": waiting,
        "seconds a step": computing + sent / pod.link + waiting,
        "bytes sent by a chip a step": sent,
        "bytes a chip": rows[-1]["bytes a spin"] * per_chip,
    }


if __name__ == "__main__":
    main_without_folder(Config, run, __doc__)
