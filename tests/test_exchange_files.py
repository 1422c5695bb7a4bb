"""Exchange read and written: the energy is the same by every program's own rule, with its units and its counting."""

import dataclasses
import itertools
import json

import numpy as np
import pytest
from scipy.constants import electron_volt, physical_constants

import jaxspin as js

MEV = 1e-3 * electron_volt
RYDBERG = physical_constants["Rydberg constant times hc in eV"][0]
CELL = np.diag([2.0, 3.0, 2.5])
POSITIONS = np.array([[0.1, 0.0, 0.0], [1.0, -0.5, 1.2]])
MOMENTS = np.array([[0.0, 0.0, 2.2], [0.0, -1.5, 0.0]])
SPINS = np.random.default_rng(3).normal(size=(3, 5, 4, 2, 3))
SPINS /= np.linalg.norm(SPINS, axis=-1, keepdims=True)


def energy(rows, spins=SPINS):
    """- sum over rows (i, j, R, J) and cells of S_i . J S_j, on a periodic lattice."""
    total = 0.0
    for i, j, r, matrix in rows:
        neighbour = np.roll(spins, [-int(n) for n in r], (0, 1, 2))[..., j, :]
        matrix = matrix * np.eye(3) if np.ndim(matrix) == 0 else matrix
        total -= np.sum(spins[..., i, :] * (neighbour @ np.transpose(matrix)))
    return total


def some_pairs(kind="tensor", **changed):
    random = np.random.default_rng(4)
    matrices = random.normal(size=(4, 3, 3))
    if kind == "isotropic":
        matrices = matrices[:, :1, :1] * np.eye(3)
    elif kind == "chiral":
        skew = matrices - matrices.swapaxes(1, 2)
        matrices = skew + matrices[:, :1, :1] * np.eye(3)
    offsets = [(1, 0, 0), (0, 1, -1), (0, 0, 0), (0, 0, 2)]
    pairs = js.io.ExchangePairs([0, 1, 0, 1], [0, 0, 1, 1], offsets, matrices, ("Fe", "Co"), POSITIONS, CELL, MOMENTS)
    return dataclasses.replace(pairs, **changed)


# --- TB2J -------------------------------------------------------------------------------------------------------------


def tb2j_rows():
    """(i, j, R, J_iso, D, J_ani) of atoms 0 and 2 of three, from one end."""
    random = np.random.default_rng(5)
    for i, j, r in ((0, 2, (0, 0, 0)), (2, 0, (1, 0, 0)), (0, 0, (0, 1, 0)), (2, 2, (0, 0, -1))):
        ani = np.round(random.normal(size=(3, 3)), 3)
        yield i, j, r, round(random.normal(), 4), np.round(random.normal(size=3), 4), (ani + ani.T).round(3)


def write_tb2j(path, rows, collinear=False):
    atoms = [("Cr1", (0.0, 0.0, 0.0)), ("I1", (1.0, 1.0, 1.0)), ("Cr2", (1.0, 0.5, 1.2))]
    places = np.array([place for _, place in atoms])
    lines = ["=" * 90, "Information: ", "made by a test", "=" * 90, "Cell (Angstrom):"]
    lines += [" ".join(f"{x:7.3f}" for x in row) for row in CELL]
    lines += ["", "=" * 90, "Atoms:  ", "(Note: charge and magmoms only count the wannier functions.)"]
    lines.append("Atom_number      x         y         z     w_charge    M(x)      M(y)      M(z)   ")
    for number, (name, place) in enumerate(atoms):
        moment = "   2.5000" if collinear else f"   0.1000   0.0000 {number + 1:8.4f}"
        lines.append(f"{name:12s}{place[0]:10.4f}{place[1]:10.4f}{place[2]:10.4f}   4.5{moment}")
    lines += ["Total    1.0 2.0 3.0 4.0", "", "=" * 90, "Exchange: ", "    i      j          R        J_iso(meV) ..."]
    for i, j, r, iso, vector, ani in rows:
        x = r @ CELL + places[j] - places[i]
        where = "(" + ", ".join(f"{n:3d}" for n in r) + ")"
        lines += [
            "-" * 88,
            f"   {atoms[i][0]}   {atoms[j][0]}   {where}  {iso:.4f}   ({x[0]:.3f}, {x[1]:.3f}, "
            f"{x[2]:.3f})  {np.linalg.norm(x):.3f} ",
            f"J_iso: {iso:7.4f} ",
        ]
        if vector is not None:
            lines.append(f"[Testing!] DMI: ({vector[0]:7.4f} {vector[1]:7.4f} {vector[2]:7.4f})")
            lines += ["[Testing!]J_ani:", *np.array_str(ani, precision=3, suppress_small=True).splitlines()]
            lines.append("[Experimental!] DMI_NJt: ( 9.0000  9.0000  9.0000)")
    path.write_text("\n".join([*lines, ""]))
    return path


def both_ends(rows):
    for i, j, r, iso, vector, ani in rows:
        yield i, j, np.array(r), iso, vector, ani
        yield j, i, -np.array(r), iso, None if vector is None else -vector, ani


def test_tb2j_has_each_pair_from_both_ends(tmp_path):
    path = write_tb2j(tmp_path / "exchange.out", both_ends(tb2j_rows()))
    found = js.io.read_exchange(path)
    assert (found.names, len(found.starts)) == (("Cr", "Cr"), 4)
    np.testing.assert_allclose(found.cell, CELL)
    np.testing.assert_allclose(found.positions, [[0, 0, 0], [1, 0.5, 1.2]])
    np.testing.assert_allclose(found.moments, [[0.1, 0, 1], [0.1, 0, 3]])
    # E = - sum_(i != j) [J S_i . S_j + S_i A S_j + D . (S_i x S_j)], written out
    total = 0.0
    for i, j, r, iso, vector, ani in both_ends(tb2j_rows()):
        one = SPINS[..., i // 2, :]
        other = np.roll(SPINS, -np.array(r), (0, 1, 2))[..., j // 2, :]
        total -= np.sum(iso * np.sum(one * other, -1) + np.sum(one * (other @ ani), -1) + np.cross(one, other) @ vector)
    assert abs(energy(found.pairs()) - total) < 1e-9 * abs(total)
    assert found.lattice((3, 2, 4)).shape == (3, 2, 4, 2)


def test_tb2j_without_spin_orbit_coupling_is_twice_its_numbers(tmp_path):
    rows = [(0, 0, (1, 0, 0), 11.775, None, None), (0, 0, (0, 1, 0), -1.5, None, None)]
    path = write_tb2j(tmp_path / "exchange.out", both_ends(rows), collinear=True)
    found = js.io.read_exchange(path)
    assert sorted(found.pairs()) == [(0, 0, (0, 1, 0), -3.0), (0, 0, (1, 0, 0), 23.55)]
    assert found.moments.tolist() == [[0, 0, 2.5]]
    in_ev = found.pairs(js.units.Units("eV"))
    assert sorted(in_ev)[1][3] == pytest.approx(0.02355)
    # the same energy as shells of the package's own exchange
    ring = js.Lattice("ring", [[2.0]], [[0.0]], (4,), (True,))
    spins = SPINS[0, 0, :, 0].reshape(4, 1, 3)
    chain = float(js.Exchange(ring, 23.55).energy(spins))
    assert energy([(0, 0, (1, 0, 0), 23.55)], spins.reshape(4, 1, 1, 1, 3)) == pytest.approx(chain)


def test_tb2j_tells_what_does_not_agree_or_is_not_read(tmp_path):
    rows = list(both_ends(tb2j_rows()))
    with pytest.warns(UserWarning, match=r"pair Cr2 Cr2 at R = .* from one end only: it may be cut short"):
        js.io.read_exchange(write_tb2j(tmp_path / "one.out", rows[:-1]))
    i, j, r, iso, vector, ani = rows[1]
    rows[1] = (i, j, r, iso + 0.5, vector, ani)
    with pytest.warns(UserWarning, match=r"both ends of the pair Cr1 Cr2 at R = \(0, 0, 0\) differ by 0\.5 meV"):
        found = js.io.read_exchange(write_tb2j(tmp_path / "two.out", rows))
    assert found.isotropic()[0] == pytest.approx(2 * iso + 0.5 + 2 * np.trace(ani) / 3, abs=1e-9)
    path = write_tb2j(tmp_path / "three.out", both_ends(tb2j_rows()))
    path.write_text(path.read_text().replace("Exchange: ", "Single Ion Anisotropy: \nExchange: "))
    with pytest.warns(UserWarning, match=r"single-ion anisotropies, which are not read; add js\.Anisotropy"):
        js.io.read_exchange(path)


TB2J_DAMAGE = {
    "other R": ("(  1,   0,   0)", "(  0,   0,   0)", r"exchange\.out, line \d+: the vector is \[.*\] by the cell"),
    "another atom": ("   Cr2   Cr1", "   Cr2   Mn1", "Cr2 or Mn1 is not among the atoms"),
    "no number": ("J_iso: ", "J_iso: x", r"line \d+: 'x.*' is not 1 numbers; give the exchange"),
    "no J_iso": ("J_iso: ", "J_no: ", "the pair before has no J_iso"),
    "no cell": ("Cell (Angstrom):", "Cells", r"ends here without 'Cell \(Angstrom\):'"),
    "no atom": ("I1 ", "I1 7 ", "is no atom; give the exchange"),
    "atoms cut": ("Total", "total_1 ", "is no atom; give the exchange"),
}


@pytest.mark.parametrize(("old", "new", "told"), TB2J_DAMAGE.values(), ids=TB2J_DAMAGE)
def test_damage_to_tb2j_is_told(tmp_path, old, new, told):
    path = write_tb2j(tmp_path / "exchange.out", both_ends(tb2j_rows()))
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(ValueError, match=told):
        js.io.read_exchange(path)


def test_tb2j_cut_within_a_matrix_and_given_a_crystal(tmp_path):
    path = write_tb2j(tmp_path / "exchange.out", both_ends(tb2j_rows()))
    with pytest.raises(ValueError, match="has the crystal and its counting itself; give nothing"):
        js.io.read_exchange(path, cell=CELL)
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:-2]))
    with pytest.raises(ValueError, match="is not 9 numbers"):
        js.io.read_exchange(path)
    path.write_text("\n".join(lines[: lines.index("Exchange: ") + 2]))
    with pytest.raises(ValueError, match="ends here, within the pairs; it is cut short"):
        js.io.read_exchange(path)


# --- plain lists ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("both", [False, True])
def test_a_pair_of_a_plain_list_counts_once(tmp_path, both):
    rows = some_pairs().both_ways() if both else some_pairs().pairs()
    lines = ["# i j R J", ""] + [
        " ".join(map(str, (i + 1, j + 1, *r, *(f"{x:.12f}" for x in matrix.ravel())))) for i, j, r, matrix in rows
    ]
    (tmp_path / "pairs.txt").write_text("\n".join(lines))
    found = js.io.read_exchange(tmp_path / "pairs.txt", positions=POSITIONS, cell=CELL, first_atom=1)
    assert (len(found.pairs()), found.names) == (4, ("X", "X"))
    assert energy(found.pairs()) == pytest.approx(energy(some_pairs().pairs()), rel=1e-9)
    twice = js.io.read_exchange(tmp_path / "pairs.txt", first_atom=1, counted_twice=True)
    assert energy(twice.pairs()) == pytest.approx(2 * energy(found.pairs()), rel=1e-12)


PLAIN = {
    "words": ("0 0 1 0 0 strong", "line 1: '0 0 1 0 0 strong' is no pair; give lines i j R1 R2 R3 J"),
    "too few": ("0 0 1 0 0", "has 5 numbers, not 6 or 14"),
    "two": ("0 0 1 0 0 1 2", "has 7 numbers, not 6 or 14"),
    "nan": ("0 0 1 0 0 nan", "not 6 or 14"),
    "itself": ("0 0 0 0 0 1", "atom 0 has exchange with itself; give that energy as an anisotropy"),
    "again": ("0 0 1 0 0 1\n0 0 1 0 0 1", "line 2: this pair is in line 1 already; give each line once"),
    "ends differ": ("0 1 1 0 0 2\n1 0 -1 0 0 1", "line 2: J is not the transpose of that of line 1, its other end"),
    "some ends": (
        "0 0 1 0 0 2\n0 0 -1 0 0 2\n0 0 0 1 0 2",
        "line 3: this pair is there from one end, others from both",
    ),
    "before": ("-1 0 1 0 0 1", "atom -1 comes before the first; give first_atom="),
    "empty": ("# nothing", "has no pair; give lines"),
}


@pytest.mark.parametrize(("text", "told"), PLAIN.values(), ids=PLAIN)
def test_damage_to_a_plain_list_is_told(tmp_path, text, told):
    (tmp_path / "pairs.txt").write_text(text)
    with pytest.raises(ValueError, match=told):
        js.io.read_exchange(tmp_path / "pairs.txt")


def test_positions_for_every_atom(tmp_path):
    (tmp_path / "pairs.txt").write_text("0 2 0 0 0 1.0")
    with pytest.raises(ValueError, match="has 2 positions for 3 atoms; give"):
        js.io.read_exchange(tmp_path / "pairs.txt", positions=POSITIONS)


# --- the record -------------------------------------------------------------------------------------------------------


def test_parts_of_the_matrices():
    pairs = some_pairs()
    skew = np.array([np.cross(vector, np.eye(3)) for vector in pairs.dzyaloshinskii_moriya()])
    np.testing.assert_allclose(
        pairs.isotropic()[:, None, None] * np.eye(3) + pairs.anisotropic() + skew, pairs.matrices, atol=1e-12
    )
    a, b = SPINS[0, 0, 0]
    d = pairs.dzyaloshinskii_moriya()[0]
    assert a @ (pairs.matrices[0] - pairs.matrices[0].T) @ b / 2 == pytest.approx(d @ np.cross(a, b))
    np.testing.assert_allclose(np.trace(pairs.anisotropic(), axis1=1, axis2=2), 0, atol=1e-12)


def test_a_supercell_is_the_same_crystal(tmp_path):
    """A helix about z, whose bonds have an energy that depends on their vectors alone; bcc, and its cube."""
    primitive = 1.435 * np.array([[1, 1, 1], [-1, 1, 1], [-1, -1, 1]])
    skew = np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 0.0]])
    offsets = list(itertools.product((1,), (0, 1, 2), (-1, 0, 1)))
    matrices = [np.eye(3) * np.cos(n) + 0.3 * n * skew for n in range(len(offsets))]
    none = np.zeros(len(offsets), int)
    bcc = js.io.ExchangePairs(none, none, offsets, matrices, ("Fe",), [[0.2, 3.0, 0.1]], primitive, [[0, 0, 2.2]])
    cube = bcc.in_supercell([[1, -1, 0], [0, 1, -1], [1, 0, 1]])
    np.testing.assert_allclose(cube.cell, 2.87 * np.eye(3), atol=1e-12)
    assert (cube.names, len(cube.starts), cube.moments.shape) == (("Fe", "Fe"), 2 * len(offsets), (2, 3))

    def helix(pairs):
        angles = pairs.vectors() @ [0.3, 0.5, -0.2]
        return np.sum(pairs.isotropic() * np.cos(angles) + pairs.dzyaloshinskii_moriya()[:, 2] * np.sin(angles))

    assert helix(cube) == pytest.approx(2 * helix(bcc), rel=1e-9)
    assert helix(cube.in_home_cell()) == pytest.approx(2 * helix(bcc), rel=1e-9)
    reduced = cube.in_home_cell().positions / 2.87
    assert ((reduced >= 0) & (reduced < 1)).all()
    for vectors in (primitive, 1.5 * (np.ones((3, 3)) - np.eye(3)), 1.5 * (np.ones((3, 3)) - 2 * np.eye(3))):
        skew_cell = dataclasses.replace(bcc, cell=vectors)
        with pytest.raises(ValueError, match="choose a cell with right angles by") as refused:
            js.io.save_vampire(tmp_path / "skew.ucf", skew_cell)
        matrix = json.loads(str(refused.value).split("in_supercell(")[1].removesuffix(")."))
        js.io.save_vampire(tmp_path / "cube.ucf", skew_cell.in_supercell(matrix), overwrite=True)
    with pytest.raises(ValueError, match="makes no cell; give"):
        bcc.in_supercell(np.zeros((3, 3), int))
    with pytest.raises(ValueError, match=r"matrix takes integers, got 1\.5"):
        bcc.in_supercell(1.5 * np.eye(3))
    assert bcc.lattice(np.int64(2)).cells == (2, 2, 2)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"starts": [0, 1, 0, 2]}, r"pair 3 is of atoms 2 and 1; count those of the cell, \('Fe', 'Co'\), from 0"),
        ({"offsets": [(1, 0, 0), (0, 1, -1), (0, 0, 0), (0, 0, 0)]}, "pair 3 is of atom 1 with itself"),
        ({"starts": [0, 1, 0, 1], "ends": [0, 0, 1, 0], "offsets": [(1, 0, 0), (0, 0, 0), (0, 0, 0), (2, 0, 0)]},
         r"pairs 1 and 2 are one, 0 - 1 at R = \(0, 0, 0\); give each pair once"),
        ({"offsets": [(1, 0, 0), (0, 1.5, 1), (0, 0, 0), (0, 0, 2)]}, r"offsets takes integers, got 1\.5; R counts"),
        ({"starts": [0, 1, 0.5, 1]}, r"starts takes integers, got 0\.5; .* atoms count from 0"),
        ({"matrices": np.zeros((4, 3))}, r"matrices has shape \(4, 3\); give \(4, 3, 3\)"),
        ({"moments": [1.0, 2.0]}, r"moments has shape \(2,\); give \(2, 3\)"),
    ],
)  # fmt: skip
def test_records_that_are_none(changed, told):
    with pytest.raises(ValueError, match=told):
        some_pairs(**changed)


# --- other programs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["isotropic", "tensor"])
def test_vampire_has_the_same_energy(tmp_path, kind):
    """By its rule: half the sum over all lines of S_i . J_ij S_j, in joule."""
    pairs = some_pairs(kind)
    path = js.io.save_vampire(tmp_path / "a.ucf", pairs)
    lines = [line.split() for line in path.read_text().splitlines() if not line.startswith("#")]
    np.testing.assert_allclose(np.array(lines[0], float), [2.0, 3.0, 2.5])
    assert lines[1:4] == [["1", "0", "0"], ["0", "1", "0"], ["0", "0", "1"]]
    assert lines[4] == ["2", "2"]
    places = np.array([line[1:4] for line in lines[5:7]], float)
    assert ((places >= 0) & (places <= 1)).all()
    np.testing.assert_allclose(places * [2, 3, 2.5] % [2, 3, 2.5], POSITIONS % [2, 3, 2.5], atol=1e-8)
    assert [line[4] for line in lines[5:7]] == ["0", "1"]
    assert lines[7] == ["8", {"isotropic": "isotropic", "tensor": "tensorial"}[kind]]
    rows = []
    for number, line in enumerate(lines[8:]):
        assert int(line[0]) == number
        values = np.array(line[6:], float)
        rows.append(
            (*map(int, line[1:3]), np.array(line[3:6], int), values[0] if len(values) == 1 else values.reshape(3, 3))
        )
    # the second atom was written a cell further along y, its spin is that of the next cell
    moved = SPINS.copy()
    moved[..., 1, :] = np.roll(SPINS[..., 1, :], -1, 1)
    assert energy(rows, moved) / 2 / MEV == pytest.approx(energy(pairs.pairs()), rel=1e-9)
    with pytest.raises(FileExistsError, match=r"a\.ucf exists; choose another path or pass overwrite=True"):
        js.io.save_vampire(path, pairs)
    js.io.save_vampire(path, pairs, overwrite=True)
    with pytest.raises(ValueError, match=r"cells along x, y and z alone, .* pairs\.in_supercell"):
        js.io.save_vampire(tmp_path / "b.ucf", some_pairs(cell=CELL @ np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1]])))
    with pytest.raises(ValueError, match=r"a\.txt is no name of a unit cell file; end it in \.ucf"):
        js.io.save_vampire(tmp_path / "a.txt", pairs)


def read_rows(path):
    return [np.array(line.split(), float) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("kind", ["isotropic", "chiral", "tensor"])
def test_uppasd_has_the_same_energy(tmp_path, kind):
    """By its rule: - sum over all lines of J e_i . e_j + D . (e_i x e_j) + e_i A e_j, in mRy."""
    pairs = some_pairs(kind, positions=np.abs(POSITIONS))
    folder = js.io.save_uppasd(tmp_path / "uppasd", pairs)
    total = 0.0
    for i, j, *r, strength in read_rows(folder / "jfile"):
        total += energy([(int(i) - 1, int(j) - 1, r, strength)])
    if kind == "isotropic":
        assert not (folder / "dmfile").exists()
    else:
        for i, j, *r, x, y, z in read_rows(folder / "dmfile"):
            skew = np.array([[0, z, -y], [-z, 0, x], [y, -x, 0]])
            total += energy([(int(i) - 1, int(j) - 1, r, skew)])
    if kind == "tensor":
        for i, j, *r, xx, yy, zz, xy, xz, yz in read_rows(folder / "pdfile"):
            total += energy([(int(i) - 1, int(j) - 1, r, np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]))])
    assert total * RYDBERG == pytest.approx(energy(pairs.pairs()), rel=1e-9)
    np.testing.assert_allclose(
        read_rows(folder / "posfile"), [[1, 1, 0.05, 0, 0], [2, 2, 0.5, 0.5 / 3, 0.48]], atol=1e-9
    )
    np.testing.assert_allclose(read_rows(folder / "momfile"), [[1, 1, 2.2, 0, 0, 1], [2, 1, 1.5, 0, -1, 0]])
    words = (folder / "inpsd.dat").read_text()
    assert ("dm ./dmfile" in words, "pd ./pdfile" in words) == (kind != "isotropic", kind == "tensor")
    assert "cell 2 0 0\n     0 3 0\n     0 0 2.5\n" in words
    with pytest.raises(FileExistsError, match="exists; choose another folder or pass overwrite=True"):
        js.io.save_uppasd(folder, pairs)
    with pytest.raises(ValueError, match="UppASD needs the moment of every atom, in mu_B; give moments="):
        js.io.save_uppasd(folder, some_pairs(moments=None), overwrite=True)


def test_spirit_has_the_same_energy(tmp_path):
    """By its rule: - sum over lines of J n_i . n_j + D . (n_i x n_j), in meV, each pair once."""
    pairs = some_pairs("chiral", positions=np.abs(POSITIONS))
    lines = js.io.save_spirit(tmp_path / "a.cfg", pairs, cells=(3, 2, 4)).read_text().splitlines()
    rows = []
    for line in lines[lines.index("i j da db dc Jij Dijx Dijy Dijz") + 1 :]:
        i, j, *r, strength, x, y, z = np.array(line.split(), float)
        rows.append((int(i), int(j), r, strength * np.eye(3) + [[0, z, -y], [-z, 0, x], [y, -x, 0]]))
    assert energy(rows) == pytest.approx(energy(pairs.pairs()), rel=1e-9)
    assert lines[lines.index("basis") + 1 :][:3] == ["2", "0.05 0 0", "0.5 0.1666666667 0.48"]
    assert {"mu_s 2.2 1.5", "n_basis_cells 3 2 4", "n_interaction_pairs 4", "hamiltonian heisenberg_pairs"} <= set(
        lines
    )
    with pytest.raises(ValueError, match=r"symmetric anisotropic exchange of .* meV, which Spirit has not"):
        js.io.save_spirit(tmp_path / "b.cfg", some_pairs())
    with pytest.raises(ValueError, match=r"cells = \(3,\) are not three numbers"):
        js.io.save_spirit(tmp_path / "b.cfg", pairs, cells=(3,))
