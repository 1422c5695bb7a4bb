"""Which state is lowest in each field, by how much and how surely, and where one phase gives way to another."""

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

Row = Mapping[str, Any]


def charge(row: Row) -> int:
    """|n_sk| of the magnetic cell."""
    return round(abs(row["topological charge"]))


def contenders(rows: Mapping[str, Row], mesh: str) -> dict[str, Row]:
    """Of each field and |n_sk| the state that is lowest on this mesh, by the names of their rows."""
    best: dict[tuple[float, int], str] = {}
    for name, row in rows.items():
        kind = (row["field"], charge(row))
        if kind not in best or row["energies"][mesh][0] < rows[best[kind]]["energies"][mesh][0]:
            best[kind] = name
    return {name: rows[name] for name in best.values()}


def lowest(rows: Mapping[str, Row], meshes: list[str]) -> list[dict[str, Any]]:
    """In each field: the lowest state on the finest mesh, and how far the others are above it.

    `rows` are contenders. The error is the largest change of a difference between the two finest meshes. At the other
    temperatures the states are the same, and the energies those of electrons that are colder or warmer.
    """
    found = []
    for field in sorted({row["field"] for row in rows.values()}):
        here = {charge(row): row for row in rows.values() if row["field"] == field}
        fine, coarse = ({kind: row["energies"][mesh] for kind, row in here.items()} for mesh in meshes[:-3:-1])
        best = min(fine, key=lambda kind: fine[kind][0])
        above = {kind: np.subtract(value, fine[best]) for kind, value in fine.items() if kind != best}
        before = {kind: np.subtract(coarse[kind], coarse[best]) for kind in above}
        row = here[best]
        found.append(
            {
                "field": field,
                "|n_sk|": best,
                "start": row["start"],
                "magnetization": row["magnetization"],
                "shares of S(q)": row["shares of S(q)"],
                "energy per site": fine[best][0],
                "others above it, by |n_sk|": {str(kind): float(value[0]) for kind, value in above.items()},
                "change from the mesh before": max(
                    (abs(float(value[0] - before[kind][0])) for kind, value in above.items()), default=0.0
                ),
                "at the other temperatures": {str(kind): value[1:].tolist() for kind, value in above.items()},
            }
        )
    return found


def crossings(rows: Mapping[str, Row], meshes: list[str]) -> list[dict[str, Any]]:
    """Fields at which the lowest |n_sk| falls, by linear interpolation, on every mesh, and the spread of the last two.

    `rows` are contenders. Between two fields of the table in which the lowest states on the finest mesh differ, the
    difference of their energies is interpolated. Where one of the states is not even metastable at one of them, it is
    continued from the other by d(E/N)/dB = -M. None where a mesh has no crossing.
    """
    table = lowest(rows, meshes)
    by = {(row["field"], charge(row)): row for row in rows.values()}
    found = []
    for left, right in itertools.pairwise(table):
        kinds, ends = (left["|n_sk|"], right["|n_sk|"]), (left["field"], right["field"])
        if kinds[0] == kinds[1]:
            continue
        places = {mesh: _crossing(by, mesh, kinds, ends) for mesh in meshes}
        before, last = (places[mesh] for mesh in meshes[-2:])
        found.append(
            {
                "from": kinds[0],
                "to": kinds[1],
                "between": ends,
                "field": last,
                "change from the mesh before": None if before is None or last is None else abs(last - before),
                "on each mesh": places,
            }
        )
    return found


def _crossing(by: Mapping, mesh: str, kinds: tuple[int, int], ends: tuple[float, float]) -> float | None:
    """Where the two energies are equal."""
    both = [end for end in ends if all((end, kind) in by for kind in kinds)]
    pairs = [[by[end, kind] for kind in kinds] for end in both]
    gaps = [first["energies"][mesh][0] - second["energies"][mesh][0] for first, second in pairs]
    if len(both) == 2:
        return float(both[0] - gaps[0] * (both[1] - both[0]) / (gaps[1] - gaps[0])) if gaps[0] * gaps[1] < 0 else None
    if not both:
        return None
    slope = pairs[0][1]["magnetization"] - pairs[0][0]["magnetization"]
    return float(both[0] - gaps[0] / slope) if slope else None
