"""What is finished survives: kills at any moment, full and read-only disks, damaged files, other versions.

`pytest -m slow tests/test_survival.py` kills sweeps, data generation, training and quenches fifty times in all.
"""

import contextlib
import importlib
import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import threading
import time
from pathlib import Path

import jax
import numpy as np
import pytest
import xarray as xr

import jaxspin as js
from experiments import stages
from jaxspin import scale
from jaxspin.io import TrajectoryWriter, load_trajectory, save_trajectory, store
from jaxspin.training import ShardWriter, SpinData, checkpoints

UNITS = {"sweep": 120, "data": 24, "training": 30, "quench": 40}
KILLS = {"sweep": 13, "data": 13, "training": 12, "quench": 12}  # fifty


class Killed(BaseException):
    pass


# The jobs, each of units that are finished one after the other


def sweep(folder):
    lattice = js.triangular(2)

    def energy(coupling, seed):
        spins = js.random_spins(lattice, key=jax.random.key(seed))
        solver = js.ExactDiagonalization(js.SDModel(lattice, 1.0, coupling), filling=0.25, temperature=0.1)
        return {"energy": solver.energy(spins), "spins": spins}

    design = scale.grid(coupling=np.linspace(1.0, 3.0, 12), seed=range(2 * UNITS["sweep"] // 12))
    scale.sweep(energy, design, store=folder / "sweep.zarr", batch=2, resume=True, progress=False)


def data(folder):
    electrons = stages.Electrons("square", 1.0, 0.5, 0.1)
    stages.sample_random(electrons, 2, 8 * UNITS["data"], folder / "data", key=jax.random.key(0), resume=True)


def training(folder):
    lattice = js.chain(8)
    descriptor = js.Bispectrum(lattice, radius=1.0, bond_radius=1.0, bispectrum=False)
    spins = jax.vmap(lambda k: js.random_spins(lattice, key=k))(jax.random.split(jax.random.key(3), 12))
    learnt = js.train(
        js.BehlerParrinello(descriptor=descriptor, hidden=(4,)),
        js.sample(js.Exchange(lattice, 1.0), spins),
        js.TrainConfig(steps=5 * UNITS["training"], batch=4, evaluate_every=5, validation=0.25),
        key=jax.random.key(5),
        checkpoint=folder / "training",
    )
    js.save_forcefield(folder / "forcefield", learnt.model, overwrite=True)


def quench(folder):
    exact = stages.Electrons("triangular", 3.0, 0.25, 0.1).exact(2)
    start = js.random_spins(exact.lattice, key=jax.random.key(1))
    motion = stages.Motion(temperature=0.01)
    frames = UNITS["quench"]
    stages.quench(
        folder / "quench.zarr", exact, start, motion, duration=2.0 * frames, frames=frames, key=jax.random.key(2)
    )


JOBS = {"sweep": sweep, "data": data, "training": training, "quench": quench}


def announced(owner, name, tell):
    """Have a function that stores a unit say so when it returns."""
    stored = getattr(owner, name)

    def told(*arguments, **options):
        found = stored(*arguments, **options)
        tell("unit")
        return found

    setattr(owner, name, told)


def work(job, folder, cache, pipe):
    """A process of its own, which is killed or ends with exit code 0."""
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_compilation_cache_dir", str(cache))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    importlib.import_module("jaxspin.scale.sweep")._WRITING = np.inf  # every batch on its own, for kills in between
    announced(scale.results.SweepStore, "write", pipe.send)
    announced(ShardWriter, "write", pipe.send)
    announced(checkpoints, "store", pipe.send)
    announced(TrajectoryWriter, "append", pipe.send)
    pipe.send("ready")
    JOBS[job](folder)
    pipe.send("finished")


# What a reader finds


def units(job, folder):
    """How many units are there, each read in full, and their content."""
    if job == "sweep":
        path = folder / "sweep.zarr"
        if not path.exists():
            return 0, {}
        with scale.load_sweep(path) as found:
            found = found.load()
        done = found.status.values == 1
        return int(done.sum()) // 2, {k: np.where(_like(done, found[k]), found[k], 0) for k in ("energy", "spins")}
    if job == "data":
        shards = sorted((folder / "data").glob("shard_*.zarr"))
        if not shards:
            return 0, {}
        found = SpinData.load(folder / "data")
        assert len(found) == 8 * len(shards)
        return len(shards), {"spins": np.asarray(found.spins), "field": np.asarray(found.field)}
    if job == "training":
        if not (folder / "training").exists():
            return 0, {}
        with checkpoints.manager(folder / "training") as manager:
            step = manager.latest_step()
            if step is None:
                return 0, {}
            story = checkpoints._read(manager, step, story=checkpoints.ocp.args.JsonRestore())
        assert story["history"]["step"][-1] == step
        return step // 5, {"loss": np.array(story["history"]["loss"])}
    if not (folder / "quench.zarr").exists():
        return 0, {}
    with load_trajectory(folder / "quench.zarr") as found:
        return found.sizes["time"], {"spins": found.spins.values, "time": found.time.values}


def _like(mask, array):
    return mask.reshape(*mask.shape, *(1,) * (array.ndim - mask.ndim))


def agrees(job, part, whole):
    """What is there is what the unbroken run has."""
    for name, values in part.items():
        if job == "sweep":
            np.testing.assert_array_equal(values, np.where(values == 0, 0, whole[name]))
        else:
            np.testing.assert_array_equal(values, whole[name][: len(values)])


def run_to(job, folder, cache, count, delay):
    """Start the job, and kill it `delay` seconds after its `count`-th announcement.

    Returns whether it was killed before it was finished, and how many units it announced.
    """
    # each process is forked from one that has imported everything and started nothing
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.test_survival"])
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(job, folder, cache, theirs))
    process.start()
    theirs.close()
    told, timer = [], None
    with contextlib.suppress(EOFError):
        while True:
            told.append(ours.recv())
            if timer is None and count is not None and told.count("unit") >= count:
                timer = threading.Timer(delay, process.kill)
                timer.start()
    process.join()
    if timer is not None:
        timer.cancel()
    assert process.exitcode == (0 if "finished" in told else -signal.SIGKILL) or "finished" in told
    return "finished" not in told, told.count("unit")


@pytest.mark.slow
def test_fifty_kills(tmp_path, capsys):
    dice = random.Random(0)
    report = {}
    for job, kills in KILLS.items():
        whole = tmp_path / job / "unbroken"
        whole.mkdir(parents=True)
        cache = tmp_path / job / "cache"
        began = time.perf_counter()
        killed, number = run_to(job, whole, cache, None, 0.0)
        assert not killed
        number_all, expected = units(job, whole)
        assert number_all >= UNITS[job]
        done, rounds, story, killed = 0, 0, [], True
        while done < kills or killed:
            folder = tmp_path / job / f"round_{rounds}"
            folder.mkdir(exist_ok=True)
            before, _ = units(job, folder)
            # some before anything is finished, most after a few units
            count = dice.choice([0, *range(1, max(2, UNITS[job] // 5))]) if done < kills else None
            killed, number = run_to(job, folder, cache, count, dice.uniform(0, 0.4) if dice.random() < 0.7 else 0.0)
            there, content = units(job, folder)
            # the announced are there, and at most one that was finished but not announced
            assert before + number <= there <= before + number + 1
            assert rounds < kills, "the job is too short to be killed"
            agrees(job, content, expected)
            if killed:
                done += 1
                story.append(there - before)
            else:
                assert there == number_all
                for name in expected:
                    np.testing.assert_array_equal(content[name], expected[name])
                same_final(job, folder, whole)
                rounds += 1
        report[job] = {"kills": done, "resumed to the end": rounds, "units between": story}
        report[job]["seconds"] = round(time.perf_counter() - began)
    with capsys.disabled():
        print("\n" + json.dumps(report))
    assert {job: row["kills"] for job, row in report.items()} == KILLS


def same_final(job, folder, whole):
    """The last product too: the weights of the force field."""
    if job == "training":
        found, expected = (js.load_forcefield(path / "forcefield") for path in (folder, whole))
        for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
            np.testing.assert_array_equal(a, b)


# A kill while something is replaced


def spins_of(number, lattice):
    vectors = np.random.default_rng(number).normal(size=(number, *lattice.shape, 3))
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


@pytest.mark.parametrize("kind", ["trajectory", "forcefield"])
def test_a_kill_at_any_step_of_a_replacement_leaves_the_old_or_the_new(tmp_path, monkeypatch, kind):
    """Killed before its n-th renaming or removal, for every n: a reader finds one of them, whole, and nothing else."""
    lattice = js.chain(4)
    descriptor = js.Bispectrum(lattice, radius=1.0, bond_radius=1.0, bispectrum=False)
    models = [js.BehlerParrinello(descriptor=descriptor, hidden=(2,), key=jax.random.key(n)) for n in range(2)]
    path = tmp_path / "it"

    def write(new):
        if kind == "trajectory":
            save_trajectory(path, [0.0], spins_of(1, lattice) * (1 - 2 * new), lattice, overwrite=True)
        else:
            js.save_forcefield(path, models[new], metadata={"new": new}, overwrite=True)

    def read():
        if kind == "trajectory":
            with load_trajectory(path) as found:
                (flip,) = np.unique(np.sign(found.spins.values / spins_of(1, lattice)))
            return int(flip < 0)
        new = js.forcefield.load_metadata(path)["new"]
        for a, b in zip(jax.tree.leaves(js.load_forcefield(path)), jax.tree.leaves(models[new]), strict=True):
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
    path = save_trajectory(tmp_path / "it", [0.0], spins_of(1, lattice), lattice)
    renamed = Path.rename

    def refused(self, target):
        if self.name == ".it.partial":
            raise OSError(30, "Read-only file system")
        return renamed(self, target)

    monkeypatch.setattr(Path, "rename", refused)
    with pytest.raises(OSError, match=r"could not be written \(Read-only file system\), what is stored is as it was"):
        save_trajectory(path, [0.0, 1.0], spins_of(2, lattice), lattice, overwrite=True)
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
    spins = spins_of(6, lattice)
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
        save_trajectory(tmp_path / "run.zarr", [0.0], spins_of(1, js.chain(4)), js.chain(4))
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
    design = scale.grid(a=[1.0, 2.0])

    def counted(a):
        jax.debug.callback(lambda: calls.append(1))
        return {"b": a}

    known = scale.sweep(counted, design, store=folder / "known.zarr", progress=False).load()
    jax.effects_barrier()
    calls.clear()
    writer = TrajectoryWriter(folder / "run.zarr", js.chain(4))
    writer.append(0.0, spins_of(1, js.chain(4))[0])
    refusal = r"could not be written \(Permission denied\), what is stored is as it was; choose a path that can be"
    with read_only(folder):
        with pytest.raises(PermissionError, match=refusal):
            scale.sweep(counted, design, store=folder / "s.zarr", progress=False)
        with pytest.raises(PermissionError, match=refusal):
            save_trajectory(folder / "t.zarr", [0.0], spins_of(1, js.chain(4)), js.chain(4))
        with pytest.raises(PermissionError, match=refusal):
            writer.append(1.0, spins_of(1, js.chain(4))[0])
    assert not calls
    assert sorted(child.name for child in folder.iterdir()) == ["known.zarr", "run.zarr"]
    with scale.load_sweep(folder / "known.zarr") as found:
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
        writer.write(SpinData(lattice, spins_of(number, lattice), spins_of(number, lattice)))
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
    path = save_trajectory(tmp_path / "it", [0.0], spins_of(1, lattice), lattice)
    (tmp_path / ".it.replaced").mkdir()
    store.undo_replacement(path)
    with load_trajectory(path) as found:
        assert found.sizes["time"] == 1
    save_trajectory(path, [0.0, 1.0], spins_of(2, lattice), lattice, overwrite=True)
    assert [child.name for child in tmp_path.iterdir()] == ["it"]
