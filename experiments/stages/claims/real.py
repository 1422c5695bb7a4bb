"""What the documents say of real magnets."""

from experiments.stages.results import digits, result


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
