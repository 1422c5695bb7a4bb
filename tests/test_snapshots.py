"""OVF and VTK files: what was put in comes out, and other programs' files are read or refused."""

import numpy as np
import pytest

from jaxspin.io import load_ovf, save_ovf, save_vtk
from jaxspin.lattice import honeycomb, kagome, square, triangular
from tests.helpers import LATTICES, SKEWED, frames


def snapshot(lattice, dtype=np.float64):
    return frames(lattice, 1, dtype)[0]


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
    spins, lattice, lengths = load_ovf(tmp_path / "m.ovf", lengths=True)
    assert lattice.cells == (2, 3)
    assert lattice.vectors == ((1.0, 0.0), (0.0, 2.0))
    assert lattice.periodic == (False, False)
    np.testing.assert_allclose((spins * lengths[..., None])[1, 2, 0], values.reshape(3, 2, 3)[2, 1], rtol=1e-15)
    np.testing.assert_allclose(np.linalg.norm(spins, axis=-1), 1, rtol=1e-15)
    np.testing.assert_array_equal(load_ovf(tmp_path / "m.ovf")[0], spins)


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
    with pytest.raises(ValueError, match=r"which needs \(3, 3, 1, 3\); reshape"):
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
    with pytest.raises(ValueError, match=r"which needs \(3, 3, 1, 3\); reshape"):
        save_vtk(tmp_path / "s.vtk", spins, square(3))
    save_vtk(tmp_path / "s.vtk", spins, square(2))
    with pytest.raises(FileExistsError, match="pass overwrite=True"):
        save_vtk(tmp_path / "s.vtk", spins, square(2))
