"""Files give back what was put in, say what they hold, and are never half written or silently replaced."""

import contextlib
import dataclasses
import functools
import itertools
import json
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
import xarray as xr

from jaxspin.io import (
    TrajectoryWriter,
    lattice_of,
    load_or_make,
    load_or_make_each,
    load_trajectory,
    new_folder,
    provenance,
    save_trajectory,
    to_json,
    whole_file,
)
from jaxspin.lattice import square, triangular
from tests.helpers import LATTICES, SKEWED, frames


class Killed(Exception):
    pass


@dataclasses.dataclass(frozen=True)
class Config:
    coupling: float = 3.0
    where: Path = Path("out")


# Provenance and folders


def test_provenance_is_plain_json_and_complete():
    found = provenance(Config(), seed=7)
    assert json.loads(json.dumps(found)) == found
    assert found["seed"] == 7
    assert found["config"] == {"coupling": 3.0, "where": "out"}
    assert found["versions"]["jax"] == jax.__version__
    assert found["devices"] == jax.device_count()
    assert found["commit"] == "unknown" or len(found["commit"].removesuffix("-dirty")) == 40


def test_json_of_arrays_and_nested_configs():
    value = {"a": np.arange(3), "b": jax.numpy.ones(2), "c": [Config(), np.float32(0.5)]}
    expected = {"a": [0, 1, 2], "b": [1.0, 1.0], "c": [{"coupling": 3.0, "where": "out"}, 0.5]}
    assert json.loads(to_json(value)) == expected


def test_a_part_that_is_there_is_read_and_not_made_again(tmp_path):
    made = []

    def make():
        made.append(1)
        return {"x": np.arange(2), "nan": float("nan")}

    path = tmp_path / "rows" / "a.json"
    assert load_or_make(path, make) == load_or_make(path, make) == {"x": [0, 1], "nan": None}
    assert len(made) == 1
    with pytest.raises(Killed):
        load_or_make(tmp_path / "b.json", lambda: (_ for _ in ()).throw(Killed))
    assert not (tmp_path / "b.json").exists()
    path.write_text('{"x"')
    with pytest.raises(ValueError, match=r"is damaged.*delete it to make it again"):
        load_or_make(path, make)


def test_a_table_that_was_killed_goes_on_with_the_row_it_died_in(tmp_path):
    made = []

    def make(name, killed=False):
        made.append(name)
        if killed:
            raise Killed
        return {"row": name}

    names = ["b", "a", "c"]
    with pytest.raises(Killed):
        load_or_make_each(tmp_path, {name: functools.partial(make, name, name == "a") for name in names})
    rows = load_or_make_each(tmp_path, {name: functools.partial(make, name) for name in names})
    assert list(rows.items()) == [(name, {"row": name}) for name in names]
    assert made == ["b", "a", "a", "c"]
    with pytest.raises(ValueError, match="no name of a file; name each row by letters and digits"):
        load_or_make_each(tmp_path, {"d": functools.partial(make, "d"), "e/f": functools.partial(make, "e")})
    assert made == ["b", "a", "a", "c"]


def test_arrays_that_are_there_are_read_and_not_made_again(tmp_path):
    row, several = tmp_path / "new" / "a.npy", tmp_path / "b.npz"
    made = []

    def make(value):
        made.append(value)
        return value

    for _ in range(2):
        found = load_or_make(row, lambda: make(np.arange(3, dtype=np.float32)))
        assert found.dtype == np.float32
        assert found.tolist() == [0, 1, 2]
        both = load_or_make(several, lambda: make({"x": np.array([np.inf]), "price": 1.5}))
        assert both["x"].tolist() == [np.inf]
        assert float(both["price"]) == 1.5
    assert len(made) == 2
    for path in (row, several):
        path.write_bytes(path.read_bytes()[:20])
        with pytest.raises(ValueError, match=r"is damaged.*delete it to make it again"):
            load_or_make(path, lambda: pytest.fail("made again"))
    with pytest.raises(Killed):
        load_or_make(tmp_path / "c.npy", lambda: (_ for _ in ()).throw(Killed))
    assert not (tmp_path / "c.npy").exists()


def test_a_file_written_in_parts_is_whole_or_the_old_one(tmp_path):
    path = tmp_path / "a.npy"
    with whole_file(path) as partial:
        np.save(partial, np.arange(3))
        assert not path.exists()

    def broken():
        with whole_file(path) as partial:
            partial.write_text("half")
            raise Killed

    with pytest.raises(Killed):
        broken()
    assert [p.name for p in tmp_path.iterdir()] == ["a.npy"]
    np.testing.assert_array_equal(np.load(path), [0, 1, 2])


def test_a_folder_with_something_in_it_is_refused_unless_told(tmp_path):
    folder = new_folder(tmp_path / "a" / "run")
    assert new_folder(folder) == folder  # empty: nothing is lost
    (folder / "old").write_text("old")
    (folder / "sub").mkdir()
    (tmp_path / "a" / "beside").write_text("stays")
    (tmp_path / "target").write_text("stays")
    (folder / "link").symlink_to(tmp_path / "target")
    with pytest.raises(FileExistsError, match=r"choose another folder or pass --overwrite \(overwrite=True\)\.$"):
        new_folder(folder)
    assert (folder / "old").exists()
    new_folder(folder, overwrite=True)
    assert [left.name for left in folder.iterdir()] == [".jaxspin"]
    assert (tmp_path / "a" / "beside").exists()
    assert (tmp_path / "target").exists()


def test_a_folder_around_the_working_directory_is_never_emptied(tmp_path, monkeypatch):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    with pytest.raises(FileExistsError, match="will not be emptied; choose another folder"):
        new_folder(tmp_path, overwrite=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(FileExistsError, match="is a file; choose another name"):
        new_folder(tmp_path / "file", overwrite=True)


# Trajectories


@pytest.mark.parametrize("lattice", [*LATTICES, SKEWED], ids=lambda lattice: lattice.name)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_trajectory_comes_back_as_plain_xarray(tmp_path, lattice, dtype):
    times, spins = np.arange(3.0), frames(lattice, 3, dtype)
    save_trajectory(tmp_path / "run.zarr", times, spins, lattice, config=Config(), attributes={"seed": 3})
    for read in (load_trajectory, xr.open_zarr):
        with read(tmp_path / "run.zarr") as stored:
            np.testing.assert_array_equal(stored.spins, spins)
            assert stored.spins.dtype == dtype
            np.testing.assert_array_equal(stored.time, times)
            axes = tuple(f"cell_{k + 1}" for k in range(lattice.dimension))
            assert stored.spins.dims == ("time", *axes, "sublattice", "component")
            assert (stored.time.units, stored.x.units, stored.spins.units) == ("hbar/t", "a", "1")
            np.testing.assert_array_equal(stored.x, lattice.positions()[..., 0])
            assert json.loads(stored.config)["coupling"] == 3.0
            assert stored.seed == 3
            assert lattice_of(stored) == lattice


def test_frames_appended_one_by_one_or_resumed_equal_frames_saved_at_once(tmp_path):
    lattice, times = triangular(4), np.linspace(0.0, 9.0, 10)
    spins = frames(lattice, 10, np.float32)
    writer = TrajectoryWriter(tmp_path / "run.zarr", lattice, config={"a": 1})
    for k in range(3):
        writer.append(times[k], spins[k])
    writer.append(times[3:6], spins[3:6])
    again = TrajectoryWriter(tmp_path / "run.zarr", lattice, append=True)
    assert (again.frames, again.last_time) == (6, 5.0)
    again.append(times[6:], spins[6:])
    save_trajectory(tmp_path / "once.zarr", times, spins, lattice, config={"a": 1})
    with load_trajectory(tmp_path / "run.zarr") as run, load_trajectory(tmp_path / "once.zarr") as once:
        xr.testing.assert_identical(run.load(), once.load())


def test_a_kill_at_any_file_of_an_append_leaves_whole_frames(tmp_path, monkeypatch):
    """The process dies before it writes its n-th file, for every n: a reader finds the old frames, or all."""
    lattice, spins = square(3), frames(square(3), 8)
    before = tmp_path / "before.zarr"
    TrajectoryWriter(before, lattice).append(np.arange(3.0), spins[:3])
    import zarr.storage._local as local

    put, outcomes = local._put, []
    for survived in itertools.count():
        path, left = tmp_path / f"{survived}.zarr", [survived]
        shutil.copytree(before, path)

        def put_or_die(*arguments, left=left, **options):
            if left[0] == 0:
                raise Killed
            left[0] -= 1
            return put(*arguments, **options)

        writer = TrajectoryWriter(path, lattice, append=True)
        monkeypatch.setattr(local, "_put", put_or_die)
        with contextlib.suppress(Killed):
            writer.append(np.arange(3.0, 8.0), spins[3:])
        monkeypatch.setattr(local, "_put", put)
        with load_trajectory(path) as stored:
            number = stored.sizes["time"]
            np.testing.assert_array_equal(stored.spins, spins[:number])
            np.testing.assert_array_equal(stored.time, np.arange(float(number)))
        outcomes.append(number)
        resumed = TrajectoryWriter(path, lattice, append=True)
        if number < 8:
            resumed.append(3.0, spins[3])
            with load_trajectory(path) as stored:
                np.testing.assert_array_equal(stored.spins, spins[:4])
        else:
            break
    assert len(outcomes) >= 5  # two shapes, two chunks and the commit were each interrupted
    assert outcomes == [3] * (len(outcomes) - 1) + [8]


def test_a_trajectory_is_not_replaced_or_continued_unless_asked(tmp_path):
    lattice, spins = square(2), frames(square(2), 2)
    path = save_trajectory(tmp_path / "run.zarr", [0.0, 1.0], spins, lattice)
    with pytest.raises(FileExistsError, match=r"choose another path or pass overwrite=True\.$"):
        save_trajectory(path, [0.0, 1.0], spins, lattice)
    with pytest.raises(FileExistsError, match="pass append=True to continue it or overwrite=True"):
        TrajectoryWriter(path, lattice)
    with pytest.raises(ValueError, match="exclude each other; choose one"):
        TrajectoryWriter(path, lattice, append=True, overwrite=True)
    with pytest.raises(ValueError, match="on another lattice; choose another path"):
        TrajectoryWriter(path, square(2, periodic=False), append=True)
    writer = TrajectoryWriter(path, lattice, append=True)
    with pytest.raises(ValueError, match=r"does not come after the last stored one, 1\.0; continue the run from there"):
        writer.append(1.0, spins[0])
    with pytest.raises(ValueError, match=r"the frames are float32; convert them"):
        writer.append(2.0, spins[0].astype(np.float32))
    TrajectoryWriter(path, lattice, overwrite=True).append(5.0, spins[1])
    with load_trajectory(path) as stored:
        np.testing.assert_array_equal(stored.spins, spins[1:])
    (tmp_path / "notes").mkdir()
    with pytest.raises(FileExistsError, match="not a Zarr store of jaxspin and will not be replaced"):
        save_trajectory(tmp_path / "notes", [0.0, 1.0], spins, lattice, overwrite=True)


def test_a_trajectory_is_continued_with_its_own_config_alone(tmp_path):
    lattice, spins = square(2), frames(square(2), 2)
    path = save_trajectory(tmp_path / "run.zarr", [0.0, 1.0], spins, lattice, config={"J": 1.0, "steps": 5})
    with pytest.raises(ValueError, match="another config; choose another path, or leave config out"):
        TrajectoryWriter(path, lattice, append=True, config={"J": 2.0, "steps": 5})
    for config in ({"steps": 5, "J": 1.0}, None):
        assert TrajectoryWriter(path, lattice, append=True, config=config).frames == 2


def test_what_is_no_trajectory_is_refused(tmp_path):
    spins = frames(square(2), 2)
    with pytest.raises(ValueError, match=r"give \(frames,\) and \(frames, 2, 2, 1, 3\)"):
        save_trajectory(tmp_path / "a", [0.0], spins, square(2))
    with pytest.raises(ValueError, match="do not increase; sort the frames"):
        save_trajectory(tmp_path / "a", [1.0, 1.0], spins, square(2))
    with pytest.raises(FileNotFoundError, match=r"give the folder that holds its zarr.json"):
        load_trajectory(tmp_path / "a")
    with pytest.raises(ValueError, match="no attribute 'lattice'; open one written by"):
        lattice_of(xr.Dataset())
