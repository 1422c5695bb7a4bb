"""What is finished survives: kills at any moment.

`pytest -m slow tests/test_survival.py` kills sweeps, data generation, training and quenches fifty times in all.
"""

import contextlib
import importlib
import json
import multiprocessing
import random
import signal
import threading
import time

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest

import jaxspin as js
from experiments import stages
from jaxspin import sweeps
from jaxspin.io import TrajectoryWriter, load_trajectory
from jaxspin.training import ShardWriter, SpinData, checkpoints

UNITS = {"sweep": 120, "data": 24, "training": 30, "quench": 40}
KILLS = {"sweep": 13, "data": 13, "training": 12, "quench": 12}  # fifty


# The jobs, each of units that are finished one after the other


def sweep(folder):
    lattice = js.triangular(2)

    def energy(coupling, seed):
        spins = js.random_spins(lattice, key=jax.random.key(seed))
        solver = js.ExactDiagonalization(js.SDModel(lattice, 1.0, coupling), filling=0.25, temperature=0.1)
        return {"energy": solver.energy(spins), "spins": spins}

    design = sweeps.grid(coupling=np.linspace(1.0, 3.0, 12), seed=range(2 * UNITS["sweep"] // 12))
    sweeps.sweep(energy, design, store=folder / "sweep.zarr", batch=2, resume=True, progress=False)


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
    js.forcefield.save(folder / "forcefield", learnt.model, overwrite=True)


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
    importlib.import_module("jaxspin.sweeps.sweep")._WRITING = np.inf  # every batch on its own, for kills in between
    announced(sweeps.results.SweepStore, "write", pipe.send)
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
        with sweeps.load_sweep(path) as found:
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
            story = checkpoints._read(manager, step, story=ocp.args.JsonRestore())
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
        found, expected = (js.forcefield.load(path / "forcefield") for path in (folder, whole))
        for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
            np.testing.assert_array_equal(a, b)
