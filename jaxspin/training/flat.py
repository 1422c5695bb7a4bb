"""Training until it is long enough."""

from collections.abc import Callable
from typing import TypeVar

_Made = TypeVar("_Made")


def until_flat(
    attempt: Callable[[int], tuple[_Made, float]], steps: int, *, most: int, flat: float = 0.03
) -> tuple[_Made, int, bool]:
    """(what was made, steps, converged): trained anew in twice as many steps until that hardly lowers the error.

    `attempt(steps)` trains from the start and returns what it made with its error on what it learnt from. A training of
    2n steps has converged when its error is above (1 - `flat`) times that of n steps; there are none of more than
    `most` steps. The learning rate falls to zero by the end, so that every curve ends flat, and one curve cannot tell
    whether more steps would help: two trainings of different length can. Together the trainings take at most twice the
    steps of the last.

        def attempt(steps):
            learnt = js.train(model, data, js.TrainConfig(steps=steps), key=key)
            return learnt, learnt.history["loss"][-1] ** 0.5

        learnt, steps, converged = js.training.until_flat(attempt, 1000, most=16000)

    Raises `ValueError` for `steps` below 1, and unless 0 < flat < 1.

    Example:
        >>> js.training.until_flat(lambda steps: (f"{steps} steps", 0.2 + 10 / steps), 100, most=6400)
        ('1600 steps', 1600, True)
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}; 1000 are usual.")
    if not 0 < flat < 1:
        raise ValueError(f"flat must be a fraction between 0 and 1, got {flat}; 0.03 is usual.")
    made, before = attempt(steps)
    while 2 * steps <= most:
        steps *= 2
        made, error = attempt(steps)
        if error > (1 - flat) * before:
            return made, steps, True
        before = error
    return made, steps, False
