"""What the documents say of known problems."""

from experiments.stages.results import power, result


def peaks() -> list[str]:
    found = result("standard_problems")["spin waves"]
    errors = [
        power(found[name]["largest error of a peak"]) for name in ("ferromagnetic chain", "square antiferromagnet")
    ]
    return [f"(../none) within {errors[0]} (chains) and {errors[1]} (square antiferromagnet)".replace("(../none) ", "")]
