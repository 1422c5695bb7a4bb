"""Tables of the page on real magnets, made from committed results."""

from experiments.stages.results import error, markdown, result
from jaxspin.units import Units


def bcc_iron() -> str:
    """What follows from the bands of iron, by mesh and by what is turned with the spins."""
    header = (
        "turned",
        "mesh",
        "moment (mu_B)",
        "J(0) (meV)",
        "stiffness (meV A^2)",
        "T_c, mean field (K)",
        "random phase (K)",
    )
    rows = []
    for name, row in result("bcc_iron")["rows"].items():
        phase = "not stable" if row["random phase"] is None else f"{row['random phase']:.0f}"
        rows.append(
            (
                name.split(",")[0],
                f"{row['mesh']}^3",
                f"{row['moment']:.3f}",
                f"{row['J(0)']:.1f}",
                f"{row['stiffness']:.0f}",
                f"{row['mean field']:.0f}",
                phase,
            )
        )
    return markdown(header, rows)


def iron_curie() -> str:
    """T_c of iron and of nearest neighbours on its lattice, by method."""
    found = result("iron_curie")
    magnets = found["magnets"]
    kelvin = Units("eV").to_temperature(1.0, "K")
    sizes = [" / ".join(f"{side}^3" for side in row["sides"]) for row in magnets["iron"]["crossings"]]
    rows = []
    for name, known in (("iron", found["measured"]), ("nearest neighbours", found["known"])):
        unit, places = (kelvin, 0) if name == "iron" else (1.0, 3)
        magnet = magnets[name]
        numbers = [f"{unit * magnet[key]:.{places}f}" for key in ("mean field", "random phase")]
        numbers += [
            "none"
            if row["T_c"] is None
            else f"{unit * row['T_c']:.{places}f} +- {unit * row['error of T_c']:.{places}f}"
            for row in magnet["crossings"]
        ]
        rows.append((f"{name} ({'K' if name == 'iron' else 'J'})", *numbers, f"{known:g}"))
    header = ("couplings", "mean field", "random phase", *(f"dynamics, {size}" for size in sizes), "measured or known")
    return markdown(header, rows)


def iron_equilibrium() -> str:
    """What must not move the equilibrium of iron near T_c."""
    rows = [
        (name, *(f"{unit * row[key]:.{n}f} +- {unit * row[f'error of {key}']:.{n}f}" for key, unit, n in measured))
        for measured in [(("m", 1.0, 3), ("energy", 1000.0, 1))]
        for name, row in result("iron_curie")["equilibrium"].items()
    ]
    return markdown(("runs", "mean m", "energy of an atom (meV)"), rows)


def iron_beyond_pairs() -> str:
    """Torque errors by kind of the fields that pairs and learning give."""
    found = result("iron_beyond_pairs")
    whole = found["fits"]["all kinds"]
    unseen = {name.removeprefix("without "): row for name, row in found["fits"].items() if name != "all kinds"}
    kinds = list(next(iter(whole.values()))["held out"])
    rows = [
        (
            field,
            *(error(row["held out"][kind]["torque"]) for kind in kinds),
            *(error(other[field]["held out"][kind]["torque"]) for kind, other in unseen.items()),
            error(row["fitted to"]),
        )
        for field, row in whole.items()
    ]
    header = ("field", *kinds, *(f"{kind}, kind never seen" for kind in unseen), "fitted to")
    return markdown(header, rows)
