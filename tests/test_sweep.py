"""A sweep gives what a loop gives, keeps what is finished, says what failed, and compiles once per shape."""

import dataclasses
import itertools
import logging
import os
import shutil

import equinox as eqx
import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import jaxspin as js
from jaxspin.io import save_trajectory
from jaxspin.sweeps import Stepwise, grid, listed, load_sweep, random, results
from jaxspin.sweeps.batches import Batches, Slots, message
from jaxspin.sweeps.design import Caller
from tests.sweeps import DESIGN, counter, draw, run, same

# What comes out


def test_a_sweep_equals_a_loop_and_has_named_axes(tmp_path):
    found = run(draw, DESIGN, tmp_path / "s.zarr", dims={"spins": ("site", "component")})
    assert dict(found.sizes) == {"scale": 3, "seed": 5, "site": 2, "component": 3}
    assert found.spins.dims == ("scale", "seed", "site", "component")
    assert (found.status == 1).all()
    for scale, seed in itertools.product([0.5, 1.0, 2.0], range(5)):
        alone = jax.jit(draw)(scale, seed)
        point = found.sel(scale=scale, seed=seed)
        np.testing.assert_allclose(point.spins, alone["spins"], rtol=1e-14)
        np.testing.assert_allclose(point.total, alone["total"], rtol=1e-13)
    with xr.open_zarr(tmp_path / "s.zarr") as plain:
        xr.testing.assert_identical(plain.load(), found)


def test_a_list_and_random_points_have_the_axis_point(tmp_path):
    found = run(draw, listed(scale=[1.0, 2.0], seed=[7, 8]), tmp_path / "l.zarr")
    assert found.total.dims == ("point",)
    np.testing.assert_allclose(found.total[1], draw(2.0, 8)["total"], rtol=1e-13)
    np.testing.assert_array_equal(found.seed, [7, 8])
    design = random(200, {"scale": (0.5, 2.0)}, seed=(3, 6), key=jax.random.key(1))
    again = random(200, scale=(0.5, 2.0), seed=(3, 6), key=jax.random.key(1))
    for name in design.names:
        np.testing.assert_array_equal(design.values[name], again.values[name])
    assert set(design.values["seed"]) == {3, 4, 5}
    scale = design.values["scale"]
    assert 0.5 <= scale.min() < 0.55 < 1.95 < scale.max() <= 2.0
    assert abs(scale.mean() - 1.25) < 4 * 1.5 / np.sqrt(12 * 200)
    assert not np.array_equal(scale, random(200, scale=(0.5, 2.0), key=jax.random.key(2)).values["scale"])


@dataclasses.dataclass(frozen=True)
class Inner:
    coupling: float = 1.0

    def __post_init__(self):
        if self.coupling < 0:
            raise ValueError("coupling must not be negative; use 1.")


@dataclasses.dataclass(frozen=True)
class Config:
    side: int = 2
    inner: Inner = dataclasses.field(default_factory=Inner)
    kind: str = "sum"


def of_config(config):
    reduce = jnp.sum if config.kind == "sum" else jnp.max
    return {"value": reduce(config.inner.coupling * jnp.arange(config.side * 1.0)), "double": 2 * config.side}


def test_leaves_of_a_config_static_ones_and_text(tmp_path):
    design = grid({"inner.coupling": [1.0, 3.0]}, side=[2, 4], kind=["sum", "max"])
    found = run(of_config, design, tmp_path / "s.zarr", config=Config(), static=["side"])
    assert found.value.dims == ("inner.coupling", "side", "kind")
    for coupling, side, kind in itertools.product([1.0, 3.0], [2, 4], ["sum", "max"]):
        value = found.value.sel({"inner.coupling": coupling, "side": side, "kind": kind})
        assert value == coupling * (sum(range(side)) if kind == "sum" else side - 1)
    with pytest.raises(ValueError, match=r"point 1 \(inner.coupling = -1\) is refused: coupling must not be negative"):
        run(of_config, grid({"inner.coupling": [1.0, -1.0]}), tmp_path / "t.zarr", config=Config())
    with pytest.raises(ValueError, match="Inner has no field 'coupled'; its fields are coupling"):
        run(of_config, grid({"inner.coupled": [1.0]}), tmp_path / "t.zarr", config=Config())
    assert not (tmp_path / "t.zarr").exists()


def test_one_trace_and_one_compilation_a_shape(tmp_path, caplog):
    traces = []

    def counted(scale, side):
        traces.append(side)
        return {"x": scale * jnp.sum(jnp.ones(side))}

    with jax.log_compiles(), caplog.at_level(logging.WARNING):
        run(counted, grid(scale=np.arange(11.0), side=[2, 3]), tmp_path / "s.zarr", static=["side"])
    compiled = [line for line in caplog.messages if line.startswith("Finished XLA compilation of jit(sweep_batch)")]
    assert sorted(traces) == [2, 3]
    assert len(compiled) == 2


def test_precision_in_is_precision_out(tmp_path):
    with jax.enable_x64(False):
        found = run(lambda scale: {"x": scale}, grid(scale=[1.0, 0.1]), tmp_path / "s.zarr")
        with pytest.raises(ValueError, match="integers beyond 32 bits; use smaller ones, or switch on jax_enable_x64"):
            run(lambda seed: {"x": seed}, grid(seed=[2**40]), tmp_path / "t.zarr")
    assert found.x.dtype == np.float32
    assert found.scale.dtype == np.float64
    _unfinish(tmp_path / "s.zarr", grid(scale=[1.0, 0.1]))
    with pytest.raises(ValueError, match=r"holds the outputs .*float32.*; resume with the same function and precision"):
        run(lambda scale: {"x": scale}, grid(scale=[1.0, 0.1]), tmp_path / "s.zarr", resume=True)


def _unfinish(path, design):
    store = results.SweepStore.open(path, design, {})
    store.status[:] = 0
    store._whole("status", store.status)


# What fails


def test_failed_points_say_why_and_the_rest_is_unaffected(tmp_path):
    def fragile(scale, seed):
        found = draw(scale, seed)
        bad = (scale == 2.0) & (seed == 1)
        spins = eqx.error_if(found["spins"], bad, "the window is too narrow; give a wider one.")
        total = jnp.where((scale == 0.5) & (seed == 3), jnp.nan, found["total"])
        return {"spins": spins, "total": total, "converged": ~((scale == 1.0) & (seed == 4))}

    found = run(fragile, DESIGN, tmp_path / "s.zarr")
    sound = run(draw, DESIGN, tmp_path / "t.zarr")
    failed = {(0.5, 3): "total is not finite", (1.0, 4): "not converged", (2.0, 1): "too narrow; give a wider one."}
    for scale, seed in itertools.product([0.5, 1.0, 2.0], range(5)):
        point, other = found.sel(scale=scale, seed=seed), sound.sel(scale=scale, seed=seed)
        if (scale, seed) not in failed:
            assert (int(point.status), str(point.reason.values)) == (1, "")
            np.testing.assert_allclose(point.spins, other.spins, rtol=1e-14)
            np.testing.assert_allclose(point.total, other.total, rtol=1e-13)
        else:
            assert int(point.status) == 2
            assert failed[scale, seed] in str(point.reason.values)
    # what a failed point gave is kept, what it did not give is NaN
    np.testing.assert_array_equal(found.spins.sel(scale=0.5, seed=3), sound.spins.sel(scale=0.5, seed=3))
    assert np.isnan(found.spins.sel(scale=2.0, seed=1)).all()
    same(run(fragile, DESIGN, tmp_path / "s.zarr", resume=True), found)


def test_an_exception_while_tracing_fails_its_shape_alone(tmp_path):
    def picky(side):
        if side == 3:
            raise ValueError("3 sites do not close; use 4.")
        return {"x": jnp.ones(()) * side}

    found = run(picky, grid(side=[2, 3, 4]), tmp_path / "s.zarr", static=["side"])
    assert found.status.values.tolist() == [1, 2, 1]
    assert found.reason.values.tolist() == ["", "ValueError: 3 sites do not close; use 4.", ""]
    # killed when the sound ones were done: the one that is left is recorded as before
    store = results.SweepStore.open(tmp_path / "s.zarr", grid(side=[2, 3, 4]), {})
    store.status[1], store.reason[1] = 0, ""
    store._whole("status", store.status)
    same(run(picky, grid(side=[2, 3, 4]), tmp_path / "s.zarr", static=["side"], resume=True), found)
    with pytest.raises(ValueError, match="3 sites do not close"):
        run(picky, grid(side=[3]), tmp_path / "t.zarr", static=["side"])
    assert not (tmp_path / "t.zarr").exists()


def test_memory_that_runs_out_is_no_failure_of_a_point(tmp_path, monkeypatch):
    program = Batches(Caller(draw, DESIGN, None), DESIGN, {}, 4, jax.devices())

    def full(*arguments):
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 99 bytes.")

    program.compile()
    program._compiled = full
    with pytest.raises(MemoryError, match=r"does not fit in memory; give a smaller batch=\.\.\."):
        list(program.finished([np.arange(4)]))
    assert message(ValueError("")) == "ValueError: "


# What is refused


def test_bad_input_is_refused_before_any_work(tmp_path):
    store = tmp_path / "s.zarr"
    for call, remedy in (
        (lambda: grid(), r"at least one setting; give grid\(coupling=\[1.0, 2.0\]\)"),
        (lambda: grid(a=[]), r"a has values of shape \(0,\); give a list"),
        (lambda: grid(a=[1.0, 1.0]), "a holds a value twice; give each once, and repeat runs by an axis of seeds"),
        (lambda: grid(a=[1.0, np.nan]), "a value that is not finite; leave it out"),
        (lambda: grid(a=[None]), "values of type object; give numbers or text"),
        (lambda: grid(status=[1]), "'status' cannot name a setting; the store uses status, reason, point"),
        (lambda: listed(a=[1], b=[1, 2]), "different lengths.*; give one value of each setting per point"),
        (lambda: random(0, a=(0.0, 1.0), key=jax.random.key(0)), "give at least one of each"),
        (lambda: random(2, a=(1.0, 1.0), key=jax.random.key(0)), r"give \(low, high\) with low < high"),
        (lambda: run(draw, grid(scale=[1.0]), store), "cannot be called with scale .*; name the settings as its arg"),
        (lambda: run(draw, DESIGN, store, batch=0), "batch = 0 must be at least 1; 32 is the default"),
        (lambda: run(draw, DESIGN, store, static=["side"]), "static names side, which the design does not vary"),
        (lambda: run(draw, DESIGN, store, resume=True, overwrite=True), "give one of them"),
        (lambda: run(draw, DESIGN, store, dims={"spins": ("site",)}), r"name each axis once in dims"),
        (lambda: run(lambda a: a, grid(a=[1.0]), store), r"return a dictionary of arrays, such as \{'energy': e\}"),
        (lambda: run(lambda a: {"a": a}, grid(a=[1.0]), store), "an output cannot be called 'a'.*; rename it"),
        (lambda: run(lambda a: {"b": (a, a)}, grid(a=[1.0]), store), "'b' is a tuple; return each array under its own"),
        (lambda: run(lambda a: {"b": jax.random.key(1)}, grid(a=[1]), store), "return jax.random.key_data of it"),
        (
            lambda: run(lambda a: {"b": jnp.ones(a)}, grid(a=[1, 2]), store, static=["a"]),
            "return the same shapes, or sweep each on its own",
        ),
        (lambda: Stepwise(draw, draw, draw, draw, 0), "limit = 0 must be at least 1; it counts calls of advance"),
    ):
        with pytest.raises(ValueError, match=remedy):
            call()
        assert not store.exists()


def test_a_store_is_neither_replaced_nor_mixed(tmp_path):
    store = tmp_path / "s.zarr"
    found = run(draw, DESIGN, store, attributes={"side": 3})
    with pytest.raises(FileExistsError, match="choose another store, or pass resume=True or overwrite=True"):
        run(draw, DESIGN, store, attributes={"side": 3})
    for design, attributes, what in (
        (grid(scale=[0.5, 1.0], seed=range(5)), {"side": 3}, "design"),
        (DESIGN, {"side": 4}, "attributes"),
    ):
        with pytest.raises(ValueError, match=f"another {what}; give the same {what}, choose another store, or pass"):
            run(draw, design, store, attributes=attributes, resume=True)
    same(run(draw, DESIGN, store, attributes={"side": 3}, resume=True), found)
    small = run(draw, grid(scale=[1.0], seed=[0]), store, overwrite=True)
    assert small.total.shape == (1, 1)
    assert sorted(os.listdir(tmp_path)) == ["s.zarr"]
    save_trajectory(tmp_path / "t.zarr", [0.0], np.ones((1, 2, 2, 1, 3)) / 3**0.5, js.square(2))
    with pytest.raises(ValueError, match="holds no sweep; a trajectory is read with load_trajectory"):
        load_sweep(tmp_path / "t.zarr")


def test_a_batch_lowers_for_every_platform(tmp_path):
    lattice = js.triangular(2)

    def energy(coupling, filling, seed):
        solver = js.ExactDiagonalization(js.SDModel(lattice, 1.0, coupling), filling=filling, temperature=0.1)
        return {"energy": solver.energy(js.random_spins(lattice, key=jax.random.key(seed)))}

    design = grid(coupling=[1.0, 2.0], filling=[0.25, 0.5], seed=[0])
    with jax.enable_x64(False):
        job = dataclasses.replace(counter(), advance=lambda s: {**s, "k": s["k"] + 1})
        steps = listed(n=[1, 2])
        for program in (
            Batches(Caller(energy, design, None), design, {}, 4, jax.devices()[:1]),
            Slots(job, Caller(job.start, steps, None), steps, {}, 2, jax.devices()[:1]),
        ):
            exported = jax.export.export(program.program, platforms=("cpu", "cuda", "tpu"))(*program.example)
            assert exported.platforms == ("cpu", "cuda", "tpu")


def test_the_plan_comes_first_and_the_time_after_one_batch(tmp_path, capsys):
    run(draw, DESIGN, tmp_path / "s.zarr", progress=True)
    told = capsys.readouterr().out
    assert told.startswith("sweep of 15 points over scale (3), seed (5), 0 of them done, into ")
    assert "outputs spins float64 (2, 3), total float64 ()" in told
    assert "1 programs to compile, 4 points at once on 1 devices" in told
    assert "MB a device and batch" in told
    run(draw, DESIGN, tmp_path / "s.zarr", progress=True, resume=True)
    assert "15 of them done" in capsys.readouterr().out
    shutil.rmtree(tmp_path / "s.zarr")
