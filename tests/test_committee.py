"""Committees: mean and spread of their members, what they know and what not, storage and training."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxspin.classical import Exchange
from jaxspin.descriptors import BetweenLeads, Bispectrum, LocalMoments
from jaxspin.forcefield import BehlerParrinello, Committee, at_voltage, load, load_metadata, save
from jaxspin.lattice import chain, triangular
from jaxspin.spins import dilute, random_spins, tangent
from jaxspin.textures import ferromagnet
from jaxspin.training import (
    TrainConfig,
    choose,
    committee,
    disagreement,
    perturbed_configurations,
    random_configurations,
    sample,
    train,
    train_committee,
)
from tests.helpers import compiled
from tests.laws import assert_potential

pytestmark = pytest.mark.usefixtures("optax_mixes_types")

ROUNDING = 1e-10  # sums of a few hundred site energies of order one, in double precision
DIFFERENCE = 1e-6  # central differences with a step of 1e-4

solve = compiled(lambda model, spins: model.energy_and_field(spins))
RING = Bispectrum(chain(8), radius=1.0, bond_radius=1.0, bispectrum=False)
SHORT = TrainConfig(steps=20, batch=4, evaluate_every=10, learning_rate=0.02, average=0.5, validation=0.25)


def random_model(seed, descriptor=RING, hidden=(5, 4), dtype=None):
    """A model whose weights, feature scales, shift and scale are all away from their starting values."""
    model = BehlerParrinello(descriptor=descriptor, hidden=hidden, key=jax.random.key(seed), dtype=dtype)
    rng = np.random.default_rng(seed)

    def moved(x):
        return x + jnp.asarray(rng.normal(scale=0.3, size=x.shape), x.dtype) if eqx.is_inexact_array(x) else x

    return jax.tree.map(moved, model)


@pytest.fixture(scope="module")
def members():
    return [random_model(seed) for seed in range(3)]


@pytest.fixture(scope="module")
def three(members):
    return Committee(members)


@pytest.fixture
def spins(three, key):
    return random_spins(three.lattice, key=key)


def assert_same(found, expected):
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


# --- mean and spread


def test_energy_and_field_are_the_mean_of_the_members(three, members, spins):
    energies, fields = zip(*(solve(member, spins) for member in members), strict=True)
    energy, field = solve(three, spins)
    assert np.std(energies) > 0.1
    assert energy == pytest.approx(float(np.mean(energies)), abs=ROUNDING)
    np.testing.assert_allclose(field, np.mean(fields, axis=0), atol=ROUNDING)
    np.testing.assert_allclose(three.member_fields(spins), np.stack(fields), atol=ROUNDING)
    assert len(three) == 3
    assert_same(three[1], members[1])
    assert_same(three[-1], members[2])
    with pytest.raises(IndexError, match="count from 0 to 2"):
        three[3]


def test_field_is_minus_the_gradient(three, spins, key):
    assert_potential(three, spins, key=key, differences=DIFFERENCE)


def test_spread_by_hand(three, members, spins):
    """The rms length, over members, of what the tangential fields differ from their mean; nothing at vacancies."""
    spins = dilute(spins, jnp.arange(8)[:, None] != 3)
    fields = np.stack([np.asarray(tangent(spins, solve(member, spins)[1])) for member in members])
    apart = np.linalg.norm(fields - fields.mean(axis=0), axis=-1)
    expected = np.sqrt((apart**2).mean(axis=0))
    expected[3] = 0
    found = three.standard_deviation(spins)
    assert found.shape == (8, 1)
    assert np.all(np.delete(expected, 3, axis=0) > 1e-3)
    np.testing.assert_allclose(found, expected, atol=ROUNDING)


def test_equal_members_have_no_spread(members, spins):
    agreed = Committee([members[0]] * 3)
    np.testing.assert_allclose(agreed.standard_deviation(spins), 0, atol=ROUNDING)
    assert agreed.energy(spins) == pytest.approx(float(members[0].energy(spins)), abs=ROUNDING)


def test_moved_to_another_lattice(three, spins):
    """Everything repeats with the spins, calibration included."""
    three = three.calibrated(spins[None], quantile=0.5)
    large = three.on(chain(16))
    assert large.lattice == chain(16)
    twice = jnp.tile(spins, (2, 1, 1))
    np.testing.assert_allclose(
        large.standard_deviation(twice), jnp.tile(three.standard_deviation(spins), (2, 1)), atol=ROUNDING
    )
    np.testing.assert_allclose(solve(large, twice)[1], jnp.tile(solve(three, spins)[1], (2, 1, 1)), atol=ROUNDING)
    assert large.unfamiliar(twice) == three.unfamiliar(spins) == 0.5
    with pytest.raises(ValueError, match=r"lattice\.resize"):
        large.energy(spins)


def test_precision_is_that_of_the_spins(spins):
    single = Committee([random_model(seed, dtype=jnp.float32) for seed in range(2)])
    single = single.calibrated(spins[None])
    for dtype in (jnp.float32, jnp.float64):
        given = spins.astype(dtype)
        energy, field = solve(single, given)
        assert (
            energy.dtype
            == field.dtype
            == single.standard_deviation(given).dtype
            == single.unfamiliar(given).dtype
            == dtype
        )


def test_what_is_no_committee_is_refused(members, spins):
    for few in ([], members[:1]):
        with pytest.raises(ValueError, match="give at least two members"):
            Committee(few)
    wider = Bispectrum(chain(8), radius=2.0, bond_radius=1.0, bispectrum=False)
    for other, name in (
        (random_model(0, wider), "descriptor"),
        (random_model(0, RING.on(chain(9))), "lattice"),
        (random_model(0, hidden=(5,)), "hidden"),
        (random_model(0, dtype=jnp.float32), "dtype"),
    ):
        with pytest.raises(ValueError, match=f"member 2 has another {name} than the first; train all from one model"):
            Committee([*members[:2], other])
    with pytest.raises(ValueError, match=r"use committee\.calibrated\(spins\)"):
        Committee(members).unfamiliar(spins)
    with pytest.raises(ValueError, match=r"0\.99 is usual"):
        Committee(members).calibrated(spins[None], quantile=1.0)


# --- storage


@pytest.mark.parametrize("calibrated", [False, True])
def test_saved_and_loaded_is_the_same_to_the_last_bit(calibrated, three, spins, tmp_path):
    given = three.calibrated(spins[None]) if calibrated else three
    save(tmp_path / "committee", given, metadata={"error": 0.1})
    loaded = load(tmp_path / "committee")
    assert isinstance(loaded, Committee)
    assert_same(loaded, given)
    assert load_metadata(tmp_path / "committee") == {"error": 0.1}
    with pytest.raises(FileExistsError, match="pass overwrite=True"):
        save(tmp_path / "committee", given)
    save(tmp_path / "committee", given[0], overwrite=True)
    assert_same(load(tmp_path / "committee"), given[0])


def test_folders_of_no_known_kind_are_refused(three, tmp_path, monkeypatch):
    monkeypatch.setattr(Committee, "settings", lambda self: {"kind": "Parliament"})
    save(tmp_path / "other", three)
    monkeypatch.undo()
    with pytest.raises(ValueError, match="holds a 'Parliament', this version reads BehlerParrinello and Committee"):
        load(tmp_path / "other")
    # without the settings nothing is known of the weights
    save(tmp_path / "cut", three)
    for path in (tmp_path / "cut" / "settings").rglob("*"):
        path.unlink()
    with pytest.raises(ValueError, match="is not a force field of jaxspin; give the folder"):
        load(tmp_path / "cut")


# --- training


@pytest.fixture(scope="module")
def known():
    """Near the ferromagnet: random spins are nothing like these."""
    amplitudes = jnp.full(24, 0.2)
    spins = perturbed_configurations(ferromagnet(RING.lattice), amplitudes, key=jax.random.key(1))
    return sample(Exchange(RING.lattice, 1.0), spins)


@pytest.fixture(scope="module")
def trained(known):
    with jax.numpy_dtype_promotion("standard"):
        model = BehlerParrinello(descriptor=RING, hidden=(4,))
        return train_committee(model, known, SHORT, members=3, key=jax.random.key(2))


def test_members_differ_and_repeat(trained, known):
    """A smaller committee holds the first members of a larger one, which are what `train` gives."""
    model = BehlerParrinello(descriptor=RING, hidden=(4,), key=jax.random.key(9))
    again = train_committee(model, known, SHORT, members=2, key=jax.random.key(2))
    for number in range(2):
        assert_same(again.model[number], trained.model[number])
        assert_same(again.members[number].model, trained.model[number])
    assert again.model.reference.shape == ()
    assert {tuple(member.history["step"]) for member in trained.members} == {(10, 20)}
    first, second = (m.network.hidden[0].kernel[...] for m in (trained.model[0], trained.model[1]))
    assert jnp.max(jnp.abs(first - second)) > 0.01
    # each held back its own part: feature means differ
    assert jnp.any(trained.model[0].mean != trained.model[1].mean)
    assert trained.on(chain(12)).lattice == chain(12)
    with pytest.raises(ValueError, match="4 is usual, and train gives a single one"):
        train_committee(model, known, SHORT, members=1)
    with pytest.raises(ValueError, match="1 of the 2 configurations to calibrate with are among those learnt from"):
        train_committee(model, known, SHORT, known=jnp.stack([known.spins[3], -known.spins[4]]))


def test_killed_and_resumed_is_unbroken(trained, known, tmp_path, monkeypatch):
    """A kill while the second member is trained costs that member at most: the first is read back."""
    model = BehlerParrinello(descriptor=RING, hidden=(4,))
    folders = []

    def killed(*arguments, checkpoint, **settings):
        folders.append(checkpoint.name)
        if len(folders) == 2:
            raise KeyboardInterrupt
        return train(*arguments, checkpoint=checkpoint, **settings)

    again = functools.partial(
        train_committee, model, known, SHORT, members=3, key=jax.random.key(2), checkpoint=tmp_path
    )
    monkeypatch.setattr(committee, "train", killed)
    with pytest.raises(KeyboardInterrupt):
        again()
    monkeypatch.undo()
    resumed = again()
    assert folders == ["member_0", "member_1"]
    assert_same(resumed.model, trained.model)
    for found, expected in zip(resumed.members, trained.members, strict=True):
        np.testing.assert_array_equal(found.history["torque"], expected.history["torque"])
        assert found.best_step == expected.best_step


def test_spins_never_seen_are_unfamiliar(trained, known):
    """Those of the kind trained on, but new, hardly are."""
    shares = {}
    alike = perturbed_configurations(ferromagnet(RING.lattice), jnp.full(8, 0.2), key=jax.random.key(7))
    foreign = random_configurations(RING.lattice, 8, key=jax.random.key(8))
    for name, spins in (("alike", alike), ("foreign", foreign)):
        shares[name] = np.mean([trained.model.unfamiliar(s) for s in spins])
    assert shares["alike"] < 0.1
    assert shares["foreign"] > 0.5
    # by its definition, on what it was calibrated with
    calibrated = trained.model.calibrated(known.spins, quantile=0.75)
    assert np.mean([calibrated.unfamiliar(s) for s in known.spins]) == pytest.approx(0.25, abs=0.01)


def test_a_committee_between_leads_is_at_their_voltage_and_moves_to_others(tmp_path, key):
    inside = LocalMoments(chain(6, periodic=(False,)), 2.0, hops=1, moments=4)
    descriptor = BetweenLeads(inside, voltage=0.5)

    def member(number):
        model = BehlerParrinello(descriptor=descriptor, hidden=(4,), key=jax.random.key(number))
        return eqx.tree_at(lambda m: m.network, model, jax.tree.map(lambda x: x + 0.1, model.network))

    members = [member(0), member(1)]
    committee, spins = Committee(members), random_spins(inside.lattice, key=key)
    save(tmp_path / "stored", committee)
    stored = load(tmp_path / "stored")
    for voltage, one in ((0.5, committee), (0.5, stored), (1.1, at_voltage(committee, 1.1))):
        alone = [at_voltage(m, voltage).energy_and_field(spins) for m in members]
        energy, field = one.energy_and_field(spins)
        assert float(one.energy(spins)) == pytest.approx(float(energy), abs=ROUNDING)
        assert float(energy) == pytest.approx(float(alone[0][0] + alone[1][0]) / 2, abs=ROUNDING)
        np.testing.assert_allclose(field, (alone[0][1] + alone[1][1]) / 2, atol=ROUNDING)
        np.testing.assert_allclose(one.member_fields(spins)[1], alone[1][1], atol=ROUNDING)
    assert jnp.max(committee.standard_deviation(spins)) > 1e-4
    longer = committee.on(inside.lattice.resize(8))
    assert float(longer[1].descriptor.voltage) == 0.5


# --- what to label next


@pytest.fixture(scope="module")
def pair():
    lattice = triangular(4)
    return Committee([random_model(seed, Bispectrum(lattice, 1.0, 1.0, bispectrum=False)) for seed in range(2)])


def test_disagreement_by_hand(pair):
    """Sites with spins alone count."""
    spins = random_configurations(pair.lattice, 1, key=jax.random.key(0))[0]
    occupied = jnp.ones((4, 4, 1), bool).at[3].set(False)
    for given, number in ((spins, 16), (dilute(spins, occupied), 12)):
        spread = np.asarray(pair.standard_deviation(given))
        mean = np.sqrt(np.sum(spread**2) / number)
        torque = np.sqrt(np.sum(np.asarray(tangent(given, pair.field(given))) ** 2) / number)
        for by, expected in (("mean", mean), ("max", spread.max()), ("relative", mean / torque)):
            assert disagreement(pair, given, by=by) == pytest.approx(expected, abs=ROUNDING)
    # no torque and no spread
    assert disagreement(pair, ferromagnet(pair.lattice), by="relative") >= 0
    with pytest.raises(ValueError, match="choose by='mean', by='max' or by='relative'"):
        disagreement(pair, spins, by="median")


@pytest.mark.parametrize("by", ["mean", "max", "relative"])
def test_the_most_disputed_are_chosen_and_no_two_alike(pair, by):
    """The largest spread first, without those like another or a known one; filled up where too few differ."""
    frames = random_configurations(pair.lattice, 3, key=jax.random.key(0))
    best, second, third = np.argsort([disagreement(pair, s, by=by) for s in frames])[::-1].tolist()
    doubled = jnp.concatenate([frames, frames[best][None]])
    known = random_configurations(pair.lattice, 1, key=jax.random.key(1))
    draw = functools.partial(choose, pair, by=by)
    assert draw(frames, 3) == [best, second, third]
    assert draw(doubled, 2) == draw(doubled, 2, known=known) == [best, second]
    assert draw(frames, 2, known=frames[second][None]) == [best, third]
    assert draw(doubled, 2, overlap=1.0)[1] in (best, 3)
    # only the best and its copy are new; one of the others fills up
    assert draw(doubled, 2, known=frames[jnp.array([second, third])])[0] in (best, 3)
    assert sorted(draw(frames, 3, known=frames)) == [0, 1, 2]


def test_choices_that_cannot_be_are_refused(pair):
    frames = random_configurations(pair.lattice, 2, key=jax.random.key(0))
    for number in (0, 3):
        with pytest.raises(ValueError, match=f"between 1 and the 2 candidates, got {number}"):
            choose(pair, frames, number)
    with pytest.raises(ValueError, match=r"0\.95 keeps all but near copies"):
        choose(pair, frames, 1, overlap=1.5)
