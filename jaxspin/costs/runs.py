"""The program of a run, planned and compiled, and not run."""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np

from jaxspin.dynamics.plan import Plan, plan_run
from jaxspin.dynamics.program import run_frames
from jaxspin.dynamics.simulate import simulate
from jaxspin.spins import as_spins


class Prepared(NamedTuple):
    """A compiled program, and what it is called with; None where only shapes are known.

    Of a run also its steps and frames, and the program with so many steps in the first of its frames, none after.
    """

    name: str
    jaxpr: Any
    compiled: Any
    arguments: tuple[Any, ...] | None
    steps: int | None = None
    frames: int | None = None
    with_steps: Callable[[int], tuple[Any, tuple[Any, ...]]] | None = None


def is_run(what: Any) -> bool:
    """Whether this is `jaxspin.simulate`."""
    return what is simulate


def prepared_run(*arguments: Any, **keywords: Any) -> Prepared:
    """The program that `simulate` would run with these arguments.

    Raises `ValueError` for a store, for shapes without a step, and as `simulate` does; `TypeError` for arguments that
    it does not take.
    """
    bound = inspect.signature(simulate).bind(*arguments, **keywords)
    bound.apply_defaults()
    given = dict(bound.arguments)
    if given.pop("store") is not None or given.pop("resume"):
        raise ValueError("a stored run takes the same steps, and its frames no memory; ask without store= and resume=.")
    given.pop("resume", None)
    given.pop("throw")
    given.update(store=False, resume=False, progress=False)
    field, spins = given.pop("field"), given.pop("spins")
    if isinstance(spins, jax.ShapeDtypeStruct):
        return _of_shapes(field, spins, given)
    lattice = given["lattice"] if given["lattice"] is not None else getattr(field, "lattice", None)
    plan = plan_run(field, as_spins(spins, lattice, half=False), **given)
    arguments = plan.arguments()
    jaxpr = eqx.filter_make_jaxpr(run_frames)(*arguments)[0]
    program: Any = run_frames
    compiled = program.lower(*arguments).compile()

    def with_steps(steps: int) -> tuple[Any, tuple[Any, ...]]:
        before = np.cumsum(plan.grid.lengths) - plan.grid.lengths
        return compiled, plan.arguments(np.clip(steps - before, 0, plan.grid.lengths))

    return _prepared(plan, jaxpr, compiled.compiled, arguments, with_steps)


def _of_shapes(field: Any, spins: jax.ShapeDtypeStruct, given: dict[str, Any]) -> Prepared:
    if given["step"] is None:
        raise ValueError("from the shape of the spins alone no step follows; give step=, or spins as an array.")
    arrays, rest = eqx.partition(field, lambda x: eqx.is_array(x) or isinstance(x, jax.ShapeDtypeStruct))
    plans = []

    def program(arrays: Any, spins: Any) -> Any:
        field = eqx.combine(arrays, rest)
        plan = plan_run(field, as_spins(spins, given["lattice"] or field.lattice, half=False), **given)
        plans.append(plan)
        return eqx.filter(run_frames(*plan.arguments()), eqx.is_array)

    traced = jax.jit(program).trace(arrays, spins)
    return _prepared(plans[-1], traced.jaxpr, traced.lower().compile(), None, None)


def _prepared(plan: Plan, jaxpr: Any, compiled: Any, arguments: Any, with_steps: Any) -> Prepared:
    name = f"simulate with {type(plan.settings.field).__name__} and {type(plan.solver).__name__}"
    return Prepared(name, jaxpr, compiled, arguments, plan.steps, plan.frames, with_steps)
