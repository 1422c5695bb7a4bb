"""Which irreps, references and products make the features: tables `(rows, variables)` in NumPy, computed
once.

A component f = M x is a row M over the variables x of a neighbourhood (bonds first, then triangles).
"""

import dataclasses
import functools
import itertools

import numpy as np

from jaxspin.descriptors.neighborhood import Neighborhood, Orbit

Monomials = tuple[tuple[float, tuple[int, ...]], ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Block:
    """All copies of the irreps of one dimension.

    `components` `(dim, copies, variables)`; `spreads[n]` `(copies_n, references)` of zeros and ones says
    which row of the references, whose first is `offset`, belongs to each of the first copies_n copies, n
    counting the references of an irrep.
    """

    components: np.ndarray
    spreads: tuple[np.ndarray, ...]
    offset: int

    @property
    def dim(self) -> int:
        return len(self.components)


@dataclasses.dataclass(frozen=True, eq=False)
class ComponentTable:
    """`invariant` `(rows, variables)` enters linearly, `blocks` through squares and phases, `products` of
    rows of `references` `(rows, variables)` through the bispectrum; `labels` names the features in that
    order."""

    invariant: np.ndarray
    blocks: tuple[Block, ...]
    references: np.ndarray
    products: tuple[Monomials, ...]
    labels: tuple[str, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class _Family:
    """All copies of one irrep made of bonds, or of chiralities, and their references `(number, dim,
    variables)`."""

    kind: str
    irrep: str
    copies: np.ndarray
    labels: tuple[str, ...]
    references: np.ndarray


@functools.lru_cache(maxsize=64)
def component_table(
    around: Neighborhood, power: bool, phases: bool, bispectrum: bool, time_reversal: bool
) -> ComponentTable:
    """The rows of all features of a neighbourhood; see `Bispectrum` for what they are."""
    families = _families(around)
    trivial = around.group.trivial
    linear = [f for f in families if f.irrep == trivial and (f.kind == "bond" or not time_reversal)]
    others = [f for f in families if f not in linear]
    variables = sum(len(o.members) for o in (*around.bonds, *around.triangles))
    labels = [label for f in linear for label in f.labels]

    blocks, references, rows = [], [np.zeros((0, variables))], {}
    for dim in sorted({f.copies.shape[1] for f in others}):
        # with the best referenced first, the copies that have an n-th reference are the leading ones
        here = sorted((f for f in others if f.copies.shape[1] == dim), key=lambda f: -_phases(f))
        offset = sum(len(r) for r in references)
        number = sum(len(f.references) for f in here)
        for f, first in zip(here, itertools.accumulate((len(f.references) for f in here), initial=0), strict=False):
            for n in range(len(f.references)):
                rows[f.kind, f.irrep, n] = [offset + u * number + first + n for u in range(dim)]
        references += [f.references[:, u] for u in range(dim) for f in here]
        spreads = []
        for n in range(_phases(here[0]) if phases else 0):
            which = [rows[f.kind, f.irrep, n][0] - offset for f in here if _phases(f) > n for _ in f.copies]
            spreads.append(np.eye(number)[which])
        blocks.append(Block(np.concatenate([f.copies for f in here]).swapaxes(0, 1), tuple(spreads), offset))
        labels += [f"{label} power" for f in here for label in f.labels if power]
        for n in range(len(spreads)):
            labels += [f"{label} phase{n + 1}" for f in here if _phases(f) > n for label in f.labels]
    products = _products(around, others, rows, time_reversal) if bispectrum else {}
    return ComponentTable(
        np.concatenate([np.zeros((0, variables)), *(f.copies[:, 0] for f in linear)]),
        tuple(blocks),
        np.concatenate(references),
        tuple(products.values()),
        (*labels, *products),
    )


def _phases(family: _Family) -> int:
    """How many references the copies are compared with; a single copy is its own reference and needs none."""
    return len(family.references) if len(family.copies) > 1 else 0


def _families(around: Neighborhood) -> list[_Family]:
    orbits = (*around.bonds, *around.triangles)
    starts = np.cumsum([0, *(len(o.members) for o in orbits)])
    families = []
    for kind, group in (("bond", around.bonds), ("chirality", around.triangles)):
        for irrep, matrices in around.group.irreps.items():
            copies, labels, block = [], [], []
            for orbit, start in zip(orbits, starts, strict=False):
                if orbit not in group or irrep not in orbit.irreps:
                    continue
                member = _sector_member(orbit, around.vectors)
                for r, copy in enumerate(orbit.irreps[irrep]):
                    wide = np.zeros((matrices.shape[1], starts[-1]))
                    wide[:, start : start + len(orbit.members)] = copy
                    copies.append(wide)
                    labels.append(f"{orbit.name} {irrep}" + "'" * r)
                    block.append(copy[:, member])
            if copies:
                stacked = np.array(copies)
                references = _references(stacked, np.array(block))
                families.append(_Family(kind, irrep, stacked, tuple(labels), references))
    return families


def _sector_member(orbit: Orbit, vectors: np.ndarray) -> int:
    """The member whose middle lies furthest along a direction on no mirror: one sector of the
    neighbourhood."""
    direction = np.array([1.0, 0.35, 0.12])[: vectors.shape[1]]
    return int(np.argmax([np.round(vectors[list(m)].mean(axis=0) @ direction, 6) for m in orbit.members]))


def _references(copies: np.ndarray, block: np.ndarray) -> np.ndarray:
    """Irreps of the sum of the variables in one sector, and its images: `(number, dim, variables)`.

    The block variables B_g = <g w, x> form a regular representation, whose components sum_g D_un(g) B_g are
    the combinations sum_r (P_r w)_n f_ru of the copies, one for each n; w is one in a sector, zero elsewhere.
    """
    if len(copies) == 1:
        return copies
    found: list[np.ndarray] = []
    for weights in block.T:
        rest = weights - sum((v * (v @ weights) for v in found), np.zeros(len(weights)))
        if np.linalg.norm(rest) > 1e-6 * np.sqrt(len(weights)):
            found.append(rest / np.linalg.norm(rest))
    return np.einsum("nr,ruv->nuv", np.array(found), copies)


def _products(
    around: Neighborhood,
    families: list[_Family],
    rows: dict[tuple[str, str, int], list[int]],
    time_reversal: bool,
) -> dict[str, Monomials]:
    """Invariant products of references, label -> monomials.

    Triples of first references, and those in which one of the three is a second one, which tell left from
    right; an even number of chiralities. Without time reversal also pairs of a bond and a chirality, and odd
    numbers.
    """
    names = [(f.kind, f.irrep, n) for f in families for n in range(min(2, len(f.references)))]
    found = {}
    for triple in itertools.combinations_with_replacement(names, 3):
        odd = sum(kind == "chirality" for kind, _, _ in triple) % 2
        if sum(n for _, _, n in triple) > 1 or (odd and time_reversal):
            continue
        tensors = around.group.clebsch_gordan(*(irrep for _, irrep, _ in triple))
        for m, tensor in enumerate(tensors):
            label = " ".join(f"{kind} {irrep}" + "'" * n for kind, irrep, n in triple) + " bispectrum"
            monomials = _monomials(tensor, [rows[name] for name in triple])
            if monomials:
                found[label + (f"{m + 1}" if len(tensors) > 1 else "")] = monomials
    if not time_reversal:
        for first, second in itertools.combinations([name for name in names if not name[2]], 2):
            if first[1] == second[1]:
                pair = (rows[first], rows[second])
                monomials = tuple((1.0, (a, b)) for a, b in zip(*pair, strict=True))
                found[f"{first[0]} {first[1]} {second[0]} {second[1]} pair"] = monomials
    return found


def _monomials(tensor: np.ndarray, rows: list[list[int]]) -> Monomials:
    """sum C f f1 f2 as coefficients of products of rows; empty where the symmetric sum vanishes."""
    total: dict[tuple[int, ...], float] = {}
    for index in np.ndindex(*tensor.shape):
        key = tuple(sorted(row[i] for row, i in zip(rows, index, strict=True)))
        total[key] = total.get(key, 0.0) + float(tensor[index])
    return tuple((c, key) for key, c in total.items() if abs(c) > 1e-9)
