"""A damaged file is refused with its path and the remedy, whatever the damage; never read as NaN or zeros."""

import gc
import shutil

import jax
import numpy as np
import pytest
import zarr

import jaxspin as js
from jaxspin.devices import checkpoints
from jaxspin.io import TrajectoryWriter, load_ovf, load_trajectory, save_ovf, save_trajectory
from jaxspin.io.store import loaded
from jaxspin.lattice import square
from jaxspin.sweeps import grid, load_sweep, sweep
from jaxspin.training import SpinData

LATTICE = square(3)
REMEDY = r"is damaged: .*; restore it from a copy, or move it away and make it again"


def refusal(read, path):
    try:
        read(path)
    except ValueError as error:
        return str(error)
    return ""


def frames(number):
    spins = np.random.default_rng(0).normal(size=(number, *LATTICE.shape, 3))
    return spins / np.linalg.norm(spins, axis=-1, keepdims=True)


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """A store of each kind, and what reads all of it."""
    folder = tmp_path_factory.mktemp("stores")
    spins = frames(70)  # two chunks
    spins[:64, 0, 0] = 0
    save_trajectory(folder / "run.zarr", np.arange(70.0), spins, LATTICE)
    SpinData(LATTICE, spins, 0 * spins, run=np.zeros(70, int)).save(folder / "data.zarr")

    def doubled(scale):
        return {"x": scale * np.ones(2), "zero": 0}

    sweep(doubled, grid(scale=[0.0, 1.0]), store=folder / "sweep.zarr", progress=False)

    def trajectory(path):
        last = load_trajectory(path).spins[-3:].values  # read as it is used
        return last, loaded(load_trajectory(path), path)

    readers = {
        "run.zarr": trajectory,
        "data.zarr": SpinData.load,
        "sweep.zarr": lambda path: loaded(load_sweep(path), path),
    }
    return folder, readers


@pytest.mark.parametrize("name", ["run.zarr", "data.zarr", "sweep.zarr"])
def test_no_file_of_a_store_can_be_lost_or_cut_unnoticed(stores, name, tmp_path):
    folder, readers = stores
    readers[name](folder / name)
    files = [path.relative_to(folder / name) for path in (folder / name).rglob("*") if path.is_file()]
    chunks = [path for path in files if path.name != "zarr.json"]
    assert len(chunks) >= 4
    for damaged in [*chunks, *[path for path in files if str(path) == "zarr.json"]]:
        for keep in (0.0, 0.5, None):
            if keep is None and damaged.name == "zarr.json":
                continue  # no store at all
            path = tmp_path / name
            shutil.rmtree(path, ignore_errors=True)
            shutil.copytree(folder / name, path)
            content = (path / damaged).read_bytes()
            (path / damaged).unlink()
            if keep is not None:
                (path / damaged).write_bytes(content[: int(keep * len(content))])
            with pytest.raises(ValueError, match=rf"{name} {REMEDY}"):
                readers[name](path)


def test_older_stores_miss_chunks_of_zeros_alone(tmp_path):
    path = SpinData(LATTICE, frames(2), frames(2)).save(tmp_path / "data.zarr")
    group = zarr.open_group(path, mode="r+")
    del group.attrs["jaxspin_store"]
    shutil.rmtree(path / "energy" / "c")
    with pytest.warns(UserWarning, match="Consolidated metadata"):
        zarr.consolidate_metadata(path)
    assert not SpinData.load(path).has_energy.any()
    shutil.rmtree(path / "field" / "c")
    with pytest.raises(ValueError, match=REMEDY):
        SpinData.load(path)


def test_a_run_is_not_continued_on_a_damaged_chunk(tmp_path):
    path, spins = tmp_path / "run.zarr", frames(4)
    writer = TrajectoryWriter(path, LATTICE)
    writer.append([0.0, 1.0, 2.0], spins[:3])
    for file in (path / "spins" / "c").rglob("*"):
        if file.is_file():
            file.write_bytes(file.read_bytes()[:40])
    with pytest.raises(ValueError, match=rf"run\.zarr {REMEDY}"):
        writer.append(3.0, spins[3])


# what Orbax leaves behind when it fails
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_weights_and_checkpoints_cut_short_name_their_folder(tmp_path):
    made = js.BehlerParrinello(js.Bispectrum(square(8), 1.0), hidden=(2,))
    js.forcefield.save(tmp_path / "field", made)
    state = {"spins": jax.numpy.ones((2, 3))}
    checkpoints.save(tmp_path / "state", state)
    for name, read in (
        ("field", js.forcefield.load),
        ("state", lambda path: checkpoints.load(path, state)),
    ):
        read(tmp_path / name)
        for file in sorted((tmp_path / name).rglob("d/*"))[:2]:
            path = tmp_path / "copy" / name
            shutil.rmtree(path.parent, ignore_errors=True)
            shutil.copytree(tmp_path / name, path)
            cut = path / file.relative_to(tmp_path / name)
            cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
            told = refusal(read, path)
            assert not told or (str(path) in told and "restore it from a copy" in told)  # some hold what others do
        shutil.rmtree(path)
        shutil.copytree(tmp_path / name, path)
        for file in path.rglob("d/*"):
            file.unlink()
        with pytest.raises(ValueError, match=rf"{name} {REMEDY}"):
            read(path)
    with pytest.raises(ValueError, match=r"holds arrays of the shapes \[\(2, 3\)\], not \[\(3,\)\]; pass a `like`"):
        checkpoints.load(tmp_path / "state", jax.numpy.ones(3))
    gc.collect()  # now, and not in a test that does not ignore it


def test_only_a_checkpoint_is_replaced(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "draft.txt").write_text("years of work")
    with pytest.raises(FileExistsError, match=r"is no checkpoint of jaxspin\.devices\.save and will not be replaced"):
        checkpoints.save(tmp_path / "thesis", jax.numpy.ones(3), overwrite=True)
    assert (tmp_path / "thesis" / "draft.txt").exists()
    checkpoints.save(tmp_path / "state", jax.numpy.ones(3))
    checkpoints.save(tmp_path / "state", jax.numpy.zeros(2), overwrite=True)
    assert checkpoints.load(tmp_path / "state", jax.numpy.ones(2)).tolist() == [0, 0]
    zarr.open_group(tmp_path / "foreign.zarr", mode="w").create_array("data", data=np.ones(3))
    with pytest.raises(FileExistsError, match="is not a Zarr store of jaxspin and will not be replaced"):
        save_trajectory(tmp_path / "foreign.zarr", [0.0], frames(1), LATTICE, overwrite=True)
    assert zarr.open_array(tmp_path / "foreign.zarr" / "data", mode="r")[...].tolist() == [1, 1, 1]


@pytest.mark.parametrize("lattice", [square(3), js.kagome(2)], ids=["rectangular", "irregular"])
def test_a_snapshot_cut_anywhere_names_its_path(tmp_path, lattice):
    spins = np.random.default_rng(0).normal(size=(*lattice.shape, 3))
    path = save_ovf(tmp_path / "s.ovf", spins, lattice)
    content = path.read_bytes()
    for length in range(0, len(content) - 60, 37):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"s\.ovf"):
            load_ovf(path)
