"""What the documents say of driven walls."""

from experiments.stages.results import between, digits, percent, result


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
