"""A learnt quench: measured on one device against its size, and on paper on a machine of many chips."""

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

import jaxspin as js
from experiments.benchmarks.exchanges import edge, handed_on
from experiments.benchmarks.programs import Program
from experiments.benchmarks.timing import timed


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


def sizes(forcefield: str, sides: Sequence[int], *, timed_up_to: int, steps: int, repeats: int) -> list[dict[str, Any]]:
    """Cost and memory of so many steps on one device, of lattices up to a side; of larger ones the memory alone."""
    rows = []
    for side in sides:
        lattice = js.triangular(side)
        field = js.pretrained(forcefield, lattice)
        spins = js.random_spins(lattice, key=jax.random.key(0), dtype=jnp.float32)

        def quench(s, field=field):
            settings = {"damping": 0.5, "temperature": 0.001, "key": jax.random.key(1), "throw": False}
            duration = 0.5 * steps
            return js.simulate(field, s, duration=duration, step=0.5, save_every=duration, **settings).final

        program = Program.of(quench, (spins,))
        row: dict[str, Any] = {"sites": lattice.sites}
        if side <= timed_up_to:
            calls = repeats if lattice.sites < 1e5 else 1
            row |= timed(program.compiled, (spins,), calls, warm_up=lattice.sites < 2e6)
            row["compile"] = program.compile
            row["microseconds a spin and step"] = 1e6 * row["processor"] / steps / lattice.sites
        row["bytes a spin"] = (program.memory() or math.nan) / lattice.sites
        rows.append(row)
        cost = row.get("microseconds a spin and step", math.nan)
        print(f"{lattice.sites} spins {cost:.3f} us a spin and step, {row['bytes a spin']:.0f} B a spin", flush=True)
    return rows


def operations_on_paper(field: js.BehlerParrinello) -> float:
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


def model(pod: Pod, forcefield: str, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Time, memory and communication of a step of the learnt quench on the pod, from its rows on one device."""
    lattice = js.triangular(64)
    field = js.pretrained(forcefield, lattice)
    assert isinstance(field, js.BehlerParrinello)
    count = operations_on_paper(field)
    along = (4, 2)
    spins = js.random_spins(lattice, key=jax.random.key(0), dtype=jnp.float32)
    spread = js.devices.shard(spins, js.devices.mesh(lattice, along))
    counted = handed_on(str(jax.jit(lambda s: field.push(s)).lower(spread).compile().as_text()))
    per_edge = counted["bytes a device"] / edge(lattice.cells, along)
    per_chip = pod.spins / pod.chips
    sent = 2 * per_edge * 4 * per_chip**0.5
    computing = 2 * count * per_chip / (pod.operations * pod.efficiency)
    waiting = 2 * counted["exchanges"] * pod.latency
    return {
        "operations a spin and field": count,
        "reached on one core, operations a second": 2e6
        * count
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
