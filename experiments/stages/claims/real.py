"""What the documents say of real magnets."""

from experiments.stages.results import digits, error, percent, result
from jaxspin.units import Units


def iron() -> list[str]:
    found = result("bcc_iron")
    slopes = found["gradients"]
    first, second = slopes["meV by ln(splitting)"], slopes["K by electrons"]
    worst = max(abs(row["gradient"] / row["difference"] - 1) for row in (first, second))
    return [
        f"within {digits(100 * found['largest deviation from the reference'], 1)} % of the largest",
        f"{first['gradient']:.1f} meV by ln(splitting) and {second['gradient']:.0f} K by electron, those of "
        f"differences within {digits(100 * worst, 1)} %",
    ]


def curie() -> list[str]:
    found = result("iron_curie")
    magnets = found["magnets"]
    iron, nearest = (magnets[name]["crossings"][-1] for name in ("iron", "nearest neighbours"))
    kelvin = Units("eV").to_temperature(1.0, "K")
    above = iron["T_c"] / magnets["iron"]["random phase"] - 1
    return [
        f"{kelvin * iron['T_c']:.0f} +- {kelvin * iron['error of T_c']:.0f} K for iron, {percent(above)} % above that "
        "of random phases",
        f"{nearest['T_c']:.3f} +- {nearest['error of T_c']:.3f} J for nearest neighbours, known {found['known']:.3f}",
    ]


def beyond_pairs() -> list[str]:
    found = result("iron_beyond_pairs")
    fits = found["fits"]["all kinds"]
    theorem, pairs, alone, both = (
        fits[name]["all held out"] for name in ("force theorem", "fitted pairs", "learnt", "fitted pairs and learnt")
    )
    small = fits["force theorem"]["held out"]["small tilts"]["torque"]
    null = found["null"]
    return [
        f"wrong by {percent(small, 1)} % for small tilts",
        f"{error(theorem)} of all torques that were held out, the fitted pairs {error(pairs)}, the field learnt alone "
        f"{error(alone)}, that on top of the pairs {error(both)}",
        f"from {found['learnt from']} of {found['labels']} configurations",
        f"{error(null['learnt'])} by a learnt field and {error(null['fitted pairs'])} by pairs",
    ]
