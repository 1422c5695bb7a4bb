"""Time of electrons with many orbitals an atom, bcc iron from its file: exact labels and kernel polynomials.

    python -m experiments.benchmarks.orbitals --output FILE.json

Random spins, 8 electrons a cell at 0.1 eV, single precision. Compilation apart; medians of several calls after a
warm-up, for the exact solver a single call. *Exact* is a label (energy and field) by dense diagonalization. *Series* is
the field of kernel polynomials. Its *product* is H times all probing vectors by Fourier transforms, beside the *dense*
product of the same vectors where the matrix fits. Its *bytes* are what it reads and writes where a transform passes
once over the vectors for each axis, over the rate of a triad a = b + 1.5 c - d of such vectors in the same run.
"""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

import jaxspin as js
from experiments.benchmarks.report import Report
from experiments.benchmarks.timing import timed
from experiments.stages import main_without_folder

ELECTRONS = 8.0


@dataclasses.dataclass(frozen=True)
class Config(Report):
    """What to time."""

    exact: tuple[int, ...] = (2, 4)
    """Sides of the lattices that are diagonalized; 4 has 1152 spin-orbitals."""
    series: tuple[int, ...] = (4, 8, 12)
    """Sides of the lattices of kernel polynomials; 12 has 31,104 spin-orbitals."""
    colors: int = 9
    """Probing colours, at least the nine orbitals; twice as many columns."""
    order: int = 64
    """Moments: some 1 eV of resolution."""
    dense_up_to: int = 4
    """Largest side whose matrix is multiplied as well."""
    temperature: float = 0.1
    """Of the electrons, in eV."""


def run(config: Config) -> list[dict[str, Any]]:
    """One row for each lattice and solver."""
    config.check_output()
    iron = js.io.read_wannier90(*js.io.example("bcc_iron"))
    rows = []
    for measure, sides in ((exact_label, config.exact), (series_field, config.series)):
        for side in sides:
            rows.append(measure(config, js.OrbitalModel.from_wannier(iron, side)))
            print(line(rows[-1]), flush=True)
    config.write({"rows": rows})
    return rows


def spins_on(model: js.OrbitalModel) -> jax.Array:
    """The same spins for every solver."""
    return js.random_spins(model.lattice, key=jax.random.key(1), dtype=jnp.float32)


def exact_label(config: Config, model: js.OrbitalModel) -> dict[str, Any]:
    """Energy and field by one `eigh`."""
    state = {"filling": model.filling_of(ELECTRONS), "temperature": config.temperature}
    solver = js.ExactDiagonalization(model, **state)
    label = timed(eqx.filter_jit(lambda f, s: f.energy_and_field(s)), (solver, spins_on(model)), 1)
    return {"solver": "exact", **size_of(model), "label": label}


def series_field(config: Config, model: js.OrbitalModel) -> dict[str, Any]:
    """The field, and the product with H that it is made of."""
    state = {"filling": model.filling_of(ELECTRONS), "temperature": config.temperature}
    solver = js.KernelPolynomial(model, **state, probes=js.electrons.Coloring(config.colors), order=config.order)
    spins, start = spins_on(model), solver.start(spins_on(model))
    field = timed(eqx.filter_jit(lambda f, s: f.field(s)), (solver, spins), config.repeats)
    product = timed(jax.jit(lambda h, v: h(v)), (model.hamiltonian(spins), start), config.repeats)
    vectors = (start, start + 1, start + 2)
    triad = timed(jax.jit(lambda a, b, c: a + 1.5 * b - c), vectors, 4 * config.repeats)
    rate = 4 * start.nbytes / triad["median"]
    moved = least_bytes(model, start)
    row = {
        "solver": "series",
        **size_of(model),
        "columns": start.shape[-1],
        "moments": config.order,
        "field": field,
        "product": product,
        "bytes of a product": moved,
        "product over bytes": product["median"] * rate / moved,
        "products of a field": field["median"] / product["median"],
    }
    if max(model.lattice.cells) <= config.dense_up_to:
        matrix, flat = model.dense(spins), start.reshape(model.orbitals(), -1)
        multiplied = jax.jit(lambda h, v: jnp.matmul(h, v, precision=jax.lax.Precision.HIGHEST))
        row |= {"dense": timed(multiplied, (matrix, flat), config.repeats)}
    return row


def least_bytes(model: js.OrbitalModel, vectors: jax.Array) -> int:
    """Read and written by a product whose transforms, there and back, pass once over the vectors for each axis.

    Split hoppings take two more transforms, and a second set of blocks.
    """
    sets = 1 if model.split is None else 2
    passes = 2 * sets * len(model.lattice.cells) + 2 * sets
    size = model.hopping.shape[-1]
    blocks = vectors.dtype.itemsize * model.lattice.sites * (size**2 + (sets - 1) * len(model.owners) ** 2)
    return int(2 * passes * vectors.nbytes + blocks)


def size_of(model: js.OrbitalModel) -> dict[str, Any]:
    """What a row says of its lattice."""
    return {
        "side": model.lattice.cells[0],
        "spin-orbitals": int(model.orbitals()),
        "lattice vectors": len(model.offsets),
    }


def line(row: dict[str, Any]) -> str:
    """A row for people."""
    head = f"{row['solver']:>6s} {row['side']:3d}^3 {row['spin-orbitals']:6d} spin-orbitals"
    if "label" in row:
        return f"{head}  label {row['label']['median']:8.2f} s (compiled in {row['label']['compile']:.1f} s)"
    dense = f"  dense {1e3 * row['dense']['median']:.1f} ms" if "dense" in row else ""
    return (
        f"{head}  {row['columns']:3d} columns {row['moments']:4d} moments  field {row['field']['median']:7.2f} s "
        f"(compiled in {row['field']['compile']:.1f} s)  product {1e3 * row['product']['median']:7.1f} ms, "
        f"{row['product over bytes']:.1f} times its bytes{dense}"
    )


if __name__ == "__main__":
    main_without_folder(Config, run, __doc__)
