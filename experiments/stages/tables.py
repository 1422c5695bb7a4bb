"""The tables of the documents, by name."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

from experiments.stages.compared import rows_compared
from experiments.stages.magnet_tables import bcc_iron, iron_beyond_pairs, iron_curie, iron_equilibrium
from experiments.stages.results import between, digits, error, markdown, percent, power, result, seconds, weights_errors
from jaxspin.forcefield import card, pretrained_names


def trained_force_fields() -> str:
    """What comes with the package: how it was trained, and its errors on what it has not learnt from."""

    def kinds(name: str, **told: str) -> str:
        errors = weights_errors(name)
        return ", ".join(f"{error(errors[kind.replace('_', ' ')]['torque'])} ({words})" for kind, words in told.items())

    def near(name: str) -> str:
        found = result(name)["torques"]["near order"]
        return f"{error(found['relative error'])}, {power(found['mean square error'])} t^2"

    def walls(name: str) -> str:
        errors = {kind: value["torque"] for kind, value in weights_errors(name).items()}
        lengths = {"all held out": 16, "all held out, 32 cells": 32, "all held out, 64 cells": 64}
        long = ", ".join(f"{error(errors[k])} ({n} cells)" for k, n in lengths.items() if k in errors)
        return f"walls, V > 0: {long}; V = 0: {error(errors['held out wall 0.00'])} (16 cells)"

    triangular = {"quench": "a whole quench", "random": "random", "ordered": "perturbed textures"}
    exchange = {"learnt quenches never seen": "whole quenches never seen", "random": "random"}
    snapshots = "snapshots of a run learnt from, single ones held out"
    exchange |= {snapshots: snapshots}
    channel = "square channel 4 sites wide between two leads, J = 3.8, T = 0.1, voltages up to 1.2"
    channel += " (`jaxspin.forcefield.at_voltage`)"
    metal = "triangular-tetrahedral"
    rows = [
        ("triangular-120", "triangular, J = 4, n = 0.5, T = 0.05", "3 hops, 24 moments", near("triangular_120")),
        (metal, "triangular, J = 3, n = 0.25, T = 0.05", "4 hops, 36 moments", near("triangular_tetrahedral")),
        (f"{metal}-accurate", "the same", "6 hops, 48 moments", near("triangular_tetrahedral_accurate")),
        (f"{metal}-fast", "the same", "2 hops, 16 moments", ""),
        ("double-exchange", "square, J = 6, n = 0.485, T = 0.0027", "4 hops, 15 steps of `LocalElectrons`", ""),
        ("double-exchange-accurate", "the same", "6 hops, 25 steps", ""),
        ("double-exchange-fast", "the same", "4 hops, 36 moments, Fermi level", ""),
        ("driven-channel", channel, "5 hops, 32 moments, wrapped around the channel", ""),
        ("driven-channel-fast", "the same", "2 hops, 12 moments; not for longer channels", ""),
    ]  # fmt: skip
    header = [
        "name",
        "electrons",
        "clusters",
        "held-out rms torque error / rms torque",
        "near the order: error, mean square",
    ]
    table = []
    for name, electrons, clusters, ordered in rows:
        told = triangular if name.startswith("triangular") else exchange
        errors = walls(name) if name.startswith("driven") else kinds(name, **told)
        table.append((f"`{name}`", electrons, clusters, errors, ordered))
    return markdown(header, table)


def devices() -> str:
    """Wall and processor time against the number of devices."""
    rows = [row for row in result("scaling")["scaling"] if row["kind"] == "strong"]
    names = {
        "learnt, moments": "learnt field, 96 x 96: wall (processor) ms",
        "kernel polynomials": "kernel polynomials, 16 x 16",
        "kernel polynomials, lattice shared out": "kernel polynomials with the lattice shared out",
        "exchange": "classical exchange, 96 x 96",
    }
    numbers = sorted({row["devices"] for row in rows})

    def cell(field: str, number: int) -> str:
        (row,) = [row for row in rows if row["field"] == field and row["devices"] == number]
        wall, processor = (1000 * row[name] for name in ("median", "processor"))
        return f"{_ms(wall)} ({_ms(processor)})"

    table = [[words, *(cell(field, number) for number in numbers)] for field, words in names.items()]
    return markdown(["host devices on two cores", *map(str, numbers)], table)


def _ms(value: float) -> str:
    return f"{value:.1f}" if value < 9.95 else f"{value:.0f}"


USES = {
    "DepondtMertens": ("2", "everything, with and without noise; exact in a constant field"),
    "SemiImplicit": ("2", "the same, cheaper arithmetic"),
    "ProjectedHeun": ("2", "comparisons with programs that use it"),
    "SphericalMidpoint": ("4 to 7 (float64: 8 to 15)", "long undamped runs with any energy: symplectic, no drift"),
    "ImplicitMidpoint": (
        "4 to 7 (float64: 8 to 15)",
        "long undamped runs of exchange, anisotropy and constant fields",
    ),
    "ProjectedTsit5": ("6", "reference solutions and adaptive steps at T = 0"),
}


def integrators() -> str:
    """Drift and order of every integrator."""
    found = result("integrators")
    steps = ("0.01", "0.05", "0.1")
    table = []
    for name, (fields, use) in USES.items():
        drift = found["drift per spin"][name]
        order = f"{found['orders'][name]['deterministic']:.2f}"
        shown = f"`{name}`" + (" (default)" if name == "DepondtMertens" else "")
        table.append([shown, *(power(drift[step]) for step in steps), order, fields, use])
    return markdown(["integrator", *(f"step {s}" for s in steps), "order", "fields a step", "use it for"], table)


def stability_rows(found: dict[str, Any]) -> str:
    """Long runs with every force field, of a summary of `experiments.checks.stability`."""
    header = [
        "force field",
        "lattice",
        "length",
        "no damping: energy a site goes by",
        "and by this a unit of time",
        "bath: second, last quarter",
        "finite",
    ]
    table = []
    for name, row in found["force fields"].items():
        free, bath = row["undamped"], row["bath"]
        length = max(part["largest deviation of a length"] for part in (free, bath))
        cells = ["", "", ""]
        if free["energies known"]:
            means = (f"{bath[f'energy a site, {q} quarter']:.4f}" for q in ("second", "last"))
            errors = max(bath[f"its error, {q} quarter"] for q in ("second", "last"))
            slope = free["trend, energy a site and unit of time"]
            cells = [power(free["largest deviation of the energy a site"]), power(slope)]
            cells.append(f"{', '.join(means)} (+- {digits(errors, 1)})")
        whole = "yes" if free["finite to the end"] and bath["finite to the end"] else "no"
        table.append([f"`{name}`", row["lattice"], power(length), *cells, whole])
    return markdown(header, table)


def speeds() -> str:
    """Million spin-steps a second, single precision."""
    rows = result("dynamics")["rows"]
    sides = (64, 256, 1024)

    def cell(names: tuple[str, ...], temperature: float, side: int) -> str:
        found = [
            row["million spin-steps a second"]
            for row in rows
            if (row["temperature"] > 0) == (temperature > 0) and row["side"] == side and row["integrator"] in names
        ]
        return between(found, lambda value: f"{value:.0f}") if found else ""

    kinds: dict[str, tuple[str, ...]] = {
        f"`{name}`": (name,) for name in ("ProjectedHeun", "DepondtMertens", "SemiImplicit", "ProjectedTsit5")
    }
    kinds["midpoint rules"] = ("SphericalMidpoint", "ImplicitMidpoint")
    header = ["integrator", *(f"{s} x {s}" for s in sides), *(f"with noise: {s} x {s}" for s in sides)]
    table = [[words, *(cell(names, t, s) for t in (0.0, 0.1) for s in sides)] for words, names in kinds.items()]
    return markdown(header, table)


def fields() -> str:
    """Time of a field, learnt and of the electrons."""
    rows = result("fields")["rows"]
    times = {(row["field"], row["side"]): seconds(row["median"]) for row in rows}
    kinds = ("learnt", "kernel polynomials", "exact")
    sides = sorted({row["side"] for row in rows})
    return markdown(["sites", *kinds], [[f"{s} x {s}", *(times.get((k, s), "") for k in kinds)] for s in sides])


def first_results() -> str:
    """Time to the first result of a process, without and with a filled cache."""
    header = ["first", "import", "compile", "again, with the cache", "run", "programs", "from the cache", "MB kept"]
    rows = []
    for name, row in result("first_results")["rows"].items():
        new, again = row["compiling"], row["with the cache"]
        rows.append(
            (
                name,
                seconds(new["import jax"] + new["build"]),
                seconds(new["first"] - new["run"]),
                seconds(again["first"] - again["run"]),
                seconds(again["run"]),
                str(new["programs"]),
                str(again["from the cache"]),
                f"{row['bytes in the cache'] / 1e6:.1f}",
            )
        )
    return markdown(header, rows)


def kernel_polynomials() -> str:
    """The kernel-polynomial field by lattice."""
    header = ["lattice", "moments", "field", "per site", "step / triad", "field / forward moments", "memory in vectors"]
    return markdown(
        [*header, "error"],
        [
            (
                f"{row['lattice']} {row['side']} x {row['side']}",
                str(row["moments"]),
                f"{row['field']['median']:.2f} s",
                f"{row['microseconds a site']:.0f} us",
                f"{row['step over triad']:.1f}",
                f"{row['field over forward']:.1f}",
                f"{row['memory in vectors']:.1f}",
                power(row["rms error"]) if "rms error" in row else "",
            )
            for row in result("electrons")["rows"]
        ],
    )


def frontier() -> str:
    """Learnt fields, series of kernel polynomials and the exact field: errors and times."""
    table = []
    for found in result("frontier")["cases"].values():
        told = found["electrons"]
        title = f"{told['lattice']}, J = {told['coupling']:g}, n = {told['filling']:g}, T = {told['temperature']:g}"
        for row in [*found["learnt"], *found["series"]]:
            learnt = "name" in row
            name = f"`{row['name']}`" if learnt else f"{row['vectors']} vectors, {row['moments']} moments"
            faster = row.get("times faster")
            line = [title, name, error(row["quench"]), error(row["random"]), digits(row["microseconds a site"])]
            table.append((*line, digits(faster) if faster else ""))
            title = ""
        exact = found["exact"]
        side = f"exact, {exact['side']} x {exact['side']}"
        table.append(("", side, "", "", digits(exact["microseconds a site"]), ""))
    return markdown(
        ["electrons", "field", "missed along a quench", "random", "us a site", "times faster than a series"], table
    )


def locality() -> str:
    """The least error of a field that sees no further than a radius."""
    cases = {
        "triangular, J = 4, n = 1/2 (gapped)": ("triangular, $J = 4$", 3.0),
        "square, J = 6, n = 0.485 (doped)": ("square, $J = 6$", 4.0),
        "square, J = 3.5, n = 0.48 (doped)": ("square, $J = 3.5$", 4.0),
        "triangular, J = 3, n = 1/4 (metal)": ("triangular, $J = 3$", 4.0),
        "the same": ("triangular, $J = 3$", 5.0),
    }

    def cell(found: dict[str, Any]) -> str:
        parts = []
        for common in ("filling in common", "Fermi level in common"):
            value, spread = found[common]["error"], found[common]["standard error"]
            small = value < 0.01
            parts.append(f"{percent(value, 2)} %" if small else f"{percent(value)} +- {percent(spread)} %")
        return ", ".join(parts)

    table = []
    for words, (case, radius) in cases.items():
        (row,) = [r for r in result("locality")["rows"] if r["case"].startswith(case) and r["radius"] == radius]
        order = next(value for name, value in row.items() if name not in ("random", "case") and isinstance(value, dict))
        table.append((words, f"{radius:.0f} a", cell(row["random"]), cell(order)))
    around = "other random spins around: filling, Fermi level in common"
    return markdown(["", "spins known within", around, "the order around"], table)


def compared_with() -> str:
    """What was compared with other programs and with theory."""
    return markdown(("what", "with", "tolerance", "reached"), rows_compared())


def skyrmions() -> str:
    """The lowest state of the skyrmion crystals in each field, and how far states of another charge are above it."""
    found = result("skyrmion_crystal")
    others = " and ".join(f"{t:g}" for t in found["provenance"]["config"]["other_temperatures"])
    small = 1e5
    rows = []
    for row in found["lowest"]:
        above = row["others above it, by |n_sk|"]
        heat = row["at the other temperatures"]
        rows.append(
            [
                f"{row['field']:g}",
                str(row["|n_sk|"]),
                f"{abs(row['magnetization']):.2f}",
                ", ".join(percent(share) for share in sorted(row["shares of S(q)"], reverse=True)),
                ", ".join(f"{kind}: {small * above[kind]:.1f}" for kind in sorted(above)),
                ", ".join(f"{kind}: {' and '.join(f'{small * x:.1f}' for x in heat[kind])}" for kind in sorted(heat)),
                f"{small * row['change from the mesh before']:.1f}",
            ]
        )
    header = ["B", "charge of a cell", "M", "% of S(q) at each Q", "other charges above it, 1e-5 t a site"]
    header += [f"the same at T = {others}", "largest change from the mesh before"]
    return markdown(header, rows)


@functools.cache
def model_cards() -> str:
    """The cards of all pretrained force fields."""
    return "\n".join(str(card(name)) for name in pretrained_names())


def nested() -> str:
    """Errors of force fields by what they stand on, mean and range over the seeds."""
    rows = result("nested")["rows"]
    lines = [
        (
            row["part"],
            row["name"],
            str(row["steps"]) if row["converged"] else f"{row['steps']}, not seen flat",
            *(spread_of(row["torque error"][kind]) for kind in ("learnt", "random")),
            digits(row["microseconds a site"]),
        )
        for row in rows
    ]
    return markdown(("base", "learnt", "steps", "whole quenches (%)", "random spins (%)", "us a site"), lines)


def spread_of(found: Mapping[str, float]) -> str:
    return f"{100 * found['mean']:.1f} ({100 * found['least']:.1f} to {100 * found['largest']:.1f})"


TABLES: dict[str, Callable[[], str]] = {
    make.__name__: make
    for make in (
        trained_force_fields,
        devices,
        integrators,
        speeds,
        fields,
        first_results,
        kernel_polynomials,
        frontier,
        locality,
        compared_with,
        skyrmions,
        nested,
        bcc_iron,
        model_cards,
        iron_curie,
        iron_equilibrium,
        iron_beyond_pairs,
    )
}
