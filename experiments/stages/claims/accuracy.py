"""What the documents say of fitted fields and of what they learn from."""

from collections.abc import Callable

from experiments.stages.results import percent, result, weights_errors

UNSEEN = "learnt quenches never seen"


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


def active_learning() -> list[str]:
    found = result("active_learning")["torque error"]
    (second,) = [n for n, labels in enumerate(found["random"]["labels"]) if labels == 7]
    return [
        f"{percent(found['mean']['mean'][second], 1)} against {percent(found['random']['mean'][second], 1)} % "
        f"with {found['random']['labels'][second]} labels"
    ]
