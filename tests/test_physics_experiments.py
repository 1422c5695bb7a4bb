"""The experiments on quenches: shared stages, what is measured on known textures, and each run at a tiny size."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin as js
from experiments import quickstart_figures, stages
from experiments.quenches import coarsening, double_exchange_quench, triangular, triangular_120, triangular_tetrahedral
from experiments.quenches.double_exchange_puddles import correlation_histogram, puddles_of
from experiments.quenches.triangular_judged import energies
from experiments.stages import Electrons, FilledClusters, Moments, Motion, Network, Quench, Sampling, frame_steps
from experiments.stages.figures import PERFECT_CHIRALITY, peak_shares
from jaxspin.io import TrajectoryWriter, load_trajectory
from jaxspin.observables import domain_length, moment_length, scalar_chirality, structure_factor

pytestmark = pytest.mark.usefixtures("optax_mixes_types")


@pytest.fixture
def forcefield(tmp_path):
    """An untrained force field on disk: its field is zero, and nothing else about it is special."""

    def store(electrons):
        model = Network(Moments(hops=1, moments=2, weights=False, surroundings=0), hidden=(2,)).on(electrons, 6)
        path = tmp_path / "forcefield"
        js.forcefield.save(path, model, metadata={"params": stages.parameters(electrons), "errors": {}})
        return path

    return store


# --- stages ---------------------------------------------------------------------------------------------------------


def test_frames_are_kept_evenly_or_early():
    np.testing.assert_array_equal(frame_steps(8, 4), [2, 4, 6, 8])
    np.testing.assert_array_equal(frame_steps(9, 4), [2, 4, 6, 8, 9])
    for steps, frames, spacing in ((300, 100, 2.0), (4000, 40, 3.0), (5, 5, 1.1), (3, 10, 2.0)):
        early = frame_steps(steps, frames, spacing)
        assert early[0] >= 1
        assert early[-1] == steps
        assert np.all(np.diff(early) >= 1)
        assert len(early) == min(frames, steps)
    assert np.diff(frame_steps(4000, 40, 3.0))[0] == 1
    with pytest.raises(ValueError, match="at least 1"):
        frame_steps(8, 4, 0.5)


def test_a_quench_cut_short_goes_on_as_if_unbroken(tmp_path, key, monkeypatch):
    field = js.Exchange(js.square(4), 1.0)
    start = js.random_spins(field.lattice, key=key)
    settings = {"duration": 5.0, "frames": 4, "spacing": 2.0, "key": jax.random.key(1)}
    motion = Motion(damping=0.2, step=0.1, temperature=0.1)
    whole = stages.quench(tmp_path / "whole.zarr", field, start, motion, **settings)
    reference = js.simulate(field, start, duration=5.0, step=0.1, damping=0.2, temperature=0.1, key=jax.random.key(1))
    np.testing.assert_allclose(whole.final, reference.final, atol=1e-10)
    np.testing.assert_allclose(whole.times, [0, 0.3, 1.2, 2.8, 5.0], atol=1e-12)

    appended = TrajectoryWriter.append

    def killed(writer, times, spins):
        if writer.frames == 3:
            raise KeyboardInterrupt
        appended(writer, times, spins)

    with monkeypatch.context() as context:
        context.setattr(TrajectoryWriter, "append", killed)
        with pytest.raises(KeyboardInterrupt):
            stages.quench(tmp_path / "cut.zarr", field, start, motion, **settings)
    assert load_trajectory(tmp_path / "cut.zarr").sizes["time"] == 3
    resumed = stages.quench(tmp_path / "cut.zarr", field, start, motion, **settings)
    np.testing.assert_array_equal(resumed.spins, whole.spins)
    with pytest.raises(ValueError, match="a run of another damping"):
        stages.quench(tmp_path / "cut.zarr", field, start, Motion(damping=0.3, step=0.1, temperature=0.1), **settings)


SAMPLING = Sampling(
    side=4,
    quenches=2,
    quench_duration=2.0,
    quench_frames=3,
    hot_temperatures=(0.01,),
    hot_duration=1.0,
    hot_frames=2,
    ordered=3,
    textures=("tetrahedral", "stripe"),
    random=2,
)


def test_sampling_cut_short_goes_on_as_if_unbroken(tmp_path, key, monkeypatch):
    electrons, motion = Electrons("square", 2.0, 0.5, 0.1), Motion()
    whole = stages.sample(electrons, SAMPLING, motion, tmp_path / "whole", key=key)
    assert whole.sources == ("quench",) * 6 + ("hot",) * 2 + ("ordered",) * 4 + ("random",) * 2
    assert len(np.unique(whole.run[:8])) == 3
    exact = electrons.exact(4)
    np.testing.assert_allclose(whole.field[3], exact.field(whole.spins[3]), atol=1e-10)
    writer, written = stages.sampling.ShardWriter, []

    def killed(self, data):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(data)
        return original(self, data)

    original = writer.write
    with monkeypatch.context() as context:
        context.setattr(writer, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            stages.sample(electrons, SAMPLING, motion, tmp_path / "cut", key=key)
    resumed = stages.sample(electrons, SAMPLING, motion, tmp_path / "cut", key=key, resume=True)
    np.testing.assert_array_equal(resumed.spins, whole.spins)
    with pytest.raises(FileExistsError, match="choose another folder"):
        stages.sample(electrons, SAMPLING, motion, tmp_path / "cut", key=key)
    learnt_from, held = stages.hold_out(whole, 1)
    assert held.sources == ("quench",) * 3 + ("ordered", "random")
    assert len(learnt_from) == len(whole) - len(held)
    with pytest.raises(ValueError, match="use 1"):
        stages.hold_out(whole, 2)
    names = ["learnt" if name == "quench" else name for name in whole.sources]
    learnt = js.SpinData(whole.lattice, whole.spins, whole.field, whole.energy, source=names, run=whole.run)
    assert stages.hold_out(learnt, 1)[1].sources == ("learnt",) * 3 + ("ordered", "random")


def test_near_copies_are_left_out_before_they_are_labelled(tmp_path, key):
    """Hot runs at a low temperature stay where they began: one of each is kept."""
    electrons = Electrons("square", 2.0, 0.5, 0.1)
    cold = dataclasses.replace(SAMPLING, hot_temperatures=(1e-6,), hot_textures=("neel",), overlap=0.9)
    data = stages.sample(electrons, cold, Motion(), tmp_path / "data", key=key)
    assert data.sources.count("hot") == 1


@pytest.mark.parametrize(
    ("make", "remedy"),
    [
        (lambda: Sampling(overlap=1.5), "0.995 keeps"),
        (lambda: Sampling(spacing=0.5), "early ones"),
        (lambda: Sampling(textures=()), "at least one"),
        (lambda: Sampling(quench_duration=-1), "see --help"),
        (lambda: Sampling(random=0), "see --help"),
        (lambda: Sampling(side=9).check(Electrons()), "use lattice.resize"),
        (lambda: Electrons(filling=2), "0.5 is half filling"),
        (lambda: Electrons(temperature=0), "0.05 is usual"),
        (lambda: Motion(step=0), "0.5 is usual"),
        (lambda: dataclasses.replace(triangular_120.DEFAULT, large=Quench(64, 300.0, 40)), r"large\.side = 64.*resize"),
        (lambda: dataclasses.replace(triangular_120.DEFAULT, energy_side=16), "energy_side = 16.*resize"),
        (lambda: dataclasses.replace(triangular_tetrahedral.DEFAULT, compare=Quench(6, 300.0, 60)), "fewer hops"),
        (lambda: Quench(12, 0.0, 10), "duration must be positive"),
        (lambda: Quench(12, 1.0, 0), "frames must be at least 1"),
        (lambda: Quench(-2, 1.0, 1), "not negative"),
        (lambda: dataclasses.replace(triangular_tetrahedral.DEFAULT, test_quenches=12), "use 1"),
    ],
)
def test_settings_that_cannot_run_are_refused(make, remedy):
    with pytest.raises(ValueError, match=remedy):
        make()


def test_a_force_field_of_other_electrons_is_refused(forcefield):
    path = forcefield(Electrons("triangular", 3.0, 0.25, 0.05))
    assert stages.stored_forcefield(path, Electrons()).lattice.name == "triangular"
    for changes, name in (({"coupling": 4.0}, "coupling 3.0"), ({"lattice": "square"}, "lattice triangular")):
        with pytest.raises(ValueError, match=f"trained for {name}.*give another --forcefield"):
            stages.stored_forcefield(path, dataclasses.replace(Electrons(), **changes))
    with pytest.raises(FileNotFoundError, match="give the folder"):
        stages.stored_forcefield(path / "none", Electrons())


def test_a_network_on_filled_clusters_has_its_settings_and_says_its_electrons(tmp_path):
    network = Network(FilledClusters(hops=1, recursion=5, smearing=0.3, surroundings=0), hidden=(2,))
    electrons = Electrons("triangular", 3.0, 0.25, 0.05)
    model = network.on(electrons, 6)
    described = model.descriptor
    assert isinstance(described, js.LocalElectrons)
    settings = (described.coupling, described.filling, described.hops, described.steps, described.temperature)
    assert settings == (3.0, 0.25, 1, 5, 0.3)
    js.forcefield.save(tmp_path / "it", model, metadata={})
    assert stages.stored_forcefield(tmp_path / "it", electrons).descriptor.steps == 5
    for change, name in (({"coupling": 4.0}, "coupling 3.0"), ({"filling": 0.5}, "filling 0.25")):
        with pytest.raises(ValueError, match=f"trained for {name}"):
            stages.stored_forcefield(tmp_path / "it", dataclasses.replace(electrons, **change))


# --- what is measured -----------------------------------------------------------------------------------------------


def test_chirality_length_of_two_domains(key):
    """Two stripes of opposite chirality, 12 cells wide each, in a lattice of 24."""
    lattice = js.triangular(24)
    up, down = (js.textures.tetrahedral(lattice, chirality=c) for c in (1, -1))
    left = jnp.asarray(np.indices(lattice.cells)[0] < 12)[..., None, None]
    spins = jnp.where(left, up, down)
    # without noise the two triangles of a cell in the wall cancel, and a cell of zero belongs to no domain
    noisy = js.normalize(spins + 0.02 * jax.random.normal(key, spins.shape))
    # 2 changes in 24 cells along one vector and none along the other make 24; cells in the walls have random signs,
    # which adds up to half as many along the other
    assert 14 < domain_length(lattice, scalar_chirality(lattice, noisy)) <= 24
    chirality = scalar_chirality(lattice, spins)
    # fundamental wavelength 24 sin(60 degrees); its harmonics shorten the mean
    assert 0.4 < moment_length(lattice, chirality) / (24 * 3**0.5 / 2) < 1
    assert jnp.max(jnp.abs(chirality)) == pytest.approx(PERFECT_CHIRALITY)


def test_the_steps_of_exact_quenches_are_those_suggested(key, tmp_path):
    square = double_exchange_quench.Config(forcefield=tmp_path)
    for default in (triangular_tetrahedral.DEFAULT, triangular_120.DEFAULT, square):
        exact = default.electrons.exact(8)
        motion, spins = default.motion, js.random_spins(exact.lattice, key=key)
        suggested = js.suggest_timestep(exact, spins, damping=motion.damping, temperature=0.002)
        # an error of the fastest wave between a quarter of and four times the usual one
        assert suggested / 2 < motion.step < 2 * suggested, (default.electrons, suggested)


def test_correlation_histogram_of_neel_order():
    lattice = js.square(24)
    bins = correlation_histogram(lattice, js.textures.neel(lattice)[None])
    assert bins[0] * 0.05 == pytest.approx(1)
    found = puddles_of(lattice, js.textures.neel(lattice), 0.5)
    assert list(map(float, found.values())) == [0, 0, 0, 0]


def test_order_of_perfect_textures():
    lattice = js.triangular(12)
    coplanar = js.textures.one_hundred_twenty(lattice, axis=(1.0, 2.0, 0.0))
    shares = peak_shares(lattice, structure_factor(lattice, coplanar), ("K", "K'"), reach=0)
    assert sum(shares.values()) == pytest.approx(1)
    factor = structure_factor(lattice, js.textures.tetrahedral(lattice))
    assert list(peak_shares(lattice, factor, ("M", "M'", "M''"), reach=0).values()) == pytest.approx([1 / 3] * 3)


def test_energies_put_the_published_textures_in_order():
    """The free energies per site at T = 0.02 that an independent program gives, on 24 x 24."""
    for default, lowest, energy in (
        (triangular_tetrahedral.DEFAULT, "tetrahedral", -2.6238),
        (triangular_120.DEFAULT, "one_hundred_twenty", -4.4913),
    ):
        cold = dataclasses.replace(default.electrons, temperature=0.02)
        found = energies(cold, 12, solver_as_model(cold.exact(12)))
        assert found["lowest"] == {"exact": lowest, "learnt": lowest}
        assert found["ordering right"]
        assert found["exact"][lowest] == pytest.approx(energy, abs=0.02)


def solver_as_model(solver):
    """The exact field in the place of a learnt one."""

    class Model:
        @staticmethod
        def on(lattice):
            return solver

    return Model()


class Nearest:
    """In the place of a stored force field: a field that compiles fast."""

    @staticmethod
    def on(lattice):
        return js.Exchange(lattice, -0.1)


# --- runs -----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_triangular_run_with_a_force_field(forcefield, tmp_path, monkeypatch):
    monkeypatch.setattr(stages, "stored_forcefield", lambda path, electrons: Nearest())
    electrons = triangular_120.DEFAULT.electrons
    config = triangular.smoke_size(
        dataclasses.replace(triangular_120.DEFAULT, output=tmp_path / "out", forcefield=forcefield(electrons))
    )
    config = dataclasses.replace(config, large=Quench(6, 1.0, 4), compare=Quench(6, 1.5, 3))
    summary = triangular.run(config)
    stored = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert stored["torques"] == json.loads(js.io.to_json(summary["torques"]))
    assert {"near order", "quench, late"} < set(stored["torques"])
    near = stored["torques"]["near order"]
    ratio = near["mean square error"] / near["mean square torque"]
    assert near["relative error"] == pytest.approx(ratio**0.5)
    assert stored["energies per site"]["lowest"]["exact"] == "one_hundred_twenty"
    assert (tmp_path / "out" / "figures" / "vector_chirality.png").stat().st_size > 1000
    with pytest.raises(FileExistsError, match="choose another folder"):
        triangular.run(config)
    with pytest.raises(ValueError, match="holds other settings"):
        triangular.run(dataclasses.replace(config, seed=5, resume=True))
    again = triangular.run(dataclasses.replace(config, resume=True))
    assert again["large quench"] == summary["large quench"]


def test_figures_of_a_quench_on_a_lattice_smaller_than_the_corner_shown(tmp_path, key):
    spins = js.random_spins(js.triangular(6), key=key)
    run = js.simulate(Nearest.on(js.triangular(6)), spins, duration=1.0, step=0.5, save_every=0.5)
    found = quickstart_figures.large_quench(tmp_path, Nearest(), run)
    assert found["side"] == 6
    assert (tmp_path / "spins.png").stat().st_size > 1000


def test_coarsening_run(forcefield, tmp_path, monkeypatch):
    electrons = Electrons()
    monkeypatch.setattr(coarsening, "stored_forcefield", lambda path, electrons: Nearest())
    config = coarsening.Config(
        forcefield=forcefield(electrons),
        output=tmp_path / "out",
        seeds=(0, 1),
        large=Quench(side=8, duration=8.0, frames=8),
        window=(0.5, 8.0),
    )
    summary = coarsening.run(config)
    assert np.shape(summary["length between walls"]) == (2, 9)
    assert np.all(np.array(summary["length by first moment"]) < 8)
    assert (tmp_path / "out" / "coarsening.png").stat().st_size > 1000
    stored = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert set(stored["growth"]) == set(coarsening.LENGTHS)
    with pytest.raises(ValueError, match="use 0 1 2 3"):
        dataclasses.replace(config, seeds=(0, 0))


def test_double_exchange_run(forcefield, tmp_path, monkeypatch):
    monkeypatch.setattr(double_exchange_quench, "stored_forcefield", lambda path, electrons: Nearest())
    electrons = Electrons("square", 6.0, 0.485, 0.1)
    config = double_exchange_quench.Config(
        forcefield=forcefield(electrons),
        output=tmp_path / "out",
        electrons=electrons,
        bath_temperatures=(0.01,),
        large=Quench(side=8, duration=4.0, frames=4),
        compare=Quench(side=4, duration=1.0, frames=2),
    )
    summary = double_exchange_quench.run(config)
    stored = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert sum(stored["comparison"]["P(S.S) over the last quarter"]["exact"]) * 0.05 == pytest.approx(1)
    assert len(summary["quenches"][0]["puddles"]["number"]) == len(summary["quenches"][0]["mean S.S"]) == 5
    assert 0 < stored["comparison"]["exact field: correlation of holes with spins at the start"] < 1
    assert (tmp_path / "out" / "puddles.png").stat().st_size > 1000
    with pytest.raises(ValueError, match="Neel order needs an even number; use 10"):
        dataclasses.replace(config, large=Quench(9, 4.0, 4))
