"""A made-up magnet in Wannier90's formats, a few kB, and the arrays it was written of."""

import gzip

import numpy as np

CELL = np.array([[2.0, 0.1, 0.0], [0.0, 2.2, 0.0], [0.3, 0.0, 2.5]])
PATH = "kpoint_path\nG 0 0 0  X 0.5 0 0\nX 0.5 0 0  M 0.5 0.5 0\nR 0.5 0.5 0.5  G 0 0 0"


def offsets_within(reach=1):
    grid = np.arange(-reach, reach + 1)
    return np.stack(np.meshgrid(grid, grid, grid, indexing="ij"), -1).reshape(-1, 3)


def random_matrices(offsets, orbitals, seed, decimals=6):
    """H(R) of a hermitian H(k), short-ranged, in the digits of the file."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(len(offsets), orbitals, orbitals, 2)) @ [1.0, 0.5j]
    values *= np.exp(-np.linalg.norm(offsets, axis=1))[:, None, None]
    back = [np.flatnonzero((offsets == -r).all(-1))[0] for r in offsets]
    return np.round(values + values[back].conj().swapaxes(1, 2), decimals)


def _head(offsets, values, weights):
    lines = [f"{values.shape[1]:12d}", f"{len(offsets):12d}"]
    lines += ["".join(f"{w:5d}" for w in weights[n : n + 15]) for n in range(0, len(weights), 15)]
    return lines


def write_hr(path, offsets, values, weights=None):
    weights = np.ones(len(offsets), int) if weights is None else weights
    lines = [" written by a test", *_head(offsets, values, weights)]
    n = values.shape[1]
    for r, block in zip(offsets, values * weights[:, None, None], strict=True):
        where = "".join(f"{x:5d}" for x in r)
        lines += [
            f"{where}{a + 1:5d}{b + 1:5d}{block[a, b].real:12.6f}{block[a, b].imag:12.6f}"
            for b in range(n)
            for a in range(n)
        ]
    text = "\n".join([*lines, ""])
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


def write_tb(path, offsets, values, centres=None, cell=CELL):
    n = values.shape[1]
    lines = [" written by a test", *(" ".join(f"{x:.10f}" for x in row) for row in cell)]
    lines += _head(offsets, values, np.ones(len(offsets), int))
    pairs = [(a, b) for b in range(n) for a in range(n)]
    for r, block in zip(offsets, values, strict=True):
        lines += ["", "".join(f"{x:5d}" for x in r)]
        lines += [f"{a + 1:5d}{b + 1:5d}   {block[a, b].real:.8E} {block[a, b].imag:.8E}" for a, b in pairs]
    for r in offsets if centres is not None else []:
        lines += ["", "".join(f"{x:5d}" for x in r)]
        for a, b in pairs:
            x = centres[a] if a == b and not r.any() else np.zeros(3)
            lines.append(f"{a + 1:5d}{b + 1:5d}   " + " ".join(f"{value:.8E} {0.0:.8E}" for value in x))
    path.write_text("\n".join([*lines, ""]))
    return path


def write_window(path, atoms, orbitals, *, spinors=False, cell=CELL, unit="Ang"):
    """`atoms` is pairs of a name and reduced coordinates."""
    rows = "\n".join(f"{name} " + " ".join(map(str, place)) for name, place in atoms)
    scale = 0.52917721 if unit == "bohr" else 1.0
    cells = "\n".join(" ".join(f"{x / scale:.8f}" for x in row) for row in cell)
    path.write_text(
        f"num_wann = {orbitals} ! of a test\nspinors : .{str(spinors).lower()}.\n"
        f"begin unit_cell_cart\n{unit}\n{cells}\nend unit_cell_cart\n\n# the atoms\nBegin Atoms_Frac\n{rows}\n"
        f"End Atoms_Frac\nbegin {PATH}\nend kpoint_path\n"
    )


def write_centres(path, centres, atoms, cell=CELL):
    lines = [str(len(centres) + len(atoms)), " Wannier centres"]
    lines += ["X " + " ".join(f"{x:.8f}" for x in centre) for centre in centres]
    lines += [f"{name} " + " ".join(f"{x:.8f}" for x in np.array(place) @ cell) for name, place in atoms]
    path.write_text("\n".join([*lines, ""]))


IRON = [("Fe", (0.0, 0.0, 0.0))]


def write_magnet(folder, *, weights=None, ending="_hr.dat", offsets=None):
    """One atom, two orbitals, two spins; returns the arrays."""
    offsets = offsets_within() if offsets is None else offsets
    up, down = (random_matrices(offsets, 2, seed) for seed in (1, 2))
    for name, values in (("up", up), ("down", down)):
        if ending == "_tb.dat":
            write_tb(folder / f"{name}_tb.dat", offsets, values, np.zeros((2, 3)))
        else:
            write_hr(folder / f"{name}{ending}", offsets, values, weights)
    write_window(folder / "up.win", IRON, 2)
    return offsets, up, down
