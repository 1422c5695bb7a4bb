"""Domains against patterns of known size, Gaussian fields, and a flood fill."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxspin import textures
from jaxspin.lattice import chain, kagome, square, triangular
from jaxspin.observables import (
    correlation_length,
    decay_length,
    displacements,
    domain_labels,
    domain_length,
    domain_sizes,
    scalar_chirality,
)

# Sums over a few hundred terms in double precision.
ROUNDING = 1e-10


def checkerboard(lattice, *widths):
    n = np.indices(lattice.cells)
    return jnp.asarray((-1.0) ** sum(k // w for k, w in zip(n, widths, strict=True)))


def test_domain_length_of_known_patterns():
    lattice = square(12, 24)
    for width in (1, 2, 3, 6):
        assert np.isclose(domain_length(lattice, checkerboard(lattice, width, width)), width, atol=ROUNDING)
    stripes = checkerboard(lattice, 3, 10**6)
    assert np.isclose(domain_length(lattice, stripes), 6, atol=ROUNDING)
    assert domain_length(lattice, jnp.ones((12, 24))) == np.inf
    assert np.isclose(domain_length(lattice, jnp.stack([5 * stripes, stripes], -1)), 6, atol=ROUNDING)
    opened = dataclasses.replace(lattice, periodic=(False, False))
    assert np.isclose(domain_length(opened, checkerboard(lattice, 6, 24)), 2 * 11, atol=ROUNDING)  # 1 change in 11


def test_domain_lengths_grow_with_the_correlations(key):
    """Gaussian fields smoothed over r: both lengths are proportional to r."""
    lattice = square(64, 64)
    noise = np.fft.fftn(np.asarray(jax.random.normal(key, (64, 64))))
    q2 = np.sum(displacements(lattice) ** 2, -1) * (2 * np.pi / 64) ** 2
    ratios = []
    for r in (2.0, 4.0):
        field = jnp.asarray(np.fft.ifftn(noise * np.exp(-q2 * r**2 / 2)).real)
        # <v v>(R) = exp(-R^2/(4 r^2)) falls to half at 2 r sqrt(ln 2); Rice: sign changes every pi sqrt(2) r
        half, chord = decay_length(lattice, field), domain_length(lattice, field)
        ratios += [half / (2 * r * np.sqrt(np.log(2))), chord / (np.pi * np.sqrt(2) * r)]
    assert np.allclose(ratios, 1, atol=0.2)  # one sample with 64^2/(4 pi r^2) ~ 20 independent patches


def test_decay_length_of_known_patterns():
    lattice = chain(12)
    # period 6: C(R) is 1, 1/3, -1/3, so the half is crossed at R = 0.75
    assert np.isclose(decay_length(lattice, checkerboard(lattice, 3)), 0.75, atol=ROUNDING)
    assert decay_length(lattice, jnp.ones(12)) == 6  # half the period where it never falls
    field = jax.random.normal(jax.random.key(0), (12,))
    h = 1e-6
    direction = jax.random.normal(jax.random.key(1), (12,))
    slope = (decay_length(lattice, field + h * direction) - decay_length(lattice, field - h * direction)) / (2 * h)
    assert np.isclose(jax.grad(lambda v: decay_length(lattice, v))(field) @ direction, slope, atol=1e-7)


def test_derivatives_are_finite_where_there_is_order_or_none():
    """One domain, no order at all, and perfect order: lengths that do not change have the derivative zero."""
    lattice = square(4)
    ordered = textures.ferromagnet(lattice)
    zero, one = jnp.zeros((4, 4)), jnp.ones((4, 4))

    @jax.jit
    def slopes(values, spins):
        return (
            *(jax.grad(lambda v, f=f: f(lattice, v))(values) for f in (decay_length, domain_length)),
            jax.grad(lambda s: correlation_length(lattice, s))(spins),
        )

    for values in (zero, one):
        for slope in slopes(values, ordered):
            assert np.all(np.isfinite(slope))
    assert decay_length(lattice, zero) == 0  # no order
    assert correlation_length(lattice, ordered) == np.inf


def flood(lattice, signs):
    """Domains by walking from cell to cell, the slow way."""
    bravais = dataclasses.replace(lattice, basis=((0.0,) * lattice.dimension,))
    steps = [b.offset for b in bravais.neighbors(1.0)]
    labels = np.zeros(lattice.cells, int)
    for number, start in enumerate(np.ndindex(*lattice.cells), 1):
        stack = [start] if labels[start] == 0 and signs[start] != 0 else []
        while stack:
            here = stack.pop()
            labels[here] = number
            for step in steps:
                there = tuple(np.add(here, step).tolist())
                if all(0 <= t < n or wraps for t, n, wraps in zip(there, lattice.cells, lattice.periodic, strict=True)):
                    there = tuple(t % n for t, n in zip(there, lattice.cells, strict=True))
                    if labels[there] == 0 and signs[there] == signs[here]:
                        stack.append(there)
    return labels


@pytest.mark.parametrize(
    "lattice", [triangular(9, 8), square(8, 9, periodic=(True, False)), kagome(6, 6, periodic=False)]
)
def test_domains_equal_a_flood_fill(lattice, key):
    values = jax.random.choice(key, jnp.array([-1.0, 0.0, 1.0]), lattice.cells, p=jnp.array([0.45, 0.1, 0.45]))
    expected = flood(lattice, np.asarray(values))
    assert np.array_equal(domain_labels(lattice, values), expected)
    sizes = np.asarray(domain_sizes(lattice, values))
    for label, count in zip(*np.unique(expected, return_counts=True), strict=True):
        assert np.all(sizes[expected == label] == (count if label else 0))


def test_domains_under_vmap(key):
    lattice = triangular(4, 4)
    values = jax.random.normal(key, (4, 4))
    both = jax.vmap(lambda v: domain_sizes(lattice, v))(jnp.stack([values, -2 * values]))
    assert np.array_equal(both[0], both[1])
    assert np.array_equal(both[0], domain_sizes(lattice, values))


def test_domains_of_chirality():
    lattice = triangular(12, 8)
    left, right = (textures.tetrahedral(lattice, chirality=c) for c in (1, -1))
    spins = jnp.where((jnp.arange(12) < 5).reshape(12, 1, 1, 1), left, right)
    chi = scalar_chirality(lattice, spins)
    # cells whose triangles lie inside a half form one domain with the sign of that half
    labels, sizes = domain_labels(lattice, chi), domain_sizes(lattice, chi)
    assert len(np.unique(labels[:4])) == len(np.unique(labels[5:11])) == 1
    assert labels[0, 0] != labels[6, 0]
    assert sizes[0, 0] >= 4 * 8
    assert sizes[6, 0] >= 6 * 8
