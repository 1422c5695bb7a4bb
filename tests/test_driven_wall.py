"""Walls driven by a voltage: the exact field from modes, the features that know the leads, learning and comparing."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin as js
from experiments.driven import current_domain_wall, voltage_domain_wall, wall_data, wall_learning
from experiments.driven.wall_measures import position
from experiments.driven.wall_starts import wall_start
from experiments.stages.channel import Channel, ChannelClusters, ChannelNetwork
from experiments.stages.driven_features import Chosen, stored
from experiments.stages.driven_learning import error, prepared, pushes
from jaxspin.descriptors import BetweenLeads, LocalMoments, NearEnds
from jaxspin.electrons import WideBandModes
from jaxspin.electrons.negf.modes import digamma
from jaxspin.forcefield import at_voltage, load, pretrained_metadata, save
from jaxspin.spins import random_rotation, random_spins, tangent, tangent_frame
from jaxspin.training import SpinData

CHANNEL = js.square(6, 4, periodic=(False, True))


def channel_features(lattice=CHANNEL, voltage=0.7):
    moments = LocalMoments(lattice, 2.0, hops=3, moments=6, wrap=True)
    return BetweenLeads(NearEnds(moments, lengths=(1.0,)), voltage=voltage, mobility=(2.0, 9.0))


# by themselves these are computed operation by operation
rows_of = eqx.filter_jit(lambda descriptor, spins: descriptor.rows(spins))
reach_of = eqx.filter_jit(lambda descriptor, spins: descriptor.added(spins))
shares_of = eqx.filter_jit(lambda descriptor, spins: descriptor.shares(spins))


def curved(descriptor, key) -> Any:
    """A model whose networks are not trained and not linear."""
    model = js.forcefield.GeneralizedPotential(descriptor, hidden=(5,), key=key)
    return eqx.tree_at(lambda m: m.network, model, jax.tree.map(lambda x: x + 0.1, model.network))


# --- the exact field --------------------------------------------------------------------------------------------------


def test_modes_give_the_field_density_and_currents_of_the_recursion(key):
    channel = Channel(length=3, width=2)
    solver = channel.solver(1.1, tolerance=1e-9)
    spins = random_spins(channel.lattice, key=key)
    density, spin, currents = WideBandModes(solver).solved(spins)
    np.testing.assert_allclose(density, solver.density(spins), atol=1e-8)
    np.testing.assert_allclose(spin, solver.spin_density(spins), atol=1e-8)
    np.testing.assert_allclose(currents, solver.currents(spins), atol=1e-8)
    np.testing.assert_allclose(jnp.sum(currents), 0, atol=1e-12)
    with pytest.raises(ValueError, match="take the GreensFunction itself"):
        WideBandModes(js.GreensFunction(solver.model, leads=solver.leads, temperature=0.1))


def test_digamma_has_the_values_of_scipy(key):
    from scipy.special import digamma as reference

    z = jnp.array([0.5 + 0.0j, 0.5 + 3.0j, 1.0 - 0.2j, 20.0 + 1.0j])
    np.testing.assert_allclose(digamma(z), reference(np.asarray(z)), rtol=1e-13)


# --- features ---------------------------------------------------------------------------------------------------------


def test_wrapped_clusters_are_those_of_the_whole_ring(key):
    """A cluster that closes around a 4 x 4 torus twice over holds all sites: its moments are those of H itself."""
    lattice = js.square(4)
    spins = random_spins(lattice, key=key)
    descriptor = LocalMoments(lattice, 2.0, hops=4, moments=4, surroundings=0, wrap=True)
    h = np.asarray(js.SDModel(lattice, 1.0, 2.0).dense(spins)) / (2.0 + 4.0)
    x, y, z = np.moveaxis(np.asarray(spins).reshape(-1, 3), -1, 0)
    up = np.stack([(1 + z) / np.sqrt(2 + 2 * z), (x + 1j * y) / np.sqrt(2 + 2 * z)], axis=-1)
    polynomials = [np.eye(len(h)), h]
    for _ in range(5):
        polynomials.append(2 * h @ polynomials[-1] - polynomials[-2])
    blocks = np.stack([p.reshape(16, 2, 16, 2)[np.arange(16), :, np.arange(16), :] for p in polynomials[3:7]])
    expected = np.real(np.einsum("ia,kiab,ib->ki", up.conj(), blocks, up))
    np.testing.assert_allclose(rows_of(descriptor, spins).reshape(4, -1), expected, atol=1e-12)


def test_wrapping_changes_nothing_on_a_wide_lattice_and_is_asked_for_on_a_narrow_one(key):
    wide = js.square(7, 7, periodic=(False, True))
    spins = random_spins(wide, key=key)
    one, other = (rows_of(LocalMoments(wide, 2.0, hops=3, moments=4, wrap=wrap), spins) for wrap in (True, False))
    np.testing.assert_array_equal(one, other)
    with pytest.raises(ValueError, match="or wrap=True"):
        LocalMoments(CHANNEL, 2.0, hops=3, moments=4)
    with pytest.raises(ValueError, match="take a direction along an open axis"):
        LocalMoments(CHANNEL, 2.0, hops=3, moments=4, direction=(0.0, 1.0), wrap=True)


def test_shares_solve_the_chain_and_the_rest_is_the_baths(key):
    descriptor = channel_features()
    spins = random_spins(CHANNEL, key=key)
    dots = np.sum(np.asarray(spins[:-1] * spins[1:]), axis=-1)
    lead = np.diag([descriptor.lead, 0, 0, 0, 0, descriptor.lead])
    for mobility, (shares, flows) in zip((2.0, 9.0), shares_of(descriptor, spins), strict=True):
        contacts = mobility * np.mean((1 + dots) / 2, axis=(1, 2))
        matrix = np.zeros((6, 6))
        for x, g in enumerate(contacts):
            matrix[x : x + 2, x : x + 2] += [[g, -g], [-g, g]]
        expected = np.linalg.solve(matrix + lead + descriptor.bath * np.eye(6), lead[:, [0, -1]]).T
        np.testing.assert_allclose(shares, expected, atol=1e-13)
        # what a lead sends is lost to the other lead and the bath: the flow balances
        between = contacts * (expected[0, :-1] - expected[0, 1:])
        np.testing.assert_allclose(np.asarray(flows)[0, 1:-1], (between[1:] + between[:-1]) / 2, atol=1e-13)
        np.testing.assert_allclose(between[-1], (descriptor.lead + descriptor.bath) * expected[0, -1], atol=1e-13)


def test_no_lead_reaches_through_a_perfect_antiferromagnet():
    for shares, _ in shares_of(channel_features(), js.textures.neel(CHANNEL)):
        np.testing.assert_allclose(np.asarray(shares)[0, 1:], 0, atol=1e-14)
    for shares, _ in shares_of(channel_features(), js.textures.ferromagnet(CHANNEL)):
        assert np.asarray(shares)[0].min() > 0.1


def test_features_between_leads_of_a_long_channel_fit_into_memory():
    """A matrix of the layers would take 80 GB."""
    descriptor = channel_features(js.square(100_000, 4, periodic=(False, True)))
    shape = jax.eval_shape(descriptor.added, jnp.zeros((100_000, 4, 1, 3))).shape
    assert shape == (9, 1, 100_000, 4)


def test_features_between_leads_know_rotations_gradients_and_voltage(key):
    descriptor = channel_features()
    spins = random_spins(CHANNEL, key=key)
    rows = rows_of(descriptor, spins)
    assert len(rows) == descriptor.n_features == len(descriptor.labels)
    rotation = random_rotation(key=jax.random.key(1))
    np.testing.assert_allclose(rows_of(descriptor, spins @ rotation.T), rows, atol=1e-12)
    np.testing.assert_allclose(reach_of(descriptor.at(1.4), spins), 2 * reach_of(descriptor, spins), rtol=1e-12)
    assert not jnp.any(reach_of(descriptor.at(0.0), spins))
    slopes = jax.random.normal(jax.random.key(2), rows.shape)
    move = jax.random.normal(jax.random.key(3), spins.shape)
    ahead, behind = (np.sum(np.asarray(slopes * rows_of(descriptor, spins + h * move))) for h in (1e-5, -1e-5))
    pulled = eqx.filter_jit(lambda spins, slopes: descriptor.pullback(spins, slopes))(spins, slopes)
    np.testing.assert_allclose(jnp.sum(pulled * move), (ahead - behind) / 2e-5, rtol=1e-7)


def test_bad_settings_of_the_leads_are_refused():
    moments = LocalMoments(js.square(7), 2.0, hops=3, moments=4)
    with pytest.raises(ValueError, match="has no leads at its ends; make the lattice with periodic="):
        BetweenLeads(moments)
    with pytest.raises(ValueError, match=r"must be positive, got 2\.0, 0, 20\.0"):
        BetweenLeads(LocalMoments(CHANNEL, 2.0, hops=1, moments=4), bath=0)
    model = js.BehlerParrinello(descriptor=LocalMoments(CHANNEL, 2.0, hops=1, moments=4), hidden=(2,))
    with pytest.raises(TypeError, match="wrap its descriptor in BetweenLeads"):
        at_voltage(model, 1.0)


def test_a_model_keeps_its_voltage_on_disk_and_on_other_sizes(tmp_path, key):
    model = curved(channel_features(), key)
    save(tmp_path / "model", model)
    spins = random_spins(CHANNEL, key=key)
    np.testing.assert_allclose(load(tmp_path / "model").field(spins), model.field(spins), atol=1e-14)
    longer = js.square(9, 4, periodic=(False, True))
    assert float(model.on(longer).descriptor.voltage) == 0.7
    other = at_voltage(model, 1.3).field(spins)
    assert float(jnp.abs(other - model.field(spins)).max()) > 1e-3


@pytest.mark.parametrize(
    ("name", "length", "bound"),
    [
        ("driven-channel", 12, 0.15),
        pytest.param("driven-channel", 40, 0.2, marks=pytest.mark.slow),
        ("driven-channel-fast", 12, 0.2),
    ],
)
def test_the_driven_channel_that_comes_along_knows_its_electrons(name, length, bound):
    about = pretrained_metadata(name)["params"]
    channel = Channel(length=length)
    assert {name: about[name] for name in ("mu", "bath", "lead", "temperature", "coupling")} == {
        name: getattr(channel, name) for name in ("mu", "bath", "lead", "temperature", "coupling")
    }
    spins = wall_start(channel.lattice, 0.6 * length, 1.0, key=jax.random.key(3))
    exact = tangent(spins, channel.exact(1.1).field(spins))
    learnt = at_voltage(js.pretrained(name, channel.lattice), 1.1).field(spins)
    assert float(jnp.linalg.norm(tangent(spins, learnt) - exact) / jnp.linalg.norm(exact)) < bound


# --- training on stored derivatives ----------------------------------------------------------------------------------


def test_stored_derivatives_give_the_field_of_the_model(key):
    spins = jax.vmap(lambda k: random_spins(CHANNEL, key=k))(jax.random.split(key, 3))
    data = SpinData(CHANNEL, spins, jax.random.normal(key, spins.shape))
    descriptor = channel_features()
    known = stored(descriptor, data, [0.0, 0.5, 1.0], progress=False)
    channels = [Chosen(CHANNEL, known, np.arange(3))]
    model: Any = prepared(curved(descriptor, jax.random.key(1)), channels)
    found = pushes(model, known)
    frames = tangent_frame(spins)
    off, whole = 0.0, 0.0
    for n, voltage in enumerate((0.0, 0.5, 1.0)):
        field = at_voltage(model, voltage).field(spins[n])
        along = jnp.einsum("...c,...dc->...d", field, frames[n]).reshape(-1)
        np.testing.assert_allclose(found[n], along, atol=3e-6 * float(jnp.abs(along).max()))
        off += float(jnp.sum(tangent(spins[n], field - data.field[n]) ** 2))
        whole += float(jnp.sum(tangent(spins[n], data.field[n]) ** 2))
    assert error(model, channels, chunk=2) == pytest.approx((off / whole) ** 0.5, rel=1e-5)


# --- the experiments --------------------------------------------------------------------------------------------------

TINY = wall_data.Config(
    channel=Channel(length=6, temperature=0.3, bath=0.2), voltages=(1.0,), walls=1, quenches=0, still=1,
    held_voltages=(1.1,), duration=3.0, frames=3,
)  # fmt: skip


@pytest.mark.slow
def test_the_experiments_follow_one_another(tmp_path, monkeypatch):
    config = dataclasses.replace(TINY, output=tmp_path / "data")
    followed = wall_data.followed

    def killed(config, kind, voltage, number):
        if number == 1:
            raise KeyboardInterrupt
        return followed(config, kind, voltage, number)

    monkeypatch.setattr(wall_data, "followed", killed)
    with pytest.raises(KeyboardInterrupt):
        wall_data.run(config)
    monkeypatch.undo()
    assert wall_data.run(dataclasses.replace(config, resume=True))["configurations"] == 12
    untrained = tmp_path / "untrained"
    save(untrained, curved(channel_features(), jax.random.key(5)))
    longer = dataclasses.replace(
        config, output=tmp_path / "longer", channel=dataclasses.replace(config.channel, length=9), positions=(0.3, 0.9),
        forcefield=untrained,
    )  # fmt: skip
    assert wall_data.run(longer)["configurations"] == 12
    learnt_from = (tmp_path / "longer" / "data", tmp_path / "data" / "data")
    with jax.numpy_dtype_promotion("standard"):
        with pytest.raises(ValueError, match=r"only 6 x 4, 9 x 4; set --channel\.length"):
            wall_learning.run(wall_learning.Config(data=learnt_from, output=tmp_path / "no"))
        learning = wall_learning.Config(
            data=learnt_from, output=tmp_path / "learning", channel=config.channel, seeds=(0,),
            network=ChannelNetwork(ChannelClusters(hops=1, moments=4, surroundings=0), hidden=(4,)),
            training=js.TrainConfig(steps=4, batch=2, evaluate_every=2, validation=0.3),
        )  # fmt: skip
        rows = wall_learning.run(learning)["rows"]
    assert [row["model"] for row in rows][:2] == ["generalized", "conservative"]
    assert all(0 < row["all held out"] < 2 for row in rows[:2])
    assert all(0 < row["all held out, 9 cells"] < 2 for row in rows[:2])
    assert "part of G" in rows[-1]
    assert rows[1]["part of G"] == 0 < rows[0]["part of G"]
    walls = voltage_domain_wall.Config(
        forcefield=tmp_path / "learning" / "forcefield", output=tmp_path / "walls", channel=config.channel,
        voltages=(1.0,), shown=1.0, starts=1, duration=3.0, settled=1.0, frames=3, long=10, long_duration=2.0,
        checked=1,
    )  # fmt: skip
    found = voltage_domain_wall.run(walls)
    assert np.isfinite(found["velocities"][0]["difference"])
    assert (tmp_path / "walls" / "wall.gif").stat().st_size > 0


def test_the_position_of_a_wall_counts_antiferromagnetic_layers():
    lattice = js.square(9, 4, periodic=(False, True))
    for where in (3.0, 5.0):
        spins = wall_start(lattice, where - 0.5, 1e-3, key=jax.random.key(0), tilt=0.0)
        assert float(position(spins)) == pytest.approx(where, abs=1e-6)


def test_the_torque_of_a_current_is_the_spin_current_it_loses():
    config = current_domain_wall.Config(sites=40, pitch=40.0, voltages=(0.5,))
    u, sideways = current_domain_wall.from_torque(config, 0.5)
    assert u == pytest.approx(current_domain_wall.from_spin_current(config, 0.5), rel=0.03)
    assert abs(sideways) < 1e-3 * u
    with pytest.raises(ValueError, match="voltages must be positive"):
        current_domain_wall.Config(voltages=(0.0, 1.0))


def test_a_wall_below_the_threshold_of_the_current_stands_still():
    wall = current_domain_wall.DrivenWall(sites=120, coupling=1.0, easy=0.04, hard=0.01, damping=0.4)
    config = current_domain_wall.Config(wall=wall, longest=400.0, voltages=(0.5,))
    found = current_domain_wall.driven(config, 0.02)
    assert found["theory"] == 0
    assert abs(found["simulated"]) < 1e-3


# --- channels of other sizes and leads that move ----------------------------------------------------------------------


def test_a_solver_moves_to_another_size_of_the_channel(key):
    longer = js.square(4, 3, periodic=(False, True))
    settings: dict[str, Any] = {
        "voltage": 0.6,
        "mu": -0.3,
        "temperature": 0.2,
        "bath": 0.1,
        "bath_mu": 0.2,
        "tolerance": 1e-6,
    }
    leads = (js.electrons.Crystal("left"), js.WideBand("right", 0.7))
    short = js.GreensFunction(js.SDModel(js.square(2, 2, periodic=(False, True)), 1.0, 1.2), leads=leads, **settings)
    there = js.GreensFunction(js.SDModel(longer, 1.0, 1.2), leads=leads, **settings)
    spins = random_spins(longer, key=key)
    np.testing.assert_allclose(short.on(longer).field(spins), there.field(spins), atol=1e-7)
    mask = np.zeros(longer.shape, bool)
    mask[0] = True
    tip = js.GreensFunction(there.model, leads=[js.WideBand("tip", sites=mask)], temperature=0.1)
    with pytest.raises(ValueError, match="sit on a mask of sites"):
        tip.on(longer)


@pytest.mark.parametrize("rigid", [True, False])
def test_the_band_of_a_rigid_crystal_moves_with_its_chemical_potential(rigid):
    """A chain between chains at +-V/2, against |G_12|^2 of two sites with surface functions in closed form."""
    lattice = js.chain(2, periodic=False)
    leads = tuple(js.electrons.Crystal(name, rigid=rigid) for name in ("left", "right"))
    solver = js.GreensFunction(js.SDModel(lattice, 1.0, 0.0), leads=leads, voltage=1.0, mu=0.4, temperature=0.1)
    energies = np.array([-1.2, 0.0, 0.7, 1.4])
    spins = jnp.zeros((2, 1, 3)).at[..., 2].set(1.0)
    expected = []
    for energy in energies:
        levels = [energy - (0.5 if rigid else 0.0), energy + (0.5 if rigid else 0.0)]
        sigma = [(x - 1j * np.sqrt(4 - x**2)) / 2 for x in levels]
        g = np.linalg.inv(np.array([[energy - sigma[0], 1], [1, energy - sigma[1]]]))
        expected.append(2 * 4 * np.imag(sigma[0]) * np.imag(sigma[1]) * abs(g[0, 1]) ** 2)
    np.testing.assert_allclose(solver.transmission(spins, jnp.asarray(energies)), expected, atol=1e-10)
