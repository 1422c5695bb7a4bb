"""Sweeps of points that take different times: each ends at its own, and little is wasted."""

import dataclasses
import json

import jax
import numpy as np

from jaxspin.sweeps import listed, load_sweep, results
from tests.sweeps import counter, run, same


def test_points_in_pieces_end_each_at_its_own_time(tmp_path):
    lengths = np.random.default_rng(0).permutation(40)
    found = run(counter(), listed(n=lengths), tmp_path / "s.zarr", batch=6)
    np.testing.assert_array_equal(found.pieces, lengths)
    np.testing.assert_array_equal(found.x[:, 1], 0.5**lengths)
    _unfinish_some(tmp_path / "s.zarr", listed(n=lengths), slice(7, 21))
    same(run(counter(), listed(n=lengths), tmp_path / "s.zarr", batch=6, resume=True), found)


def _unfinish_some(path, design, part):
    with load_sweep(path) as stored:
        identity = {k: v for k, v in json.loads(stored.attrs["sweep"]).items() if k != "format"}
    store = results.SweepStore.open(path, design, identity)
    store._put("x", np.arange(40)[part], np.full((len(np.arange(40)[part]), 2), 9.0))
    store.status[part] = 0
    store._whole("status", store.status)


def test_a_point_that_fails_in_pieces_leaves_the_others_alone(tmp_path):
    lengths = np.array([5, 3, 9, 4, 60, 2, 7, 6])
    bad = np.array([0, 0, 1, 0, 0, 0, 2, 0])
    found = run(counter(limit=20), listed(n=lengths, bad=bad), tmp_path / "s.zarr", batch=4)
    sound = [0, 1, 3, 5, 7]
    np.testing.assert_array_equal(found.x[sound, 0], 0.5 ** lengths[sound])
    assert (found.status.values[sound] == 1).all()
    reasons = found.reason.values
    assert reasons[2].endswith("the step is too long; halve it.")
    assert reasons[4] == "not done after 20 pieces"
    assert reasons[6] in ("the state is not finite", "x is not finite")
    assert (found.status.values[[2, 4, 6]] == 2).all()


def test_refilling_wastes_little(tmp_path, monkeypatch):
    """Rounds of work against those of batches that wait for their slowest point, and against none wasted."""
    lengths = np.ceil(np.random.default_rng(2).exponential(30, 160)).astype(int)
    calls = []

    def counted(state):
        jax.debug.callback(lambda: calls.append(1))
        return {**state, "k": state["k"] + 1}

    job = dataclasses.replace(counter(), advance=counted, result=lambda s: {"pieces": s["k"]})
    found = run(job, listed(n=lengths), tmp_path / "s.zarr", batch=16)
    jax.effects_barrier()
    np.testing.assert_array_equal(found.pieces, lengths)
    rounds, ideal = len(calls), lengths.sum() / 16
    waiting = sum(part.max() for part in lengths.reshape(10, 16))
    # under vmap a callback without arguments is called once a round
    assert ideal <= rounds < 1.35 * ideal
    assert waiting > 2.5 * ideal
