"""What the documents say of gradients through the dynamics."""

from experiments.stages.results import digits, percent, power, result

ALONE = "least price of one spin in this time"


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
