"""What the documents say of speeds."""

from experiments.stages.results import digits, result


def frontier() -> list[str]:
    """How much faster than a series of equal error."""
    rows = [row for found in result("frontier")["cases"].values() for row in found["learnt"]]
    faster = {row["name"]: digits(row["times faster"]) for row in rows if row["times faster"] is not None}
    metal = "triangular-tetrahedral"
    return [
        f"With a gap a learnt field is {faster['triangular-120']} times faster than a series of its error; in the "
        f"triangular metal the field of 2 hops {faster[metal + '-fast']} times, that of 4 hops {faster[metal]} times."
    ]
