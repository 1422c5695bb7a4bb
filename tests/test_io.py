"""Files give back what was put in, say what they hold, and are never half written or silently replaced."""

import contextlib
import dataclasses
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
    load_ovf,
    load_trajectory,
    new_folder,
    provenance,
    save_ovf,
    save_trajectory,
    save_vtk,
    to_json,
)
from jaxspin.lattice import Lattice, chain, cubic, honeycomb, kagome, square, triangular

LATTICES = [chain(5), square(4, 3), triangular(4, 3, periodic=(True, False)), kagome(3, 2), cubic(2, 3, 4)]
SKEWED = Lattice("oblique", ((2.0, 0.0), (0.3, 1.7)), ((0.0, 0.0), (1.0, 0.4)), (3, 4), (True, True))


class Killed(Exception):
    pass


@dataclasses.dataclass(frozen=True)
class Config:
    coupling: float = 3.0
    where: Path = Path("out")


def frames(lattice, number, dtype=np.float64):
    vectors = np.random.default_rng(number).normal(size=(number, *lattice.shape, 3))
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(dtype)


def snapshot(lattice, dtype=np.float64):
    return frames(lattice, 1, dtype)[0]


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
    assert list(folder.iterdir()) == []
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
    with pytest.raises(FileExistsError, match="not a Zarr store and will not be replaced"):
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


# Snapshots for other programs


@pytest.mark.parametrize("lattice", [*LATTICES, honeycomb(3, 2), SKEWED], ids=lambda lattice: lattice.name)
@pytest.mark.parametrize(
    ("representation", "dtype"),
    [("text", np.float64), ("binary 8", np.float64), ("binary 4", np.float32), ("text", np.float32)],
)
def test_ovf_round_trip_is_exact(tmp_path, lattice, representation, dtype):
    spins = snapshot(lattice, dtype)
    path = save_ovf(tmp_path / "s.ovf", spins, lattice, representation=representation)
    back, found = load_ovf(path)
    np.testing.assert_array_equal(back.astype(dtype), spins)
    assert back.dtype == (np.float32 if representation == "binary 4" else np.float64)
    assert found == lattice


@pytest.mark.parametrize("lattice", [triangular(4, 3), kagome(3, 2)], ids=lambda lattice: lattice.name)
def test_ovf_without_positions_is_a_rectangular_mesh_in_the_same_order(tmp_path, lattice):
    spins = snapshot(lattice)
    save_ovf(tmp_path / "s.ovf", spins, lattice, positions=False, representation="text")
    back, found = load_ovf(tmp_path / "s.ovf")
    np.testing.assert_array_equal(back, spins)
    assert found == lattice
    foreign = [line for line in (tmp_path / "s.ovf").read_text().splitlines() if "Desc" not in line]
    (tmp_path / "s.ovf").write_text("\n".join(foreign))
    np.testing.assert_array_equal(load_ovf(tmp_path / "s.ovf", lattice)[0], spins)
    assert load_ovf(tmp_path / "s.ovf")[1].cells == (lattice.cells[0] * lattice.sublattices, lattice.cells[1])


def test_ovf_header_and_order_are_those_of_the_format(tmp_path):
    """x runs fastest, the mesh is rectangular, and the control number is the format's, little endian."""
    lattice = square(3, 2)
    spins = np.zeros((3, 2, 1, 3))
    spins[..., 0], spins[..., 1] = lattice.positions()[..., 0], lattice.positions()[..., 1]
    lines = save_ovf(tmp_path / "s.ovf", spins, lattice, representation="text").read_text().splitlines()
    assert lines[0] == "# OOMMF OVF 2.0"
    header = dict(line[2:].split(": ", 1) for line in lines if line.startswith("# ") and ": " in line)
    assert header["meshtype"] == "rectangular"
    assert [int(header[f"{axis}nodes"]) for axis in "xyz"] == [3, 2, 1]
    assert [float(header[f"{axis}stepsize"]) for axis in "xyz"] == [1, 1, 1]
    assert [float(header[key]) for key in ("xbase", "xmin", "xmax", "ymax", "zmin")] == [
        0,
        -0.5,
        2.5,
        1.5,
        -0.5,
    ]
    assert header["valuedim"] == "3"
    table = np.array([line.split() for line in lines if not line.startswith("#")], float)
    np.testing.assert_array_equal(table[:, :2], [[0, 0], [1, 0], [2, 0], [0, 1], [1, 1], [2, 1]])
    for representation, control in (("binary 4", "38b49649"), ("binary 8", "40de77832112dc42")):
        raw = save_ovf(tmp_path / "s.ovf", spins, lattice, representation=representation, overwrite=True).read_bytes()
        data = raw.split(f"# Begin: Data {representation.capitalize()}\n".encode())[1]
        assert data[: len(control) // 2].hex() == control


def test_ovf_points_of_an_irregular_mesh_are_at_the_sites_in_any_order(tmp_path):
    lattice = kagome(3, 2)
    spins = snapshot(lattice)
    path = save_ovf(tmp_path / "s.ovf", spins, lattice, representation="text")
    lines = path.read_text().splitlines()
    data = [line for line in lines if not line.startswith("#")]
    points = np.array([line.split() for line in data], float)
    for position, spin in zip(lattice.positions().reshape(-1, 2), spins.reshape(-1, 3), strict=True):
        row = points[np.argmin(np.sum((points[:, :2] - position) ** 2, axis=1))]
        np.testing.assert_allclose(row, [*position, 0, *spin], atol=1e-15)
    foreign = [line for line in lines if not line.startswith("# Desc")]
    start = foreign.index("# Begin: Data Text") + 1
    foreign[start : start + len(data)] = reversed(data)
    path.write_text("\n".join(foreign))
    np.testing.assert_array_equal(load_ovf(path, lattice)[0], spins)
    with pytest.raises(ValueError, match=r"without a lattice; pass load_ovf\(path, lattice\)"):
        load_ovf(path)
    with pytest.raises(ValueError, match="are not the sites of the lattice; pass the one they lie on"):
        load_ovf(path, kagome(2, 3))
    with pytest.raises(ValueError, match=r"holds 18 spins, the lattice 27; use lattice.resize"):
        load_ovf(path, kagome(3))


def test_a_rectangular_mesh_of_another_program_becomes_an_open_lattice(tmp_path):
    values = np.arange(2 * 3 * 3.0)
    sizes = {"xnodes": 2, "ynodes": 3, "znodes": 1, "xstepsize": 5e-9, "ystepsize": 1e-8, "zstepsize": 1e-9}
    header = "".join(f"# {name}: {value}\n" for name, value in sizes.items())
    (tmp_path / "m.ovf").write_bytes(
        b"# OOMMF OVF 2.0\n#\n# Segment count: 1\n# Begin: Segment\n# Begin: Header\n# Title: m\n"
        b"# meshtype: rectangular\n# meshunit: m\n# valuedim: 3  ## a comment\n"
        + header.encode()
        + b"# End: Header\n# Begin: Data Binary 8\n"
        + np.array([123456789012345.0, *values], "<f8").tobytes()
        + b"\n# End: Data Binary 8\n# End: Segment\n"
    )
    spins, lattice = load_ovf(tmp_path / "m.ovf")
    assert lattice.cells == (2, 3)
    assert lattice.vectors == ((1.0, 0.0), (0.0, 2.0))
    assert lattice.periodic == (False, False)
    np.testing.assert_array_equal(spins[1, 2, 0], values.reshape(3, 2, 3)[2, 1])


def test_ovf_on_a_lattice_of_other_cells_is_refused(tmp_path):
    path = save_ovf(tmp_path / "s.ovf", snapshot(square(4, 2)), square(4, 2), representation="text")
    with pytest.raises(ValueError, match=r"of shape \(4, 2, 1\), not \(2, 4, 1\); leave the lattice out"):
        load_ovf(path, square(2, 4))
    assert load_ovf(path, square(4, 2, periodic=False))[1].periodic == (False, False)
    path.write_text("\n".join(line for line in path.read_text().splitlines() if "Desc" not in line))
    with pytest.raises(ValueError, match=r"has \(4, 2, 1\) nodes along x, y, z, the lattice \(2, 4, 1\); pass"):
        load_ovf(path, square(2, 4))
    assert load_ovf(path, square(4, 2))[1] == square(4, 2)


@pytest.mark.parametrize("dtype", [np.int32, np.float16])
@pytest.mark.parametrize("representation", ["text", "binary 8"])
def test_ovf_of_other_types_is_in_double_precision(tmp_path, dtype, representation):
    lattice = kagome(2)
    spins = np.zeros((*lattice.shape, 3), dtype)
    spins[..., 2] = 1
    back, found = load_ovf(save_ovf(tmp_path / "s.ovf", spins, lattice, representation=representation))
    np.testing.assert_array_equal(back, spins)
    assert found == lattice


def test_a_damaged_or_foreign_ovf_file_is_refused(tmp_path):
    spins = snapshot(square(2))
    path = save_ovf(tmp_path / "s.ovf", spins, square(2))
    with pytest.raises(FileExistsError, match="pass overwrite=True"):
        save_ovf(path, spins, square(2))
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b"# OOMMF OVF 2.0", b"# OOMMF: rectangular mesh v1.0"))
    with pytest.raises(ValueError, match="convert older ones with OOMMF's avf2ovf"):
        load_ovf(path)
    path.write_bytes(raw.replace(np.array(123456789012345.0, "<f8").tobytes(), bytes(8)))
    with pytest.raises(ValueError, match="control number before the data is wrong; transfer the file again"):
        load_ovf(path)
    path.write_bytes(raw[:-120])
    with pytest.raises(ValueError, match="numbers where its header says 12; write it again"):
        load_ovf(path)
    with pytest.raises(ValueError, match="choose 'text', 'binary 4' or 'binary 8'"):
        save_ovf(tmp_path / "t.ovf", spins, square(2), representation="hex")
    with pytest.raises(ValueError, match=r"give \(3, 3, 1, 3\), one configuration"):
        save_ovf(tmp_path / "t.ovf", spins, square(3))


def read_vtk(path):
    """The sections of a legacy binary VTK file: keyword -> (arguments, big-endian numbers)."""
    data, found, at = path.read_bytes(), {}, 0
    kinds = {"double": ">f8", "float": ">f4", "int": ">i4"}

    def line():
        nonlocal at
        end = data.index(b"\n", at)
        text, at = data[at:end].decode(), end + 1
        return text

    found["magic"], found["title"], found["format"] = line(), line(), line()
    while at < len(data):
        word, *rest = line().split()
        count = {"POINTS": 3, "VECTORS": 3, "SCALARS": 1, "VERTICES": 2}.get(word)
        if word == "POINT_DATA":
            found["sites"] = int(rest[0])
        if count is None:
            found[word] = rest
            continue
        if word == "SCALARS":
            assert line() == "LOOKUP_TABLE default"
        rows = int(rest[0]) if word in ("POINTS", "VERTICES") else found["sites"]
        kind = ">i4" if word == "VERTICES" else kinds[rest[1]]
        values = np.frombuffer(data, kind, rows * count, at).reshape(rows, count)
        at += values.nbytes
        assert data[at : at + 1] == b"\n"
        at += 1
        found[word] = values
    return found


@pytest.mark.parametrize("lattice", LATTICES, ids=lambda lattice: lattice.name)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_vtk_has_every_spin_at_its_site(tmp_path, lattice, dtype):
    spins = snapshot(lattice, dtype)
    found = read_vtk(save_vtk(tmp_path / "s.vtk", spins, lattice))
    assert found["magic"] == "# vtk DataFile Version 3.0"
    assert found["VECTORS"].dtype.itemsize == spins.dtype.itemsize
    flat = lattice.positions().reshape(-1, lattice.dimension)
    for position, spin in zip(flat, spins.reshape(-1, 3), strict=True):
        near = np.argmin(np.sum((found["POINTS"][:, : lattice.dimension] - position) ** 2, axis=1))
        np.testing.assert_allclose(found["POINTS"][near, : lattice.dimension], position, atol=1e-15)
        np.testing.assert_array_equal(found["VECTORS"][near], spin)
    if lattice.sublattices == 1:
        assert found["DATASET"] == ["STRUCTURED_GRID"]
        assert list(map(int, found["DIMENSIONS"])) == [*lattice.cells, 1, 1][:3]
        assert found["POINTS"][1, 0] == 1.0  # the first lattice vector runs fastest
    else:
        np.testing.assert_array_equal(found["VERTICES"][:, 1], np.arange(lattice.sites))
        np.testing.assert_array_equal(found["SCALARS"][:3, 0], [0, 1, 2])


def test_vtk_refuses_another_shape_name_or_existing_file(tmp_path):
    spins = snapshot(square(2))
    with pytest.raises(ValueError, match=r"end the name in .vtk"):
        save_vtk(tmp_path / "s.txt", spins, square(2))
    with pytest.raises(ValueError, match=r"give \(3, 3, 1, 3\)"):
        save_vtk(tmp_path / "s.vtk", spins, square(3))
    save_vtk(tmp_path / "s.vtk", spins, square(2))
    with pytest.raises(FileExistsError, match="pass overwrite=True"):
        save_vtk(tmp_path / "s.vtk", spins, square(2))
