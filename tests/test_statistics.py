"""Autocorrelation and reweighting of series whose answers are known."""

import warnings

import numpy as np
import pytest

from jaxspin.observables import autocorrelation, reweighted

MEMORY = 0.8


def autoregressive(n, seed, rows=1):
    """x_(k+1) = 0.8 x_k + noise: C(t) = 0.8^t, so tau = (1 + 0.8)/(1 - 0.8)/2."""
    noise = np.random.default_rng(seed).normal(size=(n + 200, rows))
    x = np.zeros_like(noise)
    for k in range(1, len(x)):
        x[k] = MEMORY * x[k - 1] + noise[k]
    return x[200:]


def test_the_time_is_that_of_the_process():
    found = autocorrelation(autoregressive(40_000, 0)[:, 0], interval=0.5)
    expected = 0.5 * (1 + MEMORY) / (1 - MEMORY) / 2
    assert found.time == pytest.approx(expected, rel=0.1)
    np.testing.assert_allclose(found.correlation[:10], MEMORY ** np.arange(10), atol=0.05)
    assert found.samples == pytest.approx(40_000 * 0.5 / (2 * found.time))
    assert found.times[3] == 1.5
    assert found.window >= 5 * found.time


def test_the_error_is_the_spread_of_means_of_many_series():
    """With n in place of the independent ones it would be three times too small."""
    rows = autoregressive(2000, 1, rows=200)
    means = rows.mean(axis=0)
    found = [autocorrelation(row) for row in rows[:, :40].T]
    assert np.mean([f.error for f in found]) == pytest.approx(means.std(), rel=0.15)
    plain = rows[:, 0].std() / np.sqrt(2000)
    assert means.std() > 2.5 * plain


def test_the_correlation_is_the_sum_over_pairs():
    a = np.random.default_rng(2).normal(size=(60, 3)).cumsum(axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = autocorrelation(a)
    d = a - a.mean(axis=0)
    direct = np.array([np.mean(np.sum(d[: 60 - t] * d[t:], axis=1)) for t in range(60)])
    np.testing.assert_allclose(found.correlation, direct / direct[0], atol=1e-12)
    assert found.mean.shape == found.error.shape == (3,)


def test_a_short_series_warns():
    with pytest.warns(UserWarning, match="too few to know it; take a run of 50 times or more"):
        autocorrelation(autoregressive(60, 3)[:, 0])


def boltzmann(field, temperature, n):
    """Heights S_z of a free spin in a field, by the inverse of their distribution."""
    u, x = np.random.default_rng(4).uniform(size=n), field / temperature
    return 1 + np.log(u + (1 - u) * np.exp(-2 * x)) / x


def test_a_free_spin_at_other_temperatures():
    """<S_z> = coth(B/T) - T/B and the heat capacity 1 - (x/sinh x)^2, x = B/T."""
    field, temperature = 1.0, 0.8
    z = boltzmann(field, temperature, 100_000)
    others = np.array([0.5, 0.8, 1.2])
    energy = -field * z
    found = reweighted(np.stack([z, energy, energy**2], axis=1), energy, temperature, others)
    x = field / others
    np.testing.assert_allclose(found.mean[:, 0], 1 / np.tanh(x) - 1 / x, atol=0.01)
    capacity = (found.mean[:, 2] - found.mean[:, 1] ** 2) / others**2
    np.testing.assert_allclose(capacity, 1 - (x / np.sinh(x)) ** 2, atol=0.02)
    assert found.samples[1] == pytest.approx(100_000)
    assert np.all(found.samples[[0, 2]] < 99_000)


def test_too_far_is_no_number():
    energy = 500 * np.random.default_rng(5).normal(size=1000)
    found = reweighted(energy, energy, 1.0, [1.0, 0.1])
    assert np.isfinite(found.mean[0])
    assert np.isnan(found.mean[1])


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: autocorrelation(np.ones(2)), r"shape \(2,\) are no series; give \(n,\)"),
        (lambda: autocorrelation(np.ones(9)), "all alike and have no correlation; give an observable"),
        (lambda: autocorrelation(np.array([1.0, np.nan, 2.0, 3.0])), "inf or nan; give finite"),
        (lambda: autocorrelation(np.arange(9.0), interval=0.0), "interval must be a positive time, got 0.0; give that"),
        (lambda: reweighted(np.ones(3), np.ones(4), 1.0, np.ones(1)), r"give \(m, ...\) and \(m,\)"),
        (lambda: reweighted(np.ones(4), np.ones(4), -1.0, np.ones(1)), "temperature must be positive, got -1.0; give"),
        (lambda: reweighted(np.ones(4), np.ones(4), 1.0, np.zeros(1)), "a row of positive numbers"),
        (lambda: reweighted(np.ones(4), np.full(4, np.inf), 1.0, np.ones(1)), "give finite"),
    ],
)
def test_what_is_no_series_is_refused(call, match):
    with pytest.raises(ValueError, match=match):
        call()
