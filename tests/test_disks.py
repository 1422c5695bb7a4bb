"""Stores that are killed while replaced, disks that are full or read-only, files that are damaged."""

import contextlib
import os
import resource
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
import xarray as xr

import jaxspin as js
from jaxspin import sweeps
from jaxspin.io import TrajectoryWriter, load_trajectory, save_trajectory, store
from jaxspin.training import ShardWriter, SpinData, checkpoints
from tests.helpers import Killed, frames


@pytest.mark.parametrize("kind", ["trajectory", "forcefield"])
def test_a_kill_at_any_step_of_a_replacement_leaves_the_old_or_the_new(tmp_path, monkeypatch, kind):
    """Killed before its n-th renaming or removal, for every n: a reader finds one of them, whole, and nothing else."""
    lattice = js.chain(4)
    descriptor = js.Bispectrum(lattice, radius=1.0, bond_radius=1.0, bispectrum=False)
    models = [js.BehlerParrinello(descriptor=descriptor, hidden=(2,), key=jax.random.key(n)) for n in range(2)]
    path = tmp_path / "it"

    def write(new):
        if kind == "trajectory":
            save_trajectory(path, [0.0], frames(lattice, 1) * (1 - 2 * new), lattice, overwrite=True)
        else:
            js.forcefield.save(path, models[new], metadata={"new": new}, overwrite=True)

    def read():
        if kind == "trajectory":
            with load_trajectory(path) as found:
                (flip,) = np.unique(np.sign(found.spins.values / frames(lattice, 1)))
            return int(flip < 0)
        new = js.forcefield.load_metadata(path)["new"]
        for a, b in zip(jax.tree.leaves(js.forcefield.load(path)), jax.tree.leaves(models[new]), strict=True):
            np.testing.assert_array_equal(a, b)
        return new

    renamed, outcomes = Path.rename, []
    write(0)
    for survived in range(3):
        left = [survived]

        def rename_or_die(self, target, left=left):
            if Path(target).name == "it" or Path(self).name == "it":
                if left[0] == 0:
                    raise Killed
                left[0] -= 1
            return renamed(self, target)

        monkeypatch.setattr(Path, "rename", rename_or_die)
        with contextlib.suppress(Killed):
            write(1)
        monkeypatch.setattr(Path, "rename", renamed)
        outcomes.append(read())
        assert not (tmp_path / ".it.replaced").exists()
        write(0)
        assert read() == 0
        assert [child.name for child in tmp_path.iterdir()] == ["it"]
    assert outcomes == [0, 0, 1]


def test_a_renaming_that_fails_puts_the_old_store_back(tmp_path, monkeypatch):
    lattice = js.chain(4)
    path = save_trajectory(tmp_path / "it", [0.0], frames(lattice, 1), lattice)
    renamed = Path.rename

    def refused(self, target):
        if self.name == ".it.partial":
            raise OSError(30, "Read-only file system")
        return renamed(self, target)

    monkeypatch.setattr(Path, "rename", refused)
    with pytest.raises(OSError, match=r"could not be written \(Read-only file system\), what is stored is as it was"):
        save_trajectory(path, [0.0, 1.0], frames(lattice, 2), lattice, overwrite=True)
    with load_trajectory(path) as found:
        assert found.sizes["time"] == 1


# Disks that refuse


@contextlib.contextmanager
def small_disk(size):
    """No file may grow beyond `size` bytes: the kernel refuses, as it does on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_loses_no_frame_and_no_shard(tmp_path):
    lattice = js.square(8)
    spins = frames(lattice, 6)
    writer = TrajectoryWriter(tmp_path / "run.zarr", lattice)
    writer.append(np.arange(2.0), spins[:2])
    with (
        small_disk(5000),
        pytest.raises(OSError, match="what is stored is as it was; raise the limit of"),
    ):
        writer.append(np.arange(2.0, 6.0), spins[2:])
    with load_trajectory(tmp_path / "run.zarr") as found:
        np.testing.assert_array_equal(found.spins, spins[:2])
    TrajectoryWriter(tmp_path / "run.zarr", lattice, append=True).append(np.arange(2.0, 6.0), spins[2:])
    with load_trajectory(tmp_path / "run.zarr") as found:
        np.testing.assert_array_equal(found.spins, spins)

    shards = ShardWriter(tmp_path / "data")
    shards.write(SpinData(lattice, spins[:1], spins[:1]))
    with small_disk(5000), pytest.raises(OSError, match=r"shard_00001.zarr could not be written"):
        shards.write(SpinData(lattice, spins, spins))
    assert len(SpinData.load(tmp_path / "data")) == 1
    shards.write(SpinData(lattice, spins, spins))
    assert len(SpinData.load(tmp_path / "data")) == 7


def test_no_space_left_is_said_with_the_remedy(tmp_path, monkeypatch):
    import zarr.storage._local as local

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(local, "_put", full)
    with pytest.raises(OSError, match=r"could not be written \(No space left on device\).*; free some space and go on"):
        save_trajectory(tmp_path / "run.zarr", [0.0], frames(js.chain(4), 1), js.chain(4))
    assert not (tmp_path / "run.zarr").exists()


@contextlib.contextmanager
def read_only(folder):
    """The folder takes nothing new; the superuser, whom permissions do not stop, becomes nobody meanwhile."""
    folder.chmod(0o555)
    parents = [folder, *folder.parents]
    modes = {path: path.stat().st_mode for path in parents if path.is_dir() and os.access(path, os.W_OK)}
    root = os.geteuid() == 0
    if root:
        for path in modes:
            path.chmod(modes[path] | 0o555)
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        for path, mode in modes.items():
            path.chmod(mode)
        folder.chmod(0o755)


def test_a_read_only_folder_is_refused_before_any_work(tmp_path):
    folder, calls = tmp_path / "shelf", []
    folder.mkdir()
    design = sweeps.grid(a=[1.0, 2.0])

    def counted(a):
        jax.debug.callback(lambda: calls.append(1))
        return {"b": a}

    known = sweeps.sweep(counted, design, store=folder / "known.zarr", progress=False).load()
    jax.effects_barrier()
    calls.clear()
    writer = TrajectoryWriter(folder / "run.zarr", js.chain(4))
    writer.append(0.0, frames(js.chain(4), 1)[0])
    refusal = r"could not be written \(Permission denied\), what is stored is as it was; choose a path that can be"
    with read_only(folder):
        with pytest.raises(PermissionError, match=refusal):
            sweeps.sweep(counted, design, store=folder / "s.zarr", progress=False)
        with pytest.raises(PermissionError, match=refusal):
            save_trajectory(folder / "t.zarr", [0.0], frames(js.chain(4), 1), js.chain(4))
        with pytest.raises(PermissionError, match=refusal):
            writer.append(1.0, frames(js.chain(4), 1)[0])
    assert not calls
    assert sorted(child.name for child in folder.iterdir()) == ["known.zarr", "run.zarr"]
    with sweeps.load_sweep(folder / "known.zarr") as found:
        xr.testing.assert_identical(found.load(), known)


# Damaged files, other versions


def truncated(path, by=5):
    content = path.read_bytes()
    path.write_bytes(content[:-by])
    return content


def test_a_truncated_shard_is_named_and_no_other_is_lost(tmp_path):
    lattice = js.square(4)
    writer = ShardWriter(tmp_path)
    for number in (1, 2):
        writer.write(SpinData(lattice, frames(lattice, number), frames(lattice, number)))
    chunk = next(path for path in (tmp_path / "shard_00001.zarr" / "spins" / "c").rglob("*") if path.is_file())
    content = truncated(chunk)
    with pytest.raises(
        ValueError, match=r"shard_00001.zarr is damaged: its array 'spins' cannot be read.*; restore it"
    ):
        SpinData.load(tmp_path)
    assert len(SpinData.load(tmp_path / "shard_00000.zarr")) == 1
    chunk.write_bytes(content)
    assert len(SpinData.load(tmp_path)) == 3


# Orbax leaves a read of the damaged file pending when its event loop closes, and the collector complains later.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_checkpoint_that_is_damaged_or_of_another_version_is_refused(tmp_path, monkeypatch):
    state, identity = (np.arange(3.0), 7), {"key": [1, 2]}
    with checkpoints.manager(tmp_path / "c") as manager:
        for step in (1, 2):
            checkpoints.store(manager, step, state, {"step": [step]}, identity)
    with checkpoints.manager(tmp_path / "c") as manager:
        restored, history = checkpoints.restore(manager, state, identity)
        np.testing.assert_array_equal(restored[0], state[0])
        assert history == {"step": [2]}
        monkeypatch.setattr(checkpoints, "_FORMAT", 2)
        with pytest.raises(ValueError, match=r"has format 1, this version reads 2; use the jaxspin that wrote it, or"):
            checkpoints.restore(manager, state, identity)
    monkeypatch.undo()
    damaged = [path for path in (tmp_path / "c" / "2" / "state").rglob("d/*") if path.is_file()]
    assert damaged
    for path in damaged:
        truncated(path, by=path.stat().st_size // 2)
    with (
        checkpoints.manager(tmp_path / "c") as manager,
        pytest.raises(ValueError, match=r"c/2 cannot be read .*; delete this folder to go on from the checkpoint"),
    ):
        checkpoints.restore(manager, state, identity)
    shutil.rmtree(tmp_path / "c" / "2")
    with checkpoints.manager(tmp_path / "c") as manager:
        assert checkpoints.restore(manager, state, identity)[1] == {"step": [1]}


def test_an_interrupted_replacement_is_not_undone_over_a_new_store(tmp_path):
    """Left-overs of a kill after the new store had its name are removed by the next one that is written."""
    lattice = js.chain(4)
    path = save_trajectory(tmp_path / "it", [0.0], frames(lattice, 1), lattice)
    (tmp_path / ".it.replaced").mkdir()
    store.undo_replacement(path)
    with load_trajectory(path) as found:
        assert found.sizes["time"] == 1
    save_trajectory(path, [0.0, 1.0], frames(lattice, 2), lattice, overwrite=True)
    assert [child.name for child in tmp_path.iterdir()] == ["it"]
