"""The store of a sweep: killed, interrupted, damaged, on a full disk, of many devices."""

import contextlib
import importlib
import json
import os
import resource
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import zarr.storage._local as local

from jaxspin.sweeps import grid, load_sweep, results
from jaxspin.sweeps.batches import Batches
from tests.helpers import Killed
from tests.sweeps import DESIGN, draw, run, same


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    return run(draw, DESIGN, tmp_path_factory.mktemp("whole") / "s.zarr")


def test_a_kill_at_any_file_leaves_finished_points_and_resumes_to_the_same_bits(tmp_path, monkeypatch, unbroken):
    """The process dies before it writes its n-th file, for every n up to the last."""
    monkeypatch.setattr(importlib.import_module("jaxspin.sweeps.sweep"), "_WRITING", np.inf)  # every batch on its own
    put, written, counts = local._put, [], []
    write = results.SweepStore.write

    def recorded(self, numbers, *arguments):
        write(self, numbers, *arguments)
        written.extend(numbers.tolist())

    monkeypatch.setattr(results.SweepStore, "write", recorded)
    puts = []
    monkeypatch.setattr(local, "_put", lambda *arguments, **options: puts.append(1) or put(*arguments, **options))
    run(draw, DESIGN, tmp_path / "counted.zarr")
    # one of the files of the new store, then every other one that the last batches write
    for survived in (4, *range(len(puts) - 9, len(puts), 2), len(puts)):
        store, left = tmp_path / f"{survived}.zarr", [survived]
        written.clear()

        def put_or_die(*arguments, left=left, **options):
            if left[0] == 0:
                raise Killed
            left[0] -= 1
            return put(*arguments, **options)

        monkeypatch.setattr(local, "_put", put_or_die)
        with contextlib.suppress(Killed):
            run(draw, DESIGN, store)
        monkeypatch.setattr(local, "_put", put)
        before = list(written)
        counts.append(len(before))
        if store.exists():
            with load_sweep(store) as partly:
                done = partly.status.values == 1
                assert set(np.flatnonzero(done.ravel())) == set(before)
                np.testing.assert_array_equal(partly.spins.values[done], unbroken.spins.values[done])
        else:
            assert not before
        same(run(draw, DESIGN, store, resume=True), unbroken)
        assert sorted(written) == list(range(15))  # nothing twice
    assert counts[0] == 0
    assert counts[-1] == 15
    assert len(set(counts)) >= 5


def test_fast_points_are_written_together_and_an_interrupt_keeps_them(tmp_path, monkeypatch, unbroken):
    write, sizes, finished = results.SweepStore.write, [], Batches.finished

    def slow(self, numbers, *arguments):
        sizes.append(len(numbers))
        write(self, numbers, *arguments)
        time.sleep(0.05)

    def interrupted(self, batches):
        for number, found in enumerate(finished(self, batches)):
            if number == 3:
                raise KeyboardInterrupt
            yield found

    monkeypatch.setattr(results.SweepStore, "write", slow)
    monkeypatch.setattr(Batches, "finished", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(draw, DESIGN, tmp_path / "s.zarr")
    assert sizes == [4, 8]
    monkeypatch.undo()
    same(run(draw, DESIGN, tmp_path / "s.zarr", resume=True), unbroken)


def test_left_over_parts_of_files_are_removed(tmp_path, unbroken):
    run(draw, DESIGN, tmp_path / "s.zarr")
    left = tmp_path / "s.zarr" / "total" / "c" / "0.0123.partial"
    left.write_bytes(b"half")
    same(run(draw, DESIGN, tmp_path / "s.zarr", resume=True), unbroken)
    assert not left.exists()


def test_a_damaged_store_or_one_of_another_version_is_refused_and_left_alone(tmp_path):
    store = tmp_path / "s.zarr"
    run(draw, DESIGN, store)
    chunk = next(path for path in (store / "total" / "c").rglob("*") if path.is_file())
    content = chunk.read_bytes()
    chunk.write_bytes(content[:-4])
    with pytest.raises(ValueError, match=r"is damaged: its array 'total' cannot be read.*; restore it from a copy, or"):
        run(draw, DESIGN, store, resume=True)
    chunk.write_bytes(content)
    meta = store / "zarr.json"
    whole = json.loads(meta.read_text())
    other = json.loads(whole["attributes"]["sweep"]) | {"format": 99}
    whole["attributes"]["sweep"] = json.dumps(other)
    meta.write_text(json.dumps(whole))
    with pytest.raises(ValueError, match="has format 99, this version reads 1; use the jaxspin that wrote it"):
        run(draw, DESIGN, store, resume=True)


def test_a_full_disk_stops_the_sweep_and_loses_nothing(tmp_path, monkeypatch):
    """The limit of the size of a file is the file system's own refusal, met by the largest file."""
    monkeypatch.setattr(importlib.import_module("jaxspin.sweeps.sweep"), "_WRITING", np.inf)

    def large(scale, seed):
        return {"noise": jnp.sin(scale) * jax.random.normal(jax.random.key(seed), (256,))}

    whole = run(large, DESIGN, tmp_path / "whole.zarr", batch=1)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (14000, limits[1]))
    try:
        with pytest.raises(OSError, match=r"File too large.*what is stored is as it was; raise the limit of the file"):
            run(large, DESIGN, tmp_path / "s.zarr", batch=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    with load_sweep(tmp_path / "s.zarr") as partly:
        done = partly.status.values == 1
        assert 3 < done.sum() < 15
        assert set(partly.reason.values.ravel()) == {""}
        np.testing.assert_array_equal(partly.noise.values[done], whole.noise.values[done])
    same(run(large, DESIGN, tmp_path / "s.zarr", batch=1, resume=True), whole)


def test_large_outputs_are_stored_in_chunks_in_any_order(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "_CHUNK_BYTES", 150)
    design, values = grid(a=range(4), b=range(5)), np.random.default_rng(0).normal(size=(20, 6))
    spec = {"x": jax.ShapeDtypeStruct((6,), np.float64)}
    store = results.SweepStore.create(tmp_path / "s.zarr", design, spec, {}, {}, overwrite=False)
    order = np.random.default_rng(1).permutation(20)
    for rows in np.array_split(order, 6):
        store.write(rows, {"x": values[rows]}, [""] * len(rows))
    with load_sweep(tmp_path / "s.zarr") as found:
        np.testing.assert_array_equal(found.x, values.reshape(4, 5, 6))
    assert len([path for path in (tmp_path / "s.zarr" / "x" / "c").rglob("*") if path.is_file()]) == 8


# Where it runs


SHARDED = """
import jax, numpy as np, sys
jax.config.update("jax_enable_x64", True)
from jaxspin.sweeps import listed, sweep
from tests.sweeps import DESIGN, counter, draw
assert jax.device_count() == 4
lengths = np.random.default_rng(0).permutation(40)
sweep(draw, DESIGN, store=f"{sys.argv[1]}/s.zarr", batch=6, progress=False)
sweep(counter(), listed(n=lengths), store=f"{sys.argv[1]}/pieces.zarr", batch=8, progress=False)
"""


def test_four_devices_give_what_one_gives(tmp_path, unbroken):
    flags = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=4"
    done = subprocess.run(
        [sys.executable, "-c", SHARDED, str(tmp_path)],
        env={**os.environ, "XLA_FLAGS": flags},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with load_sweep(tmp_path / "s.zarr") as four:
        assert (four.status == 1).all()
        np.testing.assert_allclose(four.spins, unbroken.spins, rtol=1e-14)
        np.testing.assert_allclose(four.total, unbroken.total, rtol=1e-13)
    with load_sweep(tmp_path / "pieces.zarr") as four:
        np.testing.assert_array_equal(four.x[:, 0], 0.5 ** np.random.default_rng(0).permutation(40))
