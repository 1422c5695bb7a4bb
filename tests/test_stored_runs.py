"""Runs in files: as in memory, to the last bit, whether killed or not; and one function that reads everything."""

import contextlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin as js
from jaxspin.dynamics import Ramp, Relaxed, stored
from jaxspin.dynamics.trajectory import Trajectory
from jaxspin.io import TrajectoryWriter, load_trajectory
from tests.helpers import Killed, counting_compilations

LATTICE = js.chain(6)
FIELD = js.Exchange(LATTICE, 1.0) + js.Zeeman((0.0, 0.0, 0.3))
HOT = {"temperature": Ramp(0.2, 0.0, 2.0), "key": jax.random.key(3)}


@pytest.fixture(scope="module")
def start():
    return js.random_spins(LATTICE, key=jax.random.key(1))


@pytest.fixture
def few(monkeypatch):
    """Two frames a piece."""
    monkeypatch.setattr(stored, "_MOST_AT_ONCE", 2)


def run_of(start, **settings):
    given = {"duration": 2.1, "step": 0.1, "save_every": 0.3, "damping": 0.2, **HOT, **settings}
    return js.simulate(FIELD, start, **given)


def assert_same(found, expected):
    np.testing.assert_array_equal(found.times, expected.times)
    np.testing.assert_array_equal(found.final, expected.final)
    np.testing.assert_array_equal(found.map(lambda s: s), expected.spins)
    np.testing.assert_allclose(found.temperature, expected.temperature, atol=1e-12)
    np.testing.assert_array_equal(found.energy(FIELD), expected.energy(FIELD))
    assert found.lattice == expected.lattice
    assert bool(found.stopped) == bool(expected.stopped)


@pytest.mark.parametrize("duration", [2.1, 2.0])
def test_a_stored_run_is_that_in_memory(few, tmp_path, start, duration):
    """Frames of three steps, two at a time, the last one shorter in the second case."""
    expected = run_of(start, duration=duration)
    found = run_of(start, duration=duration, store=tmp_path / "run.zarr")
    assert found.spins is None
    assert_same(found, expected)
    again = js.load(tmp_path / "run.zarr")
    np.testing.assert_array_equal(again.spins, expected.spins)
    assert float(again.step) == pytest.approx(float(expected.step))


@contextlib.contextmanager
def kill_after(writes, monkeypatch):
    """The writing of frames ends the run after so many times."""
    append, left = TrajectoryWriter.append, [writes]

    def killed(self, *arguments):
        if not left[0]:
            raise Killed
        left[0] -= 1
        append(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(TrajectoryWriter, "append", killed)
        yield


def test_killed_and_resumed_is_unbroken(few, tmp_path, start, monkeypatch):
    expected, path = run_of(start), tmp_path / "run.zarr"
    with kill_after(2, monkeypatch), pytest.raises(Killed):
        run_of(start, store=path)
    with load_trajectory(path) as found:
        assert 1 < found.sizes["time"] < len(expected)
    with pytest.raises(FileExistsError, match="exists; pass resume=True"):
        run_of(start, store=path)
    assert_same(run_of(start, store=path, resume=True), expected)
    # whole already: nothing is made, and the same comes back
    assert_same(run_of(start, store=path, resume=True), expected)
    # and longer
    longer = run_of(start, duration=3.0, store=path, resume=True)
    assert_same(longer, run_of(start, duration=3.0))


def test_frames_may_be_at_any_times(tmp_path, start, monkeypatch):
    """Rounded to whole steps, the end beside them; in memory and in a store, killed or not."""
    times = np.array([0.1, 0.13, 0.32, 0.9, 1.6])
    at = {"save_every": None, "save_at": times}
    every, found, path = run_of(start, save_every=0.1), run_of(start, **at), tmp_path / "run.zarr"
    np.testing.assert_array_equal(found.spins, every.spins[np.array([0, 1, 3, 9, 16, 21])])
    np.testing.assert_allclose(found.times, [0, 0.1, 0.3, 0.9, 1.6, 2.1], atol=1e-12)
    np.testing.assert_array_equal(run_of(start, save_every=None, save_at=jnp.asarray(times)).times, found.times)
    with kill_after(3, monkeypatch), pytest.raises(Killed):
        run_of(start, **at, store=path)
    assert len(js.load(path)) == 3
    for _ in range(2):
        assert_same(run_of(start, **at, store=path, resume=True), found)
    with pytest.raises(ValueError, match="steps_a_frame"):
        run_of(start, store=path, resume=True)
    with pytest.raises(ValueError, match="has frames at times that this run has not"):
        run_of(start, save_every=None, save_at=times + 0.3, store=path, resume=True)


@pytest.mark.parametrize(
    "times", [[0.5, 0.4], [[0.1, 0.2]], [0.5, 0.5], [1.0, 2.2], [-0.1, 1.0], [0.3, np.nan], [np.inf]], ids=str
)
def test_times_of_frames_that_no_run_has_are_refused(start, times):
    with pytest.raises(ValueError, match=r"save_at must hold rising times between start = 0 and 2\.1; give one row"):
        run_of(start, save_every=None, save_at=times)


def test_quick_frames_are_written_some_at_a_time_slow_ones_one_by_one(few, tmp_path, start, monkeypatch):
    append, written = TrajectoryWriter.append, []

    def noted(self, times, spins):
        written.append(np.size(times))
        append(self, times, spins)

    monkeypatch.setattr(TrajectoryWriter, "append", noted)
    for seconds, expected in ((1e9, [1, 1, 1, 2, 2, 1]), (0.0, [1] * 8)):
        monkeypatch.setattr(stored, "_QUICK_SECONDS", seconds)
        run_of(start, store=tmp_path / f"{seconds}.zarr")
        assert written == expected
        written.clear()


def test_frames_are_given_in_one_way(start):
    for other in ({}, {"save_every": None, "step": "adaptive", "temperature": 0.0}):
        with pytest.raises(ValueError, match="leave out save_every= and 'adaptive'"):
            run_of(start, save_at=[1.0], **other)


def test_a_stored_run_compiles_once_whatever_its_field_is_bound_to(tmp_path, start):
    """What comes from disk is bound to a device, and then what the dynamics returns; the start is not."""
    bound = jax.device_put(FIELD, jax.devices()[0])
    with counting_compilations() as compiled:
        js.simulate(bound, start, duration=2.4, step=0.1, save_every=0.3, store=tmp_path / "run.zarr")
    assert sum("run_frames" in name for name in compiled) == 1, compiled


def test_a_run_with_a_shorter_last_frame_is_not_made_longer(few, tmp_path, start):
    """Its last frame is at no time of the longer run; taken for the next one, all that follows would be late."""
    path = tmp_path / "run.zarr"
    run_of(start, duration=2.0, store=path)
    kept = js.load(path).spins
    for duration in (3.0, 1.5):
        with pytest.raises(ValueError, match="has frames at times that this run has not"):
            run_of(start, duration=duration, store=path, resume=True)
    with pytest.raises(ValueError, match=r"lies between two steps of 0\.1"):
        js.simulate(FIELD, start, start=0.05, duration=2.0, step=0.1, store=tmp_path / "between.zarr")
    assert not (tmp_path / "between.zarr").exists()
    np.testing.assert_array_equal(js.load(path).spins, kept)


def test_a_stored_run_ends_at_its_event(few, tmp_path, start):
    calm = {"temperature": 0.0, "key": None, "until": Relaxed(1.0), "duration": 30.0, "damping": 1.0}
    expected = run_of(start, **calm)
    assert bool(expected.stopped)
    for resume in (False, True):
        assert_same(run_of(start, store=tmp_path / "run.zarr", resume=resume, **calm), expected)


def test_another_run_is_refused_and_lost_is_nothing(tmp_path, start):
    path = tmp_path / "run.zarr"
    run_of(start, store=path)
    kept = js.load(path).spins
    for other, what in (
        ({"damping": 0.3}, "damping"),
        ({"key": jax.random.key(4)}, "settings"),
        ({"save_every": 0.2}, "steps_a_frame"),
        ({"step": 0.05}, "step"),
    ):
        with pytest.raises(ValueError, match=rf"a run of another .*{what}.*choose another path"):
            run_of(start, store=path, resume=True, **other)
    with pytest.raises(ValueError, match="a run of another start"):
        run_of(-start, store=path, resume=True)
    np.testing.assert_array_equal(js.load(path).spins, kept)
    with pytest.raises(ValueError, match="a store holds spins at fixed steps"):
        run_of(start, store=tmp_path / "a.zarr", step="adaptive", temperature=0.0)
    with pytest.raises(ValueError, match="a store holds spins at fixed steps"):
        run_of(start, store=tmp_path / "a.zarr", save=lambda t, s: t)
    with pytest.raises(ValueError, match="resume goes on in a store; pass store="):
        run_of(start, resume=True)
    with pytest.raises(ValueError, match="inside jit, vmap or grad cannot write a file"):
        jax.jit(lambda s: run_of(s, store=tmp_path / "a.zarr").final)(start)
    assert not (tmp_path / "a.zarr").exists()


def test_saved_and_loaded_runs_are_the_same(tmp_path, start):
    run = run_of(start)
    run.save(tmp_path / "run.zarr")
    found = js.load(tmp_path / "run.zarr")
    assert isinstance(found, Trajectory)
    assert_same(found, run)
    for name in ("finite", "damping", "step", "steps", "largest_turn"):
        np.testing.assert_array_equal(getattr(found, name), getattr(run, name))
    with pytest.raises(FileExistsError, match="overwrite=True"):
        run.save(tmp_path / "run.zarr")
    run.save(tmp_path / "run.zarr", overwrite=True)
    lazy = Trajectory.load(tmp_path / "run.zarr", in_memory=False)
    np.testing.assert_array_equal(lazy.magnetization(), run.magnetization())
    with pytest.raises(ValueError, match="no spins in memory; they are in"):
        lazy.save(tmp_path / "copy.zarr")
    with pytest.raises(ValueError, match="needs all frames in memory"):
        lazy.dynamical_structure_factor()


def test_everything_is_loaded_by_one_name(tmp_path, start):
    data = js.sample(js.Exchange(LATTICE, 1.0), start[None])
    data.save(tmp_path / "data.zarr")
    js.training.ShardWriter(tmp_path / "shards").write(data)
    for name in ("data.zarr", "shards"):
        np.testing.assert_array_equal(js.load(tmp_path / name).field, data.field)
    model = js.BehlerParrinello(descriptor=js.Bispectrum(js.chain(8), radius=1.0), hidden=(3,))
    js.forcefield.save(tmp_path / "model", model)
    assert js.load(tmp_path / "model").hidden == (3,)
    js.sweeps.sweep(lambda x: {"y": 2 * x}, js.sweeps.grid(x=[1.0, 2.0]), store=tmp_path / "sweep.zarr", progress=False)
    np.testing.assert_array_equal(js.load(tmp_path / "sweep.zarr").y, [2.0, 4.0])
    with pytest.raises(FileNotFoundError):
        js.load(tmp_path / "nothing")
    (tmp_path / "text").write_text("no")
    with pytest.raises(ValueError, match=r"is a file.*load_ovf"):
        js.load(tmp_path / "text")
    assert jnp.issubdtype(js.load(tmp_path / "data.zarr").spins.dtype, jnp.floating)
