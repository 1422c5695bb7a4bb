"""Files of Wannier90: what was written is read, iron has its known levels, and damage is told with file and line."""

import re

import numpy as np
import pytest

import jaxspin as js
from jaxspin.io.wannier import k_mesh
from tests.wannier_files import (
    CELL,
    IRON,
    offsets_within,
    random_matrices,
    write_centres,
    write_hr,
    write_magnet,
    write_tb,
    write_window,
)

# half a unit of the sixth decimal, divided by nothing
DIGITS = 1e-6
K = np.random.default_rng(0).normal(size=(5, 3))
TWO = [("Fe", (0.0, 0.0, 0.0)), ("O", (0.5, 0.5, 0.5))]


@pytest.fixture(scope="module")
def iron():
    return js.io.read_wannier90(*js.io.example("bcc_iron"))


def fourier(offsets, values, k):
    return sum(np.exp(2j * np.pi * (k @ r))[:, None, None] * h for r, h in zip(offsets, values, strict=True))


def test_iron_has_the_levels_that_another_program_found(iron):
    """Numbers made without the package, in the README beside the files' source; majority first here."""
    levels = iron.bands(k_mesh(12))
    assert levels.shape == (2, 1728, 9)
    np.testing.assert_allclose(levels.min((1, 2)), [4.4351, 4.5549], atol=5e-5)
    np.testing.assert_allclose(levels.max((1, 2)), [44.3050, 45.4031], atol=5e-5)
    for mesh, known in ((8, 12.6508), (12, 12.6606)):
        assert abs(iron.fermi_level(8.0, 0.05, mesh) - known) < 5e-5
    held = 0.5 - 0.5 * np.tanh((levels - iron.fermi_level(8.0, 0.05, 12)) / 0.1)
    up, down = held.sum((1, 2)) / 1728
    assert abs(up + down - 8) < 1e-9
    assert abs(up - down - 2.268) < 5e-4
    np.testing.assert_allclose(iron.cell / 1.435, [[1, 1, 1], [-1, 1, 1], [-1, -1, 1]], atol=1e-5)
    np.testing.assert_allclose(iron.onsite_splitting(0)[[0, 3]], [-2.68, -2.03], atol=0.01)


@pytest.mark.parametrize("ending", ["_hr.dat", "_hr.dat.gz", "_tb.dat"])
def test_what_was_written_is_read(tmp_path, ending):
    weights = None if ending == "_tb.dat" else 1 + np.abs(offsets_within()).sum(-1)
    offsets, up, down = write_magnet(tmp_path, ending=ending, weights=weights)
    found = js.io.read_wannier90(tmp_path / "up", str(tmp_path / f"down{ending}"))
    np.testing.assert_array_equal(found.offsets, offsets)
    np.testing.assert_allclose(found.up, up, atol=DIGITS)
    np.testing.assert_allclose(found.down, down, atol=DIGITS)
    np.testing.assert_allclose(found.cell, CELL, atol=1e-7)
    assert (found.names, found.owners.tolist(), found.unit) == (("Fe",), [0, 0], "eV")
    np.testing.assert_allclose(found.matrix(K)[0], fourier(offsets, up, K), atol=1e-5)
    np.testing.assert_allclose(found.bands(K)[1], np.linalg.eigvalsh(fourier(offsets, down, K)), atol=1e-5)


def test_bohr_and_cells_of_tb_files(tmp_path):
    write_magnet(tmp_path)
    write_window(tmp_path / "up.win", IRON, 2, unit="bohr")
    np.testing.assert_allclose(js.io.read_wannier90(tmp_path / "up", tmp_path / "down").cell, CELL, atol=1e-6)
    tb = tmp_path / "tb"
    tb.mkdir()
    write_magnet(tb, ending="_tb.dat")
    (tb / "up.win").unlink()
    with pytest.raises(ValueError, match="has no atoms; write the block atoms_frac"):
        js.io.read_wannier90(tb / "up", tb / "down")
    write_centres(tb / "up_centres.xyz", np.zeros((2, 3)), IRON)
    write_centres(tb / "down_centres.xyz", np.zeros((2, 3)), IRON)
    np.testing.assert_allclose(js.io.read_wannier90(tb / "up", tb / "down").cell, CELL, atol=1e-9)


def spinor_files(folder, blocks):
    """Two atoms with an orbital each, all four spinors in one of the two orders."""
    offsets = offsets_within()
    values = random_matrices(offsets, 4, 3)  # up and down of the first, then of the second
    centres = np.array([place for _, place in TWO]) @ CELL
    order = [0, 2, 1, 3] if blocks else [0, 1, 2, 3]
    write_hr(folder / "soc_hr.dat", offsets, values[:, order][:, :, order])
    write_window(folder / "soc.win", TWO, 4, spinors=True)
    write_centres(folder / "soc_centres.xyz", np.repeat(centres, 2, 0)[order], TWO)
    return offsets, values


@pytest.mark.parametrize(("blocks", "name"), [(False, "interleaved"), (True, "blocks")])
def test_spinors_in_both_orders(tmp_path, blocks, name):
    offsets, values = spinor_files(tmp_path, blocks)
    found = js.io.read_wannier90(tmp_path / "soc", spinors=name)
    np.testing.assert_allclose(found.up, values[:, ::2, ::2], atol=DIGITS)
    np.testing.assert_allclose(found.mixing, values[:, ::2, 1::2], atol=DIGITS)
    assert (found.orbitals, found.owners.tolist(), found.is_collinear) == (2, [0, 1], False)
    assert found.bands(K).shape == (1, 5, 4)
    np.testing.assert_allclose(found.bands(K)[0], np.linalg.eigvalsh(fourier(offsets, values, K)), atol=1e-5)
    sigma = np.array([[[1, 0], [0, 1]], [[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])
    whole = np.einsum("crab,cst->rasbt", found.pauli(), sigma).reshape(len(offsets), 4, 4)
    np.testing.assert_allclose(whole, values, atol=DIGITS)
    with pytest.raises(ValueError, match="no single axis, take its parts from pauli"):
        found.model_parts()
    other = {"interleaved": "blocks", "blocks": "interleaved"}[name]
    with pytest.raises(ValueError, match=f"are {name}: .* give spinors='{name}'"):
        js.io.read_wannier90(tmp_path / "soc", spinors=other)
    small, error = found.truncated(size=1.0)
    assert 0 < error < 10
    assert len(small.offsets) < len(offsets)


def test_an_orbital_is_counted_in_the_cell_of_its_atom(tmp_path):
    """Its centre may be written a lattice vector away; bands stay, and its hoppings to its own atom are on site."""
    offsets, up, down = offsets_within(), *(random_matrices(offsets_within(), 2, seed) for seed in (1, 2))
    for name, values in (("up", up), ("down", down)):
        write_hr(tmp_path / f"{name}_hr.dat", offsets, values)
    write_window(tmp_path / "up.win", TWO, 2)
    home = np.array([place for _, place in TWO]) @ CELL + 0.02
    write_centres(tmp_path / "up_centres.xyz", home + np.array([CELL[0] - CELL[2], np.zeros(3)]), TWO)
    found = js.io.read_wannier90(tmp_path / "up", tmp_path / "down")
    assert found.owners.tolist() == [0, 1]
    np.testing.assert_allclose(found.centres, home, atol=1e-7)
    np.testing.assert_allclose(found.bands(K)[0], np.linalg.eigvalsh(fourier(offsets, up, K)), atol=1e-5)
    # the first orbital was written in cell (1, 0, -1): seen from its atom, what was in cell 0 is in (-1, 0, 1)
    place = np.flatnonzero((found.offsets == [-1, 0, 1]).all(-1))[0]
    here = np.flatnonzero(~offsets.any(-1))[0]
    np.testing.assert_allclose(found.up[place][0, 1], up[here][0, 1], atol=DIGITS)


def test_owners(tmp_path):
    write_magnet(tmp_path)
    write_window(tmp_path / "up.win", TWO, 2)
    seeds = tmp_path / "up", tmp_path / "down"
    with pytest.raises(ValueError, match=r"which of the 2 atoms owns .* write_xyz = true, .* or give owners="):
        js.io.read_wannier90(*seeds)
    found = js.io.read_wannier90(*seeds, owners=[1, 0])
    assert found.owners.tolist() == [1, 0]
    np.testing.assert_allclose(found.centres, found.positions[[1, 0]])
    write_centres(tmp_path / "down_centres.xyz", [[0, 0, 0], CELL.sum(0) / 4], TWO)
    with pytest.raises(ValueError, match=r"orbital 2 of .* Angstrom from two atoms; give owners="):
        js.io.read_wannier90(*seeds)
    assert js.io.read_wannier90(*seeds, owners=[0, 1]).owners.tolist() == [0, 1]


def test_bands_along_the_path(tmp_path, iron):
    write_magnet(tmp_path)
    found = js.io.read_wannier90(tmp_path / "up", tmp_path / "down").bands_on_path(5)
    assert found.labels == ("G", "X", "M|R", "G")
    np.testing.assert_array_equal(found.k[[0, -1]], np.zeros((2, 3)))
    assert found.energies.shape == (2, len(found.k), 2)
    # G to X is half a reciprocal vector
    step = np.linalg.norm(np.pi * np.linalg.inv(CELL).T[0])
    assert abs(found.ticks[1] - step) < 1e-6
    assert np.all(np.diff(found.distances) >= 0)
    bare = js.io.WannierHamiltonian(*(getattr(iron, name) for name in list(iron.__dataclass_fields__)[:8]))
    with pytest.raises(ValueError, match="there is no path; give path="):
        bare.bands_on_path()


def test_parts_of_a_model_give_both_spins_back(iron):
    parts = iron.model_parts()
    home = ~iron.offsets.any(-1)
    whole = parts.split + home[:, None, None] * parts.exchange
    np.testing.assert_allclose(parts.hopping - whole, iron.up, atol=1e-12)
    np.testing.assert_allclose(parts.hopping + whole, iron.down, atol=1e-12)
    assert (parts.atoms, parts.owners, parts.left_out) == ((0,), (0,) * 9, 0.0)
    assert not parts.split[home].any()  # all of the on-site part is M
    np.testing.assert_allclose(2 * np.linalg.eigvalsh(parts.exchange), -iron.onsite_splitting(0)[::-1], atol=1e-12)
    assert np.linalg.eigvalsh(parts.exchange)[-1] > 1.3  # positive: the majority is lower where S points up
    with pytest.raises(ValueError, match=r"magnetic atoms \(1,\) are not among 0 to 0; name some"):
        iron.model_parts(magnetic=[1])
    assert iron.magnetic_atoms(threshold=3.0) == ()
    lattice = iron.lattice(np.int64(3))
    assert (lattice.name, lattice.cells, len(lattice.shell(1))) == ("Fe", (3, 3, 3), 4)
    assert abs(lattice.shell(1)[0].length - 2.4855) < 1e-3


def test_parts_between_orbitals_without_owner_are_left_out(tmp_path):
    _, up, down = write_magnet(tmp_path)
    write_window(tmp_path / "up.win", [*IRON, ("O", (0.5, 0.5, 0.5))], 2)
    found = js.io.read_wannier90(tmp_path / "up", tmp_path / "down", owners=[1, 0])
    parts = found.model_parts(magnetic=[1])
    assert (parts.atoms, parts.owners) == ((1,), (0, None))
    assert not parts.split[:, 1, 1].any()
    assert abs(parts.left_out - np.max(np.abs(up - down)[:, 1, 1]) / 2) < DIGITS
    np.testing.assert_allclose(parts.split[:, 0, 1], (down - up)[:, 0, 1] / 2, atol=DIGITS)
    assert not parts.exchange.ravel()[1:].any()


def test_truncation_tells_its_error(iron):
    whole, none = iron.truncated(size=0.0, mesh=2)
    assert none < 1e-12
    assert len(whole.offsets) == len(iron.offsets)
    small, error = iron.truncated(size=0.05, mesh=4)
    assert np.all(np.abs(np.stack([small.up, small.down])).max(0)[small.up != 0] >= 0.05)
    k = k_mesh(4)
    assert abs(np.max(np.abs(small.bands(k) - iron.bands(k))) - error) < 1e-12
    assert 0.1 < error < 10
    assert iron.truncated(size=0.05, mesh=4, window=(4.0, 14.0))[1] <= error
    near, _ = iron.truncated(distance=3.0, mesh=1)
    assert len(near.offsets) == 1 + 8 + 6
    with pytest.raises(ValueError, match="give distance= in Angstrom or size="):
        iron.truncated()
    with pytest.raises(ValueError, match=r"no level lies in the window \(90, 95\) eV"):
        iron.truncated(size=0.1, window=(90, 95), mesh=1)


def damaged(old, new):
    """Changes the text of down_hr.dat."""

    def change(folder):
        path = folder / "down_hr.dat"
        text = path.read_text()
        assert len(re.findall(old, text)) >= 1
        path.write_text(re.sub(old, new, text, count=1))

    return change


def other_mesh(folder):
    offsets = offsets_within()[::-1]
    write_hr(folder / "down_hr.dat", offsets, random_matrices(offsets, 2, 2))


def more_orbitals(folder):
    write_hr(folder / "down_hr.dat", offsets_within(), random_matrices(offsets_within(), 3, 2))


def no_partner(folder):
    offsets = offsets_within()[:-1]
    for name in ("up", "down"):
        write_hr(folder / f"{name}_hr.dat", offsets, np.zeros((len(offsets), 2, 2), complex))


# 1 + 2 + 2 lines of head, then 27 x 4
DAMAGE = {
    "cut short": (
        damaged(r"(?s)\n[^\n]*\n[^\n]*\n$", "\n"),
        r"down_hr\.dat, line 112: .*ends here, 2 lines before .*cut short",
    ),
    "no number": (
        damaged(r" 0\.\d{6}\n", " ********\n"),
        r"down_hr\.dat, line \d+: .*\*\*\* *' is not 7 numbers; give the _hr",
    ),
    "foreign": (damaged(r"(?s).*", "begin\natoms\n"), r"line 2: 'atoms' is not the number of orbitals"),
    "degeneracies": (damaged(r"    1    1", "    1    x"), "line 4: here and below are no 27 degeneracies, 15 a line"),
    "orbitals": (damaged(r"    1    2 ", "    2    2 "), "line 8: orbitals 2 2 stand where 1 2 belong"),
    "R changes": (damaged(r"   -1   -1   -1    2    2", "   -1   -1    1    2    2"), "line 9: R changes within the 4"),
    "too much": (damaged(r"\Z", "1 2 3\n"), "line 114: '1 2 3' follows the last element"),
    "other R": (
        other_mesh,
        r"down_hr\.dat, line 6: R = \[1, 1, 1\], but \[-1, -1, -1\] in .*up_hr\.dat; make both spins",
    ),
    "more orbitals": (more_orbitals, "the spins differ, .*2 orbitals, 27 R and .*3 orbitals, 27 R; make both"),
    "no -R": (no_partner, r"up_hr\.dat: R = \(-1, -1, -1\) is listed without -R; give every"),
    "num_wann": (
        lambda f: write_window(f / "up.win", IRON, 5),
        "has 2 orbitals, but num_wann = 5 in .*give files of one",
    ),
    "cells": (lambda f: write_window(f / "down.win", IRON, 2, cell=2 * CELL), "have different cells; make both"),
    "gzip": (lambda f: (f / "down_hr.dat").rename(f / "down_hr.dat.gz"), "is no whole text file .* copy it again"),
    "centres": (
        lambda f: write_centres(f / "up_centres.xyz", np.zeros((3, 3)), IRON),
        "has 3 centres, but .* 2 orbitals",
    ),
    "no cell": (lambda f: (f / "up.win").write_text("num_wann = 2"), "no block unit_cell_cart; give the .win"),
    "cut .win": (lambda f: (f / "up.win").write_text("begin x\n1"), "up.win, line 3: the block x has no end"),
}


@pytest.mark.parametrize(("damage", "told"), DAMAGE.values(), ids=DAMAGE)
def test_damage_is_told_with_file_and_line(tmp_path, damage, told):
    write_magnet(tmp_path)
    damage(tmp_path)
    with pytest.raises(ValueError, match=told):
        js.io.read_wannier90(tmp_path / "up", tmp_path / "down")


def test_missing_files(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"neither .*up_hr\.dat nor .*up_tb\.dat exists, .* write_hr = true"):
        js.io.read_wannier90(tmp_path / "up", tmp_path / "down")
    write_magnet(tmp_path)
    with pytest.raises(ValueError, match=r"has one spin only; give the seeds of both, .* spinors = true"):
        js.io.read_wannier90(tmp_path / "up")
    (tmp_path / "up.win").unlink()
    with pytest.raises(FileNotFoundError, match=r"up\.win does not exist, and the cell is in no other file"):
        js.io.read_wannier90(tmp_path / "up", tmp_path / "down")
    with pytest.raises(ValueError, match="no example 'gold'; choose from bcc_iron"):
        js.io.example("gold")


def test_cut_tb_files(tmp_path):
    path = write_tb(tmp_path / "up_tb.dat", offsets_within(), random_matrices(offsets_within(), 2, 1))
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:-3]))
    with pytest.raises(ValueError, match=r"up_tb\.dat, line \d+: the file ends here, 3 lines before"):
        js.io.read_wannier90(tmp_path / "up", tmp_path / "up")


def test_a_matrix_that_is_not_hermitian_is_told_and_symmetrized(tmp_path):
    offsets, up, _ = write_magnet(tmp_path)
    up = up.copy()
    up[3, 0, 1] += 0.01
    write_hr(tmp_path / "up_hr.dat", offsets, up)
    with pytest.warns(UserWarning, match=r"up_hr\.dat, line 18: H\(R\) of R = .* by 1\.0e-02 eV, more than its digits"):
        found = js.io.read_wannier90(tmp_path / "up", tmp_path / "down")
    np.testing.assert_allclose(found.up[3, 0, 1], up[3, 0, 1] - 0.005, atol=DIGITS)
    with pytest.raises(ValueError, match=r"H\(-R\) of up differs from H\(R\)\+ by 1\.0e-02 eV; give their mean"):
        js.io.WannierHamiltonian(CELL, offsets, up, up, ("Fe",), np.zeros((1, 3)), np.zeros((2, 3)), np.zeros(2, int))


def test_settings_without_meaning(iron):
    with pytest.raises(ValueError, match="electrons = 18 do not fit; give a number between 0 and 18"):
        iron.fermi_level(18, 0.05, 1)
    with pytest.raises(ValueError, match="temperature = 0 is not positive; give k_B T in eV"):
        iron.fermi_level(8, 0, 1)
