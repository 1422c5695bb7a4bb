"""The sentences of the documents that hold numbers of the results, as the results have them.

Each must occur once in its document, lines broken anywhere. Numbers that no committed result holds are not here.
"""

from collections.abc import Callable

from experiments.stages.results import between, digits, error, percent, power, result, weights_errors

FOLLOWED = "time to which the trajectories overlap by 0.9"
PERFECT = "mean of the absolute chirality over the perfect value"
ALONE = "least price of one spin in this time"
UNSEEN = "learnt quenches never seen"


def claims(document: str) -> list[str]:
    """What `document` must say, a path from the project's root."""
    return [sentence for make in SENTENCES[document] for sentence in make()]


def _shares(values: dict[str, float]) -> str:
    return ", ".join(percent(value) for value in values.values())


def _torque(name: str, kind: str) -> float:
    return result(name)["torques"][kind]["relative error"]


def _stages(name: str, places: int = 0) -> str:
    return ", ".join(percent(_torque(name, f"quench, {kind}"), places) for kind in ("early", "middle", "late"))


def quickstart() -> list[str]:
    """The row of the table, and the words below it, tell the same large quench."""
    share = percent(result("quickstart")["large quench"][PERFECT])
    return [
        f"quench into tetrahedral order | {share} % of the perfect chirality in",
        f"At t = 300 {share} % of the perfect chirality in",
    ]


def quickstart_details() -> list[str]:
    found = result("quickstart")
    errors, large = found["errors"], found["large quench"]
    kinds = ", ".join(
        f"{percent(errors[kind]['torque'])} % ({words})"
        for kind, words in {"ordered": "ordered", "quench": "a whole quench", "random": "random"}.items()
    )
    shares = large["share of the structure factor within 4 grid points of"].values()
    minutes = sum(found["wall time in seconds"].values()) / 60
    return [
        f"Held-out error {kinds}; energy per site {power(errors['all']['energy'])} t.",
        f"signs ({percent(large['fraction of triangles with positive chirality'])} % positive, length "
        f"{large['chiral domain length']:.0f} a), {between(shares, percent)} % of S(q) at each of the three M points. "
        f"{minutes:.0f} minutes on two cores.",
        f"chirality in domains of both signs; {minutes:.0f} minutes on two cores |",
        f"followed for some {found['comparison'][FOLLOWED]:.0f} time units",
        f"takes 1/{found['speed']['learnt against exact']:.0f} of the exact one's time",
    ]


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
    return [
        f"energy per site {energy[0]:.4f} and {energy[1]:.4f} t, mean neighbour correlation {correlation[0]:.3f} and "
        f"{correlation[1]:.3f}, overlap above 0.9 to "
        f"t = {found['comparison'][FOLLOWED]:.0f}",
        f"within {percent(found['comparison']['total variation between the two'])} % (total variation)",
        f"({', '.join(background)} % of S(q)) with",
        f"of {', '.join(percent(share[-1], 1) for share in shares)} % of the sites at the three temperatures",
        f"random spins of the start have {', '.join(percent(share[0], 1) for share in shares)} %.",
        f"growth as t^{growth['exponent']:.2f} +- {growth['error']:.2f} over the whole window",
    ]


def _fitted(name: str, kind: str, write: Callable[[dict[str, float]], str]) -> str:
    return write(result(name)["torque error"][kind])


def fit() -> list[str]:
    def mean(name: str, kind: str) -> str:
        return _fitted(name, kind, lambda found: percent(found["mean"], 1))

    return [
        f"random spins, J = 3.5: [{mean('random_square', 'unknown')} %]",
        f"[{mean('double_exchange', 'random')} % random, {mean('double_exchange', 'quench')} % on snapshots",
        f"with own labels [{mean('double_exchange_more', 'random')} and {mean('double_exchange_more', 'quench')} %]",
    ]


def fit_details() -> list[str]:
    def spread(found: dict[str, float]) -> str:
        return f"{percent(found['mean'], 1)} % ({percent(found['least'], 1)} to {percent(found['largest'], 1)} %)"

    def unseen(name: str) -> str:
        return percent(weights_errors(name)[UNSEEN]["torque"], 1)

    fast = weights_errors("double-exchange-fast")[UNSEEN]["torque"]
    return [
        f"90 configurations: {_fitted('random_square', 'unknown', lambda found: percent(found['mean'], 1))} %, seeds",
        f"[{_fitted('double_exchange', 'quench', spread)} on snapshots, "
        f"{_fitted('double_exchange', 'random', spread)} on random spins](results/double_exchange/summary.json)",
        f"whole quenches that it has never seen {unseen('double-exchange-accurate')} % (",
        f"has {unseen('double-exchange')} % on the whole quenches,",
        f"learnt from as many labels, {percent(fast)} % on the whole quenches.",
    ]


def walls() -> list[str]:
    short, long = _velocities("voltage_domain_wall"), _velocities("voltage_domain_wall_32")
    fast = [value for voltage, values in short.items() if voltage >= 1 for value in values]
    slow = sorted(short[0.8])
    every = [value for values in long.values() for value in values]
    return [
        f"[velocity of a start off by {between(fast, _off)} %]",
        f"from V = 1.0 to 1.2, by {_off(slow[0])} and {_off(slow[1])} % near the threshold; twice as long by "
        f"{between(every, _off)} %",
    ]


def walls_details() -> list[str]:
    short, long = _velocities("voltage_domain_wall"), _velocities("voltage_domain_wall_32")

    errors = result("voltage_domain_wall")["long channel"]["torque errors"]

    def both(values: list[float]) -> str:
        return f"{_off(values[0])} and {_off(values[1])} %"

    return [
        f"{both(short[1.0])} at V = 1.0, {both(short[1.1])} at 1.1 (not learnt from), {both(short[1.2])} at 1.2, "
        f"{both(short[0.8])} near the threshold",
        f"{both(long[1.0])} at 1.0, {both(long[1.1])} at 1.1, {both(long[1.2])} at 1.2",
        f"torque error of {' and '.join(map(percent, errors))} % half",
    ]


def _velocities(name: str) -> dict[float, list[float]]:
    """Learnt over exact velocity, less one, by voltage and start."""
    found: dict[float, list[float]] = {}
    for run in result(name)["runs"]:
        found.setdefault(run["voltage"], []).append(run["learnt"]["velocity"] / run["exact"]["velocity"] - 1)
    return found


def _off(value: float) -> str:
    return digits(100 * value) if abs(value) > 0.0095 else digits(100 * value, 1)


def recovered() -> list[str]:
    (row,) = [row for row in result("recover_parameters")["errors"] if row["noise"] == 0.01]
    draws = result("recover_parameters")["provenance"]["config"]["draws"]
    errors = [digits(100 * row[f"relative error of {name}"]) for name in ("J", "n")]
    return [f"[{errors[0]} % and {errors[1]} %]", f"rms over {draws} draws of {percent(row['noise'])} % noise"]


def recovered_details() -> list[str]:
    rows = {row["noise"]: row for row in result("recover_parameters")["errors"]}
    draws = result("recover_parameters")["provenance"]["config"]["draws"]
    told = [[digits(100 * rows[noise][f"{kind} of {name}"]) for name in ("J", "n")] for noise, kind in _TOLD]
    return [
        f"Rms error over {draws} draws of the noise: {told[0][0]} % in J and {told[0][1]} % in n with 1 % noise (the "
        f"Cramer-Rao bound foretells {told[1][0]} and {told[1][1]} %), {told[2][0]} and {told[2][1]} % with 10 %."
    ]


_TOLD = ((0.01, "relative error"), (0.01, "foretold"), (0.1, "relative error"))


def active_learning() -> list[str]:
    found = result("active_learning")["torque error"]
    (second,) = [n for n, labels in enumerate(found["random"]["labels"]) if labels == 7]
    return [
        f"{percent(found['mean']['mean'][second], 1)} against {percent(found['random']['mean'][second], 1)} % "
        f"with {found['random']['labels'][second]} labels"
    ]


def pulses() -> list[str]:
    less = [1 - result(name)["shaped over simple"] for name in ("switch", "switch_chirality")]
    return [f"[{percent(less[0])} %](gradients/results/switch/switch.png) and [{percent(less[1])} %]"]


def pulses_details() -> list[str]:
    switch, chirality = result("switch"), result("switch_chirality")
    shaped, simple = "price of the shaped pulse", "price of the best simple pulse"
    return [
        f"[{percent(1 - switch['shaped over simple'])} % less energy](results/switch/switch.png) "
        f"({switch[shaped]:.3f}) than by the best of {len(switch['prices of simple pulses'])} simple pulses "
        f"({switch[simple]:.3f}); one spin alone needs {switch[ALONE]:.3f} in this time.",
        f"{percent(1 - chirality['shaped over simple'])} % less ({chirality[shaped]:.1f}) than by the best of "
        f"{chirality['simple pulses']} simple pulses ({chirality[simple]:.1f}), at rest at "
        f"{chirality['chirality at rest']['shaped']:.3f};",
    ]


def gradients() -> list[str]:
    return [f"elow {power(max(result('differences')['largest'].values()), 1)}"]


def spin_waves() -> list[str]:
    cases = result("exchange_from_electrons")["cases"].values()
    worst = [power(case["largest deviation of a frequency"]) for case in cases]
    return [f"[within {worst[0]} t](gradients/results/exchange"]


def spin_waves_details() -> list[str]:
    cases = result("exchange_from_electrons")["cases"].values()
    worst = [power(case["largest deviation of a frequency"]) for case in cases]
    modes = [case["Goldstone modes"] for case in cases]
    return [
        f"within {worst[0]} t (ferromagnet, n = 0.1), {worst[1]} t (120 degrees), {worst[2]} t (tetrahedral); "
        f"{modes[0]}, {modes[1]} and {modes[2]} modes at zero."
    ]


def peaks() -> list[str]:
    found = result("standard_problems")["spin waves"]
    errors = [
        power(found[name]["largest error of a peak"]) for name in ("ferromagnetic chain", "square antiferromagnet")
    ]
    return [f"(../none) within {errors[0]} (chains) and {errors[1]} (square antiferromagnet)".replace("(../none) ", "")]


def frontier() -> list[str]:
    """How much faster than a series of equal error."""
    rows = [row for found in result("frontier")["cases"].values() for row in found["learnt"]]
    faster = {row["name"]: digits(row["times faster"]) for row in rows if row["times faster"] is not None}
    metal = "triangular-tetrahedral"
    return [
        f"With a gap a learnt field is {faster['triangular-120']} times faster than a series of its error; in the "
        f"triangular metal the field of 2 hops {faster[metal + '-fast']} times, that of 4 hops {faster[metal]} times."
    ]


SENTENCES: dict[str, list[Callable[[], list[str]]]] = {
    "README.md": [],
    "experiments/README.md": [
        quickstart,
        quickstart_details,
        triangular,
        coarsening,
        puddles,
        fit,
        walls,
        recovered,
        active_learning,
        pulses,
        gradients,
        spin_waves,
    ],
    "experiments/quenches/README.md": [triangular_details, coarsening_details, puddles_details],
    "experiments/accuracy/README.md": [fit_details],
    "experiments/driven/README.md": [walls_details],
    "experiments/gradients/README.md": [recovered_details, pulses_details, gradients, spin_waves_details],
    "experiments/checks/README.md": [peaks],
    "experiments/benchmarks/README.md": [frontier],
}
