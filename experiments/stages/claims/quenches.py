"""What the documents say of quenches."""

from experiments.stages.results import error, percent, power, result

FOLLOWED = "time to which the trajectories overlap by 0.9"
PERFECT = "mean of the absolute chirality over the perfect value"


def _shares(values: dict[str, float]) -> str:
    return ", ".join(percent(value) for value in values.values())


def _torque(name: str, kind: str) -> float:
    return result(name)["torques"][kind]["relative error"]


def _stages(name: str, places: int = 0) -> str:
    return ", ".join(percent(_torque(name, f"quench, {kind}"), places) for kind in ("early", "middle", "late"))


def triangular() -> list[str]:
    """The rows of the table of all experiments."""
    plain, filled = "triangular_tetrahedral", "triangular_tetrahedral_electrons"
    compared, followed = result(plain)["comparison"], result(filled)["comparison"]
    chirality = [compared[f"{kind} field: final chirality"] for kind in ("exact", "learnt")]
    return [
        f"error {error(_torque('triangular_120', 'all'))}, [trajectories overlap by more than 0.9]",
        f"to the end at t = {result('triangular_120')['comparison'][FOLLOWED]:.0f} |",
        f"error {_stages(plain)} % (early, middle, late), [chirality {chirality[0]:.2f} (exact) and {chirality[1]:.2f} "
        f"(learnt) of the perfect one",
        f"[{_stages(filled, 1)} %, overlap above 0.9 to the end at t = {followed[FOLLOWED]:.0f}]",
    ]


def triangular_accurate() -> list[str]:
    name = "triangular_tetrahedral_accurate"
    found, torques = result(name), result(name)["torques"]
    compared, large = found["comparison"], found["large quench"]
    held = found["force field"]["errors"]
    ends = [compared[f"{kind} field: final absolute chirality"] for kind in ("exact", "learnt")]
    where = "share of the structure factor within 4 grid points of"
    return [
        f"On the quench and the random spins held out {percent(held['quench']['torque'])} and "
        f"{percent(held['random']['torque'])} %, along an exact quench of 24 x 24 sites {_stages(name)} % (early, "
        f"middle, late; mean square {power(torques['all']['mean square error'])} t^2), near the order "
        f"{error(torques['near order']['relative error'])}",
        f"overlap above 0.9 to t = {compared[FOLLOWED]:.0f}, absolute chirality {ends[0]:.2f} and {ends[1]:.2f} at "
        "t = 150",
        f"48 x 48 at t = 300: {percent(large[PERFECT])} % of the chirality, {_shares(large[where])} % of S(q)",
    ]


def triangular_details() -> list[str]:
    plain, filled, gapped = "triangular_tetrahedral", "triangular_tetrahedral_electrons", "triangular_120"
    compared, large = result(plain)["comparison"], result(plain)["large quench"]
    held = result(filled)["training"]["errors on configurations held out"]
    squares = {
        name: {k: power(v["mean square error"], 1) for k, v in result(name)["torques"].items()}
        for name in (plain, gapped)
    }
    ordered = [compared[f"{kind} field: final chirality"] for kind in ("exact", "learnt")]
    ends = [result(gapped)["comparison"][f"{kind} field: final energy per site"] for kind in ("exact", "learnt")]
    vector = result(gapped)["large quench"]["mean vector chirality"]
    where = "share of the structure factor within 4 grid points of"
    return [
        f"chirality {ordered[0]:.2f} and {ordered[1]:.2f} of the perfect one at t = 150",
        f"overlap above 0.9 to t = {compared[FOLLOWED]:.0f}.",
        f"Error along that exact quench {_stages(plain)} % (early, middle, late), near the order "
        f"{error(_torque(plain, 'near order'))} (mean square {squares[plain]['near order']} t^2)",
        f"{percent(large[PERFECT])} % of the chirality, domains of both signs, {_shares(large[where])} % of S(q) at "
        "the M points",
        f"24 x 24 sites {_stages(filled, 1)} % (early, middle, late), on a quench and random spins held out "
        f"{percent(held['learnt']['torque'], 1)} and {percent(held['random']['torque'], 1)} %",
        f"which it has learnt nothing, {error(_torque(filled, 'near order'))} (mean square "
        f"{power(result(filled)['torques']['near order']['mean square error'])} t^2)",
        f"t = 200, {_shares(result(filled)['large quench'][where])} % of S(q) at the M points",
        f"energies then differ by {power(abs(ends[1] - ends[0]))} t a site.",
        f"Error along that exact quench {error(_torque(gapped, 'all'))} (mean square "
        f"{squares[gapped]['quench, early']} t^2 early, {squares[gapped]['quench, late']} late), near the order "
        f"{error(_torque(gapped, 'near order'))} ({squares[gapped]['near order']} t^2)",
        f"48 x 48 at t = 200: {percent(vector)} % of the perfect vector chirality",
    ]


def _exponents() -> tuple[str, str]:
    growth = result("coarsening")["growth"]
    found = [growth[name]["without L0"] for name in ("length between walls", "length by first moment")]
    return (
        f"{found[0]['exponent']:.2f} +- {found[0]['error']:.2f}",
        f"{found[1]['exponent']:.2f} +- {found[1]['error']:.2f}",
    )


def coarsening() -> list[str]:
    one, two = _exponents()
    return [f"[effective exponents {one} and {two}]"]


def coarsening_details() -> list[str]:
    one, two = _exponents()
    growth = result("coarsening")["growth"]
    offset = [growth[name]["with L0"]["exponent"] for name in ("length between walls", "length by first moment")]
    minutes = sum(result("coarsening")["wall time in seconds"].values()) / 60
    return [
        f"{one} (between walls) and {two} (first moment of the structure factor).",
        f"With an offset L0 fitted too {offset[0]:.2f} and {offset[1]:.2f}. {minutes:.0f} minutes on one core.",
    ]


def _compared(name: str) -> list[float]:
    found = result("double_exchange_quench")["comparison"]
    return [found[f"{kind} field: final {name}"] for kind in ("exact", "learnt")]


def puddles() -> list[str]:
    energy, correlation = _compared("energy per site"), _compared("mean S.S")
    return [
        f"[energy within {power(abs(energy[1] - energy[0]))} t a site and mean S.S within "
        f"{abs(correlation[1] - correlation[0]):.3f} of the exact run]"
    ]


def puddles_details() -> list[str]:
    found = result("double_exchange_quench")
    energy, correlation = _compared("energy per site"), _compared("mean S.S")
    background = [percent(row["share of the structure factor at the end"]["M"]) for row in found["quenches"]]
    shares = [row["puddles"]["fraction of sites"] for row in found["quenches"]]
    growth = found["quenches"][0]["growth of the mean size weighted by size"]["whole window"]
    holes = {
        (kind, when): found["comparison"][f"{kind} field: correlation of holes with spins at the {when}"]
        for kind in ("exact", "learnt")
        for when in ("start", "end")
    }
    grown = [row["mean S.S"][-1] for row in found["quenches"]]
    return [
        f"grows from {holes['exact', 'start']:.2f} in the random start to {holes['exact', 'end']:.2f} (exact) and "
        f"{holes['learnt', 'end']:.2f} (learnt)",
        f"mean S.S of the large runs ends at {', '.join(f'{x:.2f}' for x in grown)}",
        f"energy per site {energy[0]:.4f} and {energy[1]:.4f} t, mean neighbour correlation {correlation[0]:.3f} and "
        f"{correlation[1]:.3f}, overlap above 0.9 to "
        f"t = {found['comparison'][FOLLOWED]:.0f}",
        f"within {percent(found['comparison']['total variation between the two'])} % (total variation)",
        f"({', '.join(background)} % of S(q)) with",
        f"of {', '.join(percent(share[-1], 1) for share in shares)} % of the sites at the three temperatures",
        f"random spins of the start have {', '.join(percent(share[0], 1) for share in shares)} %.",
        f"growth as t^{growth['exponent']:.2f} +- {growth['error']:.2f} over the whole window",
    ]


def _leads() -> tuple[str, str, str]:
    """Charges at the published fields, by how much they lead the others, and what a finer mesh changes in it."""
    rows = [row for row in result("skyrmion_crystal")["lowest"] if row["field"] in (0.0, 0.005, 0.008)]
    leads = [min(row["others above it, by |n_sk|"].values()) for row in rows]
    changes = [row["change from the mesh before"] for row in rows]
    charges = ", ".join(str(row["|n_sk|"]) for row in rows)
    lead, change = (", ".join(f"{1e5 * x:.1f}" for x in values) for values in (leads, changes))
    return charges, lead, change


def skyrmions() -> list[str]:
    """The row of the table of all experiments."""
    charges, leads, _ = _leads()
    return [
        f"[charge {charges} a magnetic cell at B = 0, 0.005, 0.008 as published]",
        f", by {leads} x 1e-5 t a site |",
    ]


def skyrmions_details() -> list[str]:
    found = result("skyrmion_crystal")
    waves = found["susceptibility"]
    falls = [f"{row['field']:.5f} +- {row['change from the mesh before']:.5f}" for row in found["transitions"]]
    coarse = [f"{row['on each mesh']['10']:.4f}" for row in found["transitions"]]
    null = {row["coupling"]: row for row in found["other couplings, no field, not relaxed"]}
    charges, leads, changes = _leads()
    above = [1e3 * null[j]["energies above it"]["triple-Q"] for j in (1.0, 2.0)]
    return [
        f"is largest, {waves['pi/3 along a bond']:.3f}, at waves of length pi/3 along the bonds",
        f"({waves['a sixth of a reciprocal vector']:.3f} at a sixth of a reciprocal vector",
        f"{charges} at B = 0, 0.005 and 0.008, as published, and leads by {leads} x 1e-5 t a site; from the mesh "
        f"before the last these change by at most {changes}.",
        f"of the mesh of 10, on which the transitions are at {' and '.join(coarse)}.",
        f"falls from 2 to 1 at B = {falls[0]} and from 1 to 0 at {falls[1]}",
        f"by {above[0]:.1f} and {above[1]:.1f} x 1e-3 t a site below the state of charge 2",
    ]
