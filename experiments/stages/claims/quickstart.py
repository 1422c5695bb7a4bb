"""What the documents say of the quickstart."""

from experiments.stages.results import between, percent, power, result

FOLLOWED = "time to which the trajectories overlap by 0.9"
PERFECT = "mean of the absolute chirality over the perfect value"


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
        f"and {1 / found['speed']['learnt against kernel polynomials']:.1f} times that of the kernel polynomials",
    ]
