"""Exchange between pairs of atoms, matrices `(pairs, 3, 3)` in meV, as programs that compute it write it. NumPy."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxspin.lattice import Lattice
from jaxspin.units import Units

# eps_abc
LEVI_CIVITA = np.zeros((3, 3, 3))
LEVI_CIVITA[[0, 1, 2], [1, 2, 0], [2, 0, 1]] = 1.0
LEVI_CIVITA[[0, 2, 1], [2, 1, 0], [1, 0, 2]] = -1.0

# An element below this share of the largest is rounding.
_ROUNDING = 1e-12


@dataclasses.dataclass(frozen=True, eq=False)
class ExchangePairs:
    """E = - sum_pairs S_i . J_ij S_j, every pair of sites once, S unit vectors; J_ij a matrix in meV.

    - `starts`, `ends`, `offsets`: atom i of a cell, atom j, and its cell R seen from that of i: `(pairs,)`, `(pairs,)`,
      `(pairs, 3)`, integers, atoms counted from 0.
    - `matrices`: J_ij, `(pairs, 3, 3)`. J = J_iso 1 + anisotropic part + sum_c eps_abc D_c, so that J_iso > 0 is
      ferromagnetic and the last part is -D . (S_i x S_j), as in `js.Exchange` and `js.DzyaloshinskiiMoriya`.
    - `names`, `positions`: the magnetic atoms, `(atoms, 3)` in Angstrom; `cell` `(3, 3)`, its vectors as rows.
    - `moments`: their moments `(atoms, 3)` in mu_B, or None.

    `read_exchange` makes it. `js.Exchange(found.lattice(8), pairs=found.pairs())` is the model, in meV.

    Raises `ValueError` for shapes that do not fit, atoms and R that are no integers, an atom that is not there, a pair
    of a site with itself, and a pair that is listed twice, from the same or from the other end.

    Example:
        >>> chain = js.io.ExchangePairs([0], [0], [(1, 0, 0)], [np.eye(3)], ("Fe",), np.zeros((1, 3)), 2 * np.eye(3))
        >>> chain.pairs(), chain.lattice(4).shape
        ([(0, 0, (1, 0, 0), 1.0)], (4, 4, 4, 1))
    """

    starts: np.ndarray
    ends: np.ndarray
    offsets: np.ndarray
    matrices: np.ndarray
    names: tuple[str, ...]
    positions: np.ndarray
    cell: np.ndarray
    moments: np.ndarray | None = None

    def __init__(
        self,
        starts: Any,
        ends: Any,
        offsets: Any,
        matrices: Any,
        names: Sequence[str],
        positions: Any,
        cell: Any,
        moments: Any = None,
    ):
        number, atoms = len(starts), len(names)
        shapes = {"starts": (number,), "ends": (number,), "offsets": (number, 3), "matrices": (number, 3, 3)}
        shapes |= {"positions": (atoms, 3), "cell": (3, 3), "moments": (atoms, 3)}
        given = {"starts": starts, "ends": ends, "offsets": offsets, "matrices": matrices}
        given |= {"positions": positions, "cell": cell, "moments": moments}
        for name, value in given.items():
            whole = name in ("starts", "ends", "offsets")
            array = None if value is None else _integers(name, value) if whole else np.array(value, np.float64)
            if array is not None and array.shape != shapes[name]:
                raise ValueError(f"{name} has shape {array.shape}; give {shapes[name]}.")
            object.__setattr__(self, name, array)
        object.__setattr__(self, "names", tuple(names))
        self._check()

    def _check(self) -> None:
        seen: dict[tuple[int, ...], int] = {}
        for pair, (i, j, r) in enumerate(zip(self.starts, self.ends, self.offsets.tolist(), strict=True)):
            if not (0 <= i < len(self.names) and 0 <= j < len(self.names)):
                raise ValueError(f"pair {pair} is of atoms {i} and {j}; count those of the cell, {self.names}, from 0.")
            if i == j and not any(r):
                raise ValueError(f"pair {pair} is of atom {i} with itself; give that energy as an anisotropy.")
            if (i, j, *r) in seen:
                raise ValueError(
                    f"pairs {seen[(i, j, *r)]} and {pair} are one, {i} - {j} at R = {tuple(r)}; give each pair once."
                )
            seen[(i, j, *r)] = seen[(j, i, *(-x for x in r))] = pair

    def pairs(self, units: Units | None = None) -> list[tuple[int, int, tuple[int, ...], Any]]:
        """(i, j, R, J) of every pair, J a number where it is isotropic, else `(3, 3)`; in meV, or in `units`."""
        scale = 1.0 if units is None else units.energy_of(1.0, "meV")
        close = _ROUNDING * np.max(np.abs(self.matrices), initial=0.0)
        found = []
        for i, j, r, matrix in zip(self.starts, self.ends, self.offsets.tolist(), scale * self.matrices, strict=True):
            isotropic = np.max(np.abs(matrix - matrix[0, 0] * np.eye(3))) <= scale * close
            found.append((int(i), int(j), tuple(r), float(matrix[0, 0]) if isotropic else matrix))
        return found

    def isotropic(self) -> np.ndarray:
        """J_iso, a third of the trace, `(pairs,)` in meV."""
        return parts(self.matrices)[0]

    def dzyaloshinskii_moriya(self) -> np.ndarray:
        """D of E = - sum D . (S_i x S_j), `(pairs, 3)` in meV, from the antisymmetric part."""
        return parts(self.matrices)[1]

    def anisotropic(self) -> np.ndarray:
        """The symmetric part without trace, `(pairs, 3, 3)` in meV."""
        return parts(self.matrices)[2]

    def vectors(self) -> np.ndarray:
        """From atom i to atom j, `(pairs, 3)` in Angstrom."""
        return self.offsets @ self.cell + self.positions[self.ends] - self.positions[self.starts]

    def lattice(self, cells: int | np.integer | Sequence[int]) -> Lattice:
        """The magnetic atoms as a `Lattice` in Angstrom, periodic; `cells` is one number or three."""
        sizes = (cells,) * 3 if isinstance(cells, int | np.integer) else tuple(cells)
        return Lattice("".join(dict.fromkeys(self.names)), self.cell, self.positions, sizes, (True,) * 3)

    def both_ways(self) -> list[tuple[int, int, tuple[int, ...], np.ndarray]]:
        """(i, j, R, J) of each pair from both ends: the second time j, i, -R and J transposed."""
        rows = list(zip(self.starts.tolist(), self.ends.tolist(), self.offsets.tolist(), self.matrices, strict=True))
        there = [(i, j, tuple(r), matrix) for i, j, r, matrix in rows]
        back = [(j, i, tuple(-x for x in r), matrix.T) for i, j, r, matrix in rows]
        return sorted(there + back, key=lambda row: row[:3])

    def in_home_cell(self) -> "ExchangePairs":
        """The same with every atom's reduced coordinates in [0, 1), and R counted accordingly."""
        moved = np.floor(self.positions @ np.linalg.inv(self.cell) + 1e-9).astype(int)
        return dataclasses.replace(
            self,
            offsets=self.offsets + moved[self.ends] - moved[self.starts],
            positions=self.positions - moved @ self.cell,
        )

    def in_supercell(self, matrix: Sequence[Sequence[int]] | np.ndarray) -> "ExchangePairs":
        """The same crystal in a larger cell, whose vectors are the rows of `matrix` `(3, 3)`, integers, times the old.

        Programs that need right angles get them so: bcc with the vectors (a/2)(1, 1, 1), (-1, 1, 1), (-1, -1, 1) has
        its cube in `matrix` = [[1, -1, 0], [0, 1, -1], [1, 0, 1]].

        Raises `ValueError` for a matrix of another shape, of other numbers, or whose determinant is not positive.
        """
        rows = _integers("matrix", matrix)
        size = round(float(np.linalg.det(rows))) if rows.shape == (3, 3) else 0
        if size < 1:
            raise ValueError(f"matrix = {rows.tolist()} makes no cell; give (3, 3) integers of positive determinant.")
        inverse = np.linalg.inv(rows)
        reach = np.abs(rows).sum(0)
        grid = np.stack(np.meshgrid(*[np.arange(-n, n + 1) for n in reach], indexing="ij"), -1).reshape(-1, 3)
        inside = grid[(np.floor(grid @ inverse + 1e-9) == 0).all(-1)]
        place = {tuple(cell): number for number, cell in enumerate(inside.tolist())}
        atoms = len(self.names)
        starts, ends, offsets = [], [], []
        for number, cell in enumerate(inside):
            target = cell + self.offsets
            whole = np.floor(target @ inverse + 1e-9).astype(int)
            left = [place[tuple(rest)] for rest in (target - whole @ rows).tolist()]
            starts.append(number * atoms + self.starts)
            ends.append(np.array(left, int) * atoms + self.ends)
            offsets.append(whole)
        return ExchangePairs(
            np.concatenate(starts),
            np.concatenate(ends),
            np.concatenate(offsets),
            np.tile(self.matrices, (size, 1, 1)),
            self.names * size,
            np.concatenate([self.positions + cell @ self.cell for cell in inside]),
            rows @ self.cell,
            None if self.moments is None else np.tile(self.moments, (size, 1)),
        )


def _integers(name: str, value: Any) -> np.ndarray:
    """As an array of integers, of which no fraction is dropped."""
    array = np.array(value, np.float64)
    strange = array[~np.isfinite(array) | (array != np.round(array))]
    if strange.size:
        raise ValueError(f"{name} takes integers, got {strange[0]:g}; R counts lattice vectors, atoms count from 0.")
    return array.astype(int)


def parts(matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """J_iso `(pairs,)`, D `(pairs, 3)` and the symmetric part without trace `(pairs, 3, 3)` of J `(pairs, 3, 3)`."""
    isotropic = np.trace(matrices, axis1=1, axis2=2) / 3
    vectors = np.einsum("abc,pab->pc", LEVI_CIVITA, matrices) / 2
    symmetric = (matrices + matrices.swapaxes(1, 2)) / 2
    return isotropic, vectors, symmetric - isotropic[:, None, None] * np.eye(3)
