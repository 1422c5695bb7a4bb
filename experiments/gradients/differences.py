"""Gradients of a run checked against central differences: every field with respect to everything it depends on.

    python -m experiments.gradients.differences            # minutes, most of it compilation; writes runs/differences
    python -m experiments.gradients.differences --help     # every setting

A scalar of the final state of a few steps with thermal noise (held fixed) and a field pulse is differentiated with
respect to the initial spins, damping, bath temperature, the shape of the pulse, and the parameters of the field:
couplings of classical terms; hopping, J, site energies, chemical potential or filling and temperature of the electrons;
weights of a network. Each gradient is compared along a random direction with differences of fourth order in double
precision, from random spins and from ordered, degenerate ones.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

import jaxspin as js
from experiments.stages import Resumable, main, open_folder
from experiments.stages.tables import markdown
from jaxspin.classical import GaussianPulse, ZeemanPulse
from jaxspin.io import load_json, provenance, save_json
from jaxspin.spins import retract

Parameters = dict[str, Any]
# What a run is differentiated by whatever the field: initial values, times in units of hbar/t.
COMMON = {"damping": 0.3, "bath temperature": 0.05}
PULSE = {
    "pulse strength": (0.4, -0.2, 0.3),
    "pulse center": 0.45,
    "pulse width": 0.35,
    "pulse frequency": 2.1,
    "pulse phase": 0.4,
}
STEP, STEPS = 0.25, 4
KEY = 7


@dataclasses.dataclass(frozen=True)
class Config(Resumable):
    """Settings."""

    output: Path = Path("runs/differences")
    """Folder for `summary.json` and `table.md`; an existing one is refused."""
    seed: int = 0
    """Of parameters, spins and directions."""
    difference: float = 1e-3
    """Length of the step of the differences, in units of a parameter that is smaller than 1."""
    fields: tuple[str, ...] = ()
    """Names of the fields; all without it."""

    def __post_init__(self):
        if not self.difference > 0:
            raise ValueError(f"difference must be positive, got {self.difference}; 1e-3 suits double precision.")


@dataclasses.dataclass(frozen=True)
class Case:
    """A field as a function of parameters, on a lattice."""

    lattice: js.Lattice
    parameters: Parameters
    build: Callable[[Parameters], js.AbstractField]


def cases(key: Array) -> dict[str, Callable[[], Case]]:
    """Every kind of field on a square of sixteen sites (a learnt one on the smallest that holds its neighbourhood)."""
    square = js.square(4)

    def classical() -> Case:
        one, two, three = jax.random.split(key, 3)
        parameters = {
            "exchange": 1 + 0.3 * jax.random.normal(one, (4, 4, 2)),
            "second exchange": jnp.asarray(-0.3),
            "Dzyaloshinskii-Moriya": 0.4 * jax.random.normal(two, (4, 4, 2)),
            "anisotropy": jnp.asarray(0.5),
            "axis of the anisotropy": jnp.asarray([0.2, 0.1, 1.0]),
            "applied field": 0.2 * jax.random.normal(three, (4, 4, 1, 3)),
        }

        def build(p):
            exchange = js.Exchange(square, (p["exchange"], p["second exchange"]))
            anisotropy = js.Anisotropy(p["anisotropy"], p["axis of the anisotropy"])
            chiral = js.DzyaloshinskiiMoriya(square, p["Dzyaloshinskii-Moriya"])
            return exchange + chiral + anisotropy + js.Zeeman(p["applied field"])

        return Case(square, parameters, build)

    def electrons(solver: str, ensemble: str) -> Case:
        parameters = {
            "hopping": jnp.asarray([1.0, 0.2]),
            "J": jnp.asarray(1.7),
            "site energies": 0.2 * jax.random.normal(key, (4, 4, 1)),
            "electron temperature": jnp.asarray(0.3),
            ensemble: jnp.asarray(0.37 if ensemble == "filling" else -1.3),
        }

        def build(p):
            model = js.SDModel(square, (p["hopping"][0], p["hopping"][1]), p["J"], potential=p["site energies"])
            state = {ensemble.replace(" ", "_"): p[ensemble], "temperature": p["electron temperature"]}
            if solver == "exact":
                return js.ExactDiagonalization(model, **state)
            return js.KernelPolynomial(model, probes=js.electrons.Coloring(4), order=64, window=(-9.0, 9.0), **state)

        return Case(square, parameters, build)

    def learnt(descriptor) -> Case:
        model = js.BehlerParrinello(descriptor=descriptor, hidden=(5,))
        weights, rest = eqx.partition(model.network, eqx.is_inexact_array)
        leaves, structure = jax.tree.flatten(weights)
        keys = jax.random.split(key, len(leaves))
        leaves = [0.7 * jax.random.normal(k, x.shape, x.dtype) for k, x in zip(keys, leaves, strict=True)]

        def build(p):
            return eqx.tree_at(lambda m: m.network, model, eqx.combine(p["weights"], rest))

        return Case(descriptor.lattice, {"weights": jax.tree.unflatten(structure, leaves)}, build)

    return {
        "classical": classical,
        "exact, fixed chemical potential": lambda: electrons("exact", "chemical potential"),
        "exact, fixed filling": lambda: electrons("exact", "filling"),
        "kernel polynomial, fixed chemical potential": lambda: electrons("kernel polynomial", "chemical potential"),
        "learnt, bispectrum": lambda: learnt(
            js.Bispectrum(js.square(4), radius=1.0, bond_radius=1.0, bond_length=1.0, bispectrum=False)
        ),
        "learnt, moments": lambda: learnt(js.LocalMoments(js.square(4), 2.0, hops=1, moments=4)),
        "kernel polynomial, fixed filling": lambda: electrons("kernel polynomial", "filling"),
    }


def starts(lattice: js.Lattice, key: Array) -> dict[str, Array]:
    """Random spins, and orders whose levels are degenerate."""
    return {
        "random": js.random_spins(lattice, key=key),
        "ferromagnet": js.textures.ferromagnet(lattice),
        "neel": js.textures.neel(lattice, (1.0, 0.0, 1.0)),
        "tetrahedral": js.textures.tetrahedral(lattice),
    }


class Checked:
    """The scalar sum_i w_i . S_i of a short run's final and middle states, with its gradient: compiled once a field."""

    def __init__(self, case: Case, key: Array):
        lattice = case.lattice
        weights = jax.random.normal(key, (2, *lattice.shape, 3))

        def outcome(parameters: Parameters, spins: Array) -> Array:
            p = parameters
            shape = GaussianPulse(
                center=p["pulse center"], width=p["pulse width"], frequency=p["pulse frequency"], phase=p["pulse phase"]
            )
            run = js.simulate(
                case.build(p) + ZeemanPulse(p["pulse strength"], shape),
                retract(spins, p["initial spins"]),
                duration=STEPS * STEP,
                step=STEP,
                damping=p["damping"],
                temperature=p["bath temperature"],
                key=jax.random.key(KEY),
                save_every=STEPS * STEP / 2,
                throw=False,
            )
            assert run.spins is not None
            return jnp.sum(weights * run.spins[1:])

        turns = {"initial spins": jnp.zeros((*lattice.shape, 3))}
        common = {name: jnp.asarray(value) for name, value in {**COMMON, **PULSE}.items()}
        # a number of weak type would be compiled for once more when a difference is added to it
        strong = jax.tree.map(lambda x: x.astype(x.dtype), {**common, **case.parameters})
        self.parameters: Parameters = {**turns, **strong}
        self.value_and_slope = eqx.filter_jit(jax.value_and_grad(outcome))

    def compare(self, spins: Array, key: Array, length: float) -> dict[str, dict[str, float]]:
        """Slope and difference quotient along a random direction of each parameter."""
        _, slopes = self.value_and_slope(self.parameters, spins)
        found = {}
        for number, (name, value) in enumerate(self.parameters.items()):
            direction = _like(value, jax.random.fold_in(key, number))
            slope = sum(
                float(jnp.sum(a * b))
                for a, b in zip(jax.tree.leaves(slopes[name]), jax.tree.leaves(direction), strict=True)
            )

            # the differences of a small number, such as a temperature, are to be small beside it
            largest = max(float(jnp.max(jnp.abs(leaf))) for leaf in jax.tree.leaves(value))
            step = length * min(1.0, largest if largest > 0 else 1.0)

            def at(n: int, name=name, value=value, direction=direction, step=step) -> float:
                moved = jax.tree.map(lambda x, d: x + n * step * d, value, direction)
                return float(self.value_and_slope({**self.parameters, name: moved}, spins)[0])

            expected = (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * step)
            deviation = abs(slope - expected) / max(abs(expected), 1e-300)
            found[name] = {"slope": slope, "differences": expected, "relative deviation": deviation}
        return found

    def is_finite(self, spins: Array, **changed: Array) -> bool:
        """Whether the value and every slope are finite with some parameters `changed`."""
        names = {name.replace("_", " "): value for name, value in changed.items()}
        found = self.value_and_slope({**self.parameters, **names}, spins)
        return all(bool(jnp.all(jnp.isfinite(x))) for x in jax.tree.leaves(found))


def run(config: Config) -> dict[str, Any]:
    """The comparison of every field, start and parameter; returns what `summary.json` holds."""
    folder = open_folder(config)
    kept = folder / "table.json"
    table: dict[str, Any] = load_json(kept) if kept.exists() else {}
    with jax.enable_x64(True):
        key = jax.random.key(config.seed)
        make = cases(key)
        unknown = sorted(set(config.fields) - set(make))
        if unknown:
            raise ValueError(f"there is no field {unknown[0]!r}; choose among {', '.join(make)}.")
        for name in (name for name in config.fields or make if name not in table):
            print(f"--- {name}", flush=True)
            case = make[name]()
            checked = Checked(case, jax.random.fold_in(key, 1))
            rows: dict[str, Any] = {}
            for start, spins in starts(case.lattice, jax.random.fold_in(key, 2)).items():
                rows[start] = {
                    "parameters": checked.compare(spins, jax.random.fold_in(key, 3), config.difference),
                    "finite without noise": checked.is_finite(spins, bath_temperature=jnp.asarray(0.0)),
                }
            table[name] = rows
            save_json(kept, table, indent=None)
            summary = {"table": table, "largest": largest(table), "provenance": provenance(config, config.seed)}
            save_json(folder / "summary.json", summary)
            (folder / "table.md").write_text(table_of(table))
    return load_json(folder / "summary.json")


def largest(table: dict[str, Any]) -> dict[str, float]:
    """The largest relative deviation for each field."""
    return {
        field: max(row["relative deviation"] for found in runs.values() for row in found["parameters"].values())
        for field, runs in table.items()
    }


def table_of(table: dict[str, Any]) -> str:
    """The largest relative deviation over the starts: a row for each parameter, a column for each field."""
    lines = []
    for name in dict.fromkeys(name for runs in table.values() for name in runs["random"]["parameters"]):
        cells = []
        for runs in table.values():
            rows = [found["parameters"][name] for found in runs.values() if name in found["parameters"]]
            cells.append(f"{max(row['relative deviation'] for row in rows):.0e}" if rows else "")
        lines.append([name, *cells])
    about = "Relative deviation of the gradient of a run from differences of fourth order, the largest over the starts "
    return about + ", ".join(next(iter(table.values()))) + ".\n\n" + markdown(["with respect to", *table], lines)


def _like(tree: Any, key: Array) -> Any:
    """A random direction in the space of the arrays of `tree`, of length one."""
    leaves, structure = jax.tree.flatten(tree)
    keys = jax.random.split(key, len(leaves))
    drawn = [jax.random.normal(k, jnp.shape(x)) for k, x in zip(keys, leaves, strict=True)]
    length = np.sqrt(sum(float(jnp.sum(x**2)) for x in drawn))
    return jax.tree.unflatten(structure, [x / length for x in drawn])


if __name__ == "__main__":
    main(Config, run, __doc__, lambda found, _: "\n".join(f"{k}: {v:.1e}" for k, v in found["largest"].items()))
