"""The field of kernel polynomials by other ways to spend as many products with H, beside that of the solver."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import jaxspin as js
from jaxspin.arrays.spinors import Spinor, split
from jaxspin.electrons import chebyshev, fermi


def used(solver: js.KernelPolynomial) -> int:
    """Colours of the solver, at most as many as it was asked for."""
    return int(solver.probes.colors(solver.lattice).max()) + 1


def equal_cost(
    solver: js.KernelPolynomial, spins: jax.Array, exact: jax.Array, keys: jax.Array
) -> list[dict[str, Any]]:
    """A row for each method, with as many vectors and moments; a key for each draw of the phases."""
    vectors = 2 * used(solver)

    def fields(key: jax.Array) -> dict[str, jax.Array]:
        found = {"colours, gradient": solver.field(spins, key=key)}
        for kernel in ("no kernel", "Jackson kernel"):
            for name, start in (
                ("colours", solver.start(spins, key=key)),
                ("random vectors", random_vectors(solver.lattice, vectors, key)),
            ):
                found[f"{name}, {kernel}"] = density_field(solver, spins, start, jackson=kernel == "Jackson kernel")
        return found

    rows = []
    for method, error in rms(fields, exact, keys).items():
        # of the gradient, half a product a moment forwards and one backwards
        products = round((1.5 if "gradient" in method else 1) * vectors * solver.order)
        costs = {"vectors": vectors, "moments": solver.order, "products": products}
        rows.append({"method": method, **costs, "field": length(exact), "error": error})
    return rows


def random_vectors(lattice: js.Lattice, number: int, key: jax.Array) -> Spinor:
    """`number` columns of random phases on every site and spin, with the average of r r^+ the identity."""
    angle = jax.random.uniform(key, (*lattice.shape, 2, number), maxval=2 * np.pi)
    return split(jnp.exp(1j * angle) / number**0.5)


def density_field(solver: js.KernelPolynomial, spins: jax.Array, start: Spinor, *, jackson: bool) -> jax.Array:
    """J Re sum_r r_i^+ sigma (f(H) r)_i by `solver.order` products with H for each vector."""
    assert solver.chemical_potential is not None
    level, temperature = solver.chemical_potential, solver.temperature
    weights = chebyshev.coefficients(lambda e: fermi.occupation(e, level, temperature), solver.order, *solver.scaling())
    if jackson:
        weights = weights * chebyshev.jackson_kernel(solver.order)
    filled = chebyshev.expand(solver.rescaled(spins), start, weights)

    def energy(s):
        product = solver.model.hamiltonian(s)(filled)
        return sum(jnp.sum(x * y) for x, y in zip(jax.tree.leaves(start), jax.tree.leaves(product), strict=True))

    return -jax.grad(energy)(spins)


def rms(fields: Callable[[jax.Array], dict[str, jax.Array]], exact: jax.Array, keys: jax.Array) -> dict[str, float]:
    """Rms length of the error of each of `fields(key)` over the sites and the draws of the phases, one of each key."""
    squares = eqx.filter_jit(lambda k: jax.tree.map(lambda x: jnp.mean(jnp.sum((x - exact) ** 2, axis=-1)), fields(k)))
    draws = [squares(k) for k in keys]
    return {name: float(np.sqrt(np.mean([draw[name] for draw in draws]))) for name in draws[0]}


def length(field: jax.Array) -> float:
    """Rms length of a site's field."""
    return float(jnp.sqrt(jnp.mean(jnp.sum(field**2, axis=-1))))
