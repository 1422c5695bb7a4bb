"""The experiments on real magnets, at a tiny size."""

import jax
import numpy as np
import pytest

import jaxspin as js
from experiments.real import bcc_iron, iron_beyond_pairs, iron_curie
from experiments.real.cumulants import crossing, cumulant
from experiments.real.pair_fits import fitted_pairs, folded


@pytest.mark.slow
def test_bcc_iron(tmp_path):
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        found = bcc_iron.run(bcc_iron.Config(smoke=True, output=tmp_path / "iron"))
    for row in found["rows"].values():
        assert 2 < row["moment"] < 2.5
        assert 0 < row["random phase"] < row["mean field"]
        assert row["J"][0] > row["J"][1] > 1
    for row in found["gradients"].values():
        np.testing.assert_allclose(row["gradient"], row["difference"], rtol=1e-3)
    assert found["largest deviation from the reference"] is None
    assert (tmp_path / "iron" / "bcc_iron.png").exists()


def drawn(rng, temperatures, side, copies, frames=1000):
    """Moments of a Gaussian m whose length grows below T = 1, as near a critical point: U of all sizes meet at 1."""
    m = []
    for temperature in temperatures:
        ordered = 2.0 - 1.5 * (temperature - 1) * side
        vectors = rng.normal([0, 0, ordered], size=(copies, frames, 3))
        m.append(np.linalg.norm(vectors, axis=-1))
    m = np.array(m)
    return {"temperatures": temperatures, "m^2": np.mean(m**2, -1), "m^4": np.mean(m**4, -1)}


def test_cumulants_cross_where_the_scaled_order_is_the_same():
    rng = np.random.default_rng(1)
    temperatures = np.linspace(0.9, 1.1, 5)
    small, large = (drawn(rng, temperatures, side, 8) for side in (3, 9))
    found = crossing(small, large, np.random.default_rng(0))
    assert 0 < found["error of T_c"] < 0.02
    assert abs(found["T_c"] - 1) < 4 * found["error of T_c"]
    assert found["missing"] < 0.05
    # one curve is no crossing of two
    away = small | {"m^4": 0.8 * small["m^4"]}
    assert crossing(small, away, np.random.default_rng(0))["T_c"] is None
    np.testing.assert_allclose(cumulant(np.ones((1, 2)), np.ones((1, 2))), [2 / 3])
    gauss = rng.normal(size=(1, 1, 300000, 3))
    squares = np.sum(gauss**2, -1)
    np.testing.assert_allclose(cumulant(squares.mean(-1), (squares**2).mean(-1)), [[4 / 9]][0], atol=0.01)


@pytest.mark.slow
def test_iron_curie(tmp_path):
    with jax.enable_x64(False), jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        found = iron_curie.run(iron_curie.Config(smoke=True, output=tmp_path / "curie"))
    nearest = found["magnets"]["nearest neighbours"]
    # 8/3 J in the mean field, over Watson's integral in the random-phase approximation
    np.testing.assert_allclose(nearest["mean field"], 8 / 3, rtol=1e-6)
    np.testing.assert_allclose(nearest["random phase"], 8 / 3 / 1.393204, rtol=1e-3)
    for magnet in found["magnets"].values():
        assert magnet["random phase"] < magnet["mean field"]
        for row in magnet["sizes"]:
            assert np.all(np.array(row["m"]) > 0.1)
    for row in found["equilibrium"].values():
        assert 0 < row["m"] < 1
    assert (tmp_path / "curie" / "iron_curie.png").exists()


def test_folded_couplings_have_the_field_of_all_pairs(key):
    lattice = js.cubic(6)
    shells = [(0, 0, bond.offset, 1.0 / n) for n in range(1, 5) for bond in lattice.shell(n)]
    exchange = js.observables.ExchangeCouplings.of_pairs(lattice, shells)
    box = folded(exchange, 3)
    spins = js.random_spins(js.cubic(3), key=key)
    everything, inside = (js.Exchange(js.cubic(3), pairs=pairs) for pairs in (exchange.pairs(), box.pairs()))
    # what folds a site on itself pushes along the spin
    np.testing.assert_allclose(
        js.spins.torque(spins, everything.field(spins)), js.spins.torque(spins, inside.field(spins)), atol=1e-10
    )
    with pytest.raises(ValueError, match="give a divisor of its sides"):
        folded(exchange, 4)


def test_pairs_are_found_from_their_own_torques(key):
    lattice = js.cubic(4)
    magnet = js.Exchange(lattice, (1.0, -0.3))
    frames = js.training.random_configurations(lattice, 3, key=key)
    found = fitted_pairs(js.sample(magnet, frames))
    again = js.Exchange(lattice, pairs=found)
    spins = js.random_spins(lattice, key=key)
    # numbers of the fit are single
    np.testing.assert_allclose(
        js.spins.torque(spins, again.field(spins)), js.spins.torque(spins, magnet.field(spins)), atol=1e-5
    )


@pytest.mark.slow
def test_iron_beyond_pairs(tmp_path):
    with jax.enable_x64(False), jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        found = iron_beyond_pairs.run(iron_beyond_pairs.Config(smoke=True, output=tmp_path / "beyond"))
    whole = found["fits"]["all kinds"]
    # second derivatives of the same electrons: exact for small tilts, and for these alone
    assert whole["force theorem"]["held out"]["small tilts"]["torque"] < 0.02
    assert whole["force theorem"]["held out"]["random"]["torque"] > 0.05
    # least squares: nothing in the same space fits better
    assert whole["fitted pairs"]["fitted to"] <= whole["force theorem"]["fitted to"] + 1e-6
    assert set(found["fits"]) == {"all kinds", "without random"}
    assert found["null"]["untrained"] == pytest.approx(1, abs=1e-6)
    for row in found["large"].values():
        assert row["rows"][0]["m"] > row["rows"][1]["m"] > 0
    assert (tmp_path / "beyond" / "iron_beyond_pairs.png").exists()
    with pytest.raises(ValueError, match="there is no kind cold; choose of random"):
        iron_beyond_pairs.Config(kinds_held_out=("cold",))
