"""The table of what was compared with other programs and with theory, from the committed results and the tests."""

from experiments.stages.results import power, result

_KWANT = "0.177, 0.089, 0.045"
"""Probing errors of kwant 1.5's random vectors with a Jackson kernel on the same spins: 32, 128, 512 of them."""
_COLOURS = {32: 2.7e-2, 128: 4.6e-3, 512: 4.7e-4}
"""Probing errors of a C++ kernel-polynomial program (FastKPM) by number of vectors, the rms field being 0.37."""
_TESTED = (
    ("free energies of five textures, triangular 24 x 24", "another program, four digits", "6e-5", "electrons"),
    ("field, and its derivatives, at degenerate states too", "central differences", "1e-6", "spectral"),
    ("square lattice, J = 0, half filling, T = 0", "-16/pi^2 per site", "2e-5", "electrons"),
    ("damped Larmor precession, four solvers", "analytic", "1e-6", "dynamics"),
    ("one spin in a field at temperature T", "Langevin function", "4 standard errors", "physics/test_thermal"),
    ("Hall conductivity of the tetrahedral state, n = 1/4 and 3/4", "+-e^2/h", "1e-4", "transport"),
    ("conductivity by kernel polynomials, with a vacancy too", "exact diagonalization", "1e-7", "transport"),
    ("local Chern marker inside an open 12 x 12 sheet", "the Hall conductivity", "0.03", "transport"),
    ("Drude conductivity of a free chain", "analytic", "1e-10", "transport"),
    ("descriptors under rotations, time reversal, point group", "invariance", "1e-10", "descriptors"),
    ("topological charge of random and skyrmion states, four lattices", "integers", "1e-10", "observables"),
    ("OVF files, binary 8", "Spirit's reader, discretisedfield", "exact", "snapshots"),
)  # fmt: skip


def rows_compared() -> list[tuple[str, ...]]:
    """What, with what, to what tolerance, and what was reached or the file of tests that holds it."""
    rows = [_solver("exact", "grand potential and field", "a C++ kernel-polynomial program with exact trace")]
    rows.append(
        _solver("kernel polynomials, exact trace", "the same by kernel polynomials with exact trace", "the same")
    )
    peers = {(row["method"], row["vectors"]): row["error"] for row in result("probing")["peers"]}
    ours = ", ".join(power(peers["colours, gradient", n]) for n in _COLOURS)
    theirs = ", ".join(power(x) for x in _COLOURS.values())
    probing = "probing error of the field, random 32 x 32 square, J = 1, 16, 64, 256 colours"
    rows.append((probing, f"{theirs}, a C++ kernel-polynomial program", "10 %", ours))
    random = ", ".join(f"{peers['random vectors, Jackson kernel', n]:.3f}" for n in _COLOURS)
    rows.append(
        (
            "random vectors with a Jackson kernel, 32, 128, 512 of them",
            f"{_KWANT}, kwant 1.5",
            "the spread of draws",
            random,
        )
    )
    for what, against, tolerance, file in _TESTED:
        path = f"tests/{file}.py" if "/" in file else f"tests/test_{file}.py"
        rows.append((what, against, tolerance, f"[tested]({'../../' + path})"))
    return rows


def _solver(solver: str, what: str, against: str) -> tuple[str, ...]:
    rows = [row for row in result("compare")["rows"] if row["solver"] == solver]
    sizes = ", ".join(dict.fromkeys(row["lattice"].removesuffix(" periodic").replace("x", " x ") for row in rows))
    energy, field = (max(abs(row[name]) for row in rows) for name in (ENERGY, FIELD))
    return (f"{what}: {sizes}", against, "1e-8", f"energy {power(energy, 1)}, field {power(field, 1)}")


ENERGY, FIELD = "difference of the energy per site", "largest difference of the field"
