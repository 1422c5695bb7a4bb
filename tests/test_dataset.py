"""A data set refuses bad labels, splits without leaks, and is the same after a trip to the disk."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from jaxspin.io import lattice_of
from jaxspin.lattice import honeycomb, triangular
from jaxspin.training.dataset import ShardWriter, SpinData

LATTICE = triangular(3)


def make(n=6, *, lattice=LATTICE, dtype=np.float64, seed=0, **options):
    rng = np.random.default_rng(seed)
    spins = rng.normal(size=(n, *lattice.shape, 3))
    spins /= np.linalg.norm(spins, axis=-1, keepdims=True)
    field = rng.normal(size=spins.shape)
    return SpinData(
        lattice,
        spins.astype(dtype),
        field.astype(dtype),
        **{"energy": rng.normal(size=n).astype(dtype), **options},
    )


def same(a: SpinData, b: SpinData):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(x, y)
        assert x.dtype == y.dtype
    assert (a.lattice, a.sources, a.attributes) == (b.lattice, b.sources, b.attributes)


def rows_of(part: SpinData, whole: SpinData):
    """Which configurations of `whole` are in `part`."""
    return [int(np.flatnonzero(np.asarray(whole.energy) == e)[0]) for e in np.asarray(part.energy)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("lattice", [LATTICE, honeycomb(2, 3, periodic=(True, False))], ids=lambda x: x.name)
def test_saved_and_loaded_is_the_same(tmp_path, dtype, lattice):
    data = make(
        4,
        lattice=lattice,
        dtype=dtype,
        source=["hot", "random", "hot", "all in"],
        run=[3, 3, 1, 1],
        has_energy=[True, False, True, True],
        attributes={"config": {"coupling": 3.0}, "note": "x"},
    )
    path = data.save(tmp_path / "data.zarr")
    same(SpinData.load(path), data)
    with xr.open_zarr(path) as plain:
        axes = ("configuration", "cell_1", "cell_2", "sublattice", "component")
        assert plain.spins.dims == plain.field.dims == axes
        assert (plain.field.units, plain.energy.units, plain.x.units) == ("t", "t", "a")
        assert json.loads(plain.attrs["config"]) == {"coupling": 3.0}
        assert plain.attrs["note"] == "x"
        assert lattice_of(plain) == lattice
        assert plain.source.attrs["flag_meanings"].split() == ["all_in", "hot", "random"]
    with pytest.raises(FileExistsError, match=r"pass overwrite=True\.$"):
        data.save(path)
    same(SpinData.load(make(2).save(path, overwrite=True)), make(2))


def test_it_is_a_pytree_that_jit_and_vmap_take():
    data = make(5, attributes={"a": [1, 2]})
    assert float(jax.jit(lambda d: d.torque_scale)(data)) == pytest.approx(float(data.torque_scale))
    assert jax.vmap(lambda s, b: jnp.sum(s * b))(data.spins, data.field).shape == (5,)
    batch = jax.jit(lambda d, rows: jax.tree.map(lambda x: x[rows], d))(data, jnp.array([4, 0]))
    same(batch, data[[4, 0]])


def test_selection_keeps_rows_together():
    data = make(6, source=["a", "b", "a", "b", "a", "b"])
    mask = np.array([name == "b" for name in data.sources])
    assert data[mask].sources == ("b", "b", "b")
    same(data[1::2], data[mask])
    same(data[4], data[4:5])
    np.testing.assert_array_equal(data[[5, 0]].spins, data.spins[np.array([5, 0])])
    with pytest.raises(ValueError, match="no configuration of 6 is selected; choose at least one"):
        data[6:]


def test_torque_scale_is_the_rms_field_in_the_tangent_plane():
    """Against |S x B| worked out apart, with the parallel part blown up and a vacancy that must not count."""
    data = make(4)
    spins = np.array(data.spins)
    spins[:, 0, 0, 0] = 0
    field = np.asarray(data.field) + 100 * spins
    torque = np.linalg.norm(np.cross(spins, field), axis=-1)[:, np.linalg.norm(spins[0], axis=-1) > 0]
    # |S| = 1 to rounding, and the parallel part is 100 times the torque
    expected = np.sqrt(np.mean(torque**2))
    assert float(SpinData(LATTICE, spins, field).torque_scale) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("parts", [(0.5, 0.25, 0.25), (10, 5, 5), (0.5, 0.1)])
def test_a_split_is_disjoint_random_and_of_the_sizes_asked_for(parts, key):
    data = make(20)
    found = data.split(parts, key=key)
    sizes = [round(20 * p) if isinstance(p, float) else p for p in parts]
    assert [len(part) for part in found] == sizes
    rows = [row for part in found for row in rows_of(part, data)]
    assert len(set(rows)) == len(rows) == sum(sizes)
    assert rows != sorted(rows)
    for a, b in zip(found, data.split(parts, key=key), strict=True):
        same(a, b)
    other = data.split(parts, key=jax.random.key(99))
    assert rows_of(other[0], data) != rows_of(found[0], data)


def test_a_split_by_run_never_cuts_a_run(key):
    data = make(40, run=np.repeat(np.arange(10), 4))
    train, test = data.split((0.8, 0.2), key=key, by="run")
    assert not set(np.asarray(train.run).tolist()) & set(np.asarray(test.run).tolist())
    assert (len(train), len(test)) == (32, 8)
    rows = rows_of(train, data)
    assert sorted(rows + rows_of(test, data)) == list(range(40))
    mixed = data.split((0.8, 0.2), key=key, by="configuration")  # which the plain split does
    assert set(np.asarray(mixed[0].run).tolist()) & set(np.asarray(mixed[1].run).tolist())


@pytest.mark.parametrize("seed", range(5))
def test_held_out_blocks_have_no_neighbours_in_time_in_training(seed):
    """Of each run of 20 nothing within 2 frames of what is held out is learnt from; the rest is."""
    run = np.concatenate([np.repeat([0, 1, 2], 20), np.arange(3, 13)])
    data = make(70, run=run)
    held, fitted = (rows_of(part, data) for part in data.split((0.2, 0.8), key=jax.random.key(seed)))
    assert not set(held) & set(fitted)
    frames, alone = [row for row in held if row < 60], [row for row in held if row >= 60]
    assert (len(frames), len(alone)) == (12, 2)
    lost = set(range(70)) - set(held) - set(fitted)
    near = {row for row in range(60) for other in frames if row // 20 == other // 20 and abs(row - other) <= 2}
    assert lost == near - set(frames)
    assert 0 < len(lost) <= 8
    runs = np.array(sorted(frames))
    assert np.sum(np.diff(runs) > 1) <= 2  # in one or two blocks
    with pytest.raises(ValueError, match="fraction of a run"):
        data.split((0.2, 0.8), key=jax.random.key(seed), gap=1.0)


def test_an_impossible_split_is_refused(key):
    data = make(6, run=[0, 0, 0, 0, 0, 0])
    with pytest.raises(ValueError, match="give positive counts up to that in all, or fractions up to 1 in all"):
        data.split((5, 2), key=key)
    with pytest.raises(ValueError, match="fractions up to 1 in all"):
        data.split((0.8, 0.3), key=key)
    with pytest.raises(ValueError, match="1 runs leave one empty; make it larger, or sample more"):
        data.split((0.5, 0.5), key=key, by="run")
    with pytest.raises(ValueError, match="choose by='block', by='run' or by='configuration'"):
        data.split((0.5, 0.5), key=key, by="time")


def test_concatenation_undoes_slicing_and_keeps_runs_apart():
    data = make(6, source=["a", "b", "a", "c", "c", "b"], run=np.arange(6))
    same(SpinData.concatenate([data[:2], data[2:3], data[3:]])[:2], data[:2])
    joined = SpinData.concatenate([make(3, run=[0, 0, 1], energy=None), make(2, seed=1, run=[0, 1])])
    assert np.asarray(joined.run).tolist() == [0, 0, 1, 2, 3]
    assert np.asarray(joined.has_energy).tolist() == [False, False, False, True, True]
    with pytest.raises(ValueError, match="one lattice and one precision"):
        SpinData.concatenate([make(2), make(2, lattice=triangular(4))])
    with pytest.raises(ValueError, match="one lattice and one precision"):
        SpinData.concatenate([make(2), make(2, dtype=np.float32)])


def test_absent_energies_are_marked_and_nan():
    data = make(3, energy=None)
    assert not data.has_energy.any()
    assert np.isnan(data.energy).all()
    assert data.energy.dtype == data.spins.dtype


def test_bad_data_are_refused_with_the_configuration_and_the_remedy():
    good = make(4)
    spins, field = np.array(good.spins), np.array(good.field)
    long = spins.copy()
    long[2, 1, 0, 0] *= 1.5
    match = r"configuration 2 has a spin of length 1\.5 at site \(1, 0, 0\); .*normalize\(spins\)\.$"
    with pytest.raises(ValueError, match=match):
        SpinData(LATTICE, long, field)
    long[2, 1, 0, 0] = np.nan
    with pytest.raises(ValueError, match="configuration 2 has a spin of length nan"):
        SpinData(LATTICE, long, field)
    holes = spins.copy()
    holes[:, 0, 0, 0] = 0
    assert len(SpinData(LATTICE, holes, field)) == 4
    bad = field.copy()
    bad[3, 0, 0, 0, 1] = np.inf
    with pytest.raises(ValueError, match="field of configuration 3 is not finite; leave it out, or compute it again"):
        SpinData(LATTICE, spins, bad)
    with pytest.raises(ValueError, match="energy of configuration 1 is not finite; leave it out"):
        SpinData(LATTICE, spins, field, [0.0, np.nan, 0.0, 0.0])
    SpinData(LATTICE, spins, field, [0.0, np.nan, 0.0, 0.0], has_energy=[True, False, True, True])
    with pytest.raises(ValueError, match=r"give \(n, 3, 3, 1, 3\) with n at least 1"):
        SpinData(LATTICE, spins[0], field[0])
    with pytest.raises(ValueError, match="differ; give one B per spin"):
        SpinData(LATTICE, spins, field[:2])
    for name in ("energy", "run", "source", "has_energy"):
        with pytest.raises(ValueError, match=rf"{name} has shape \(3,\); give 4 values, one per configuration"):
            make(4, **{name: ["a"] * 3 if name == "source" else [1, 0, 1]})


def test_shards_load_as_one_and_a_kill_loses_only_the_last(tmp_path):
    writer = ShardWriter(tmp_path / "shards")
    parts = [make(n, seed=n, source=f"s{n}", run=[0] * n) for n in (2, 3)]
    for part in parts:
        writer.write(part)
    same(SpinData.load(tmp_path / "shards"), SpinData.concatenate(parts))
    assert np.asarray(SpinData.load(tmp_path / "shards").run).tolist() == [0, 0, 1, 1, 1]
    half = tmp_path / "shards" / ".shard_00002.zarr.partial"  # what a kill leaves while a shard is written
    half.mkdir()
    (half / "zarr.json").write_text("{")
    same(SpinData.load(tmp_path / "shards"), SpinData.concatenate(parts))
    with pytest.raises(FileExistsError, match=r"holds 2 shards; choose another folder or pass append=True\.$"):
        ShardWriter(tmp_path / "shards")
    again = ShardWriter(tmp_path / "shards", append=True)
    assert again.write(make(1)).name == "shard_00002.zarr"
    assert len(SpinData.load(tmp_path / "shards")) == 6
    assert not half.exists()


def test_other_stores_are_not_data(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"give the folder that holds its zarr\.json"):
        SpinData.load(tmp_path / "none")
    xr.Dataset({"spins": ("time", np.zeros(2))}).to_zarr(tmp_path / "run.zarr", consolidated=False)
    with (
        pytest.warns(RuntimeWarning),
        pytest.raises(ValueError, match="a trajectory is read with load_trajectory"),
    ):
        SpinData.load(tmp_path / "run.zarr")
