"""Force fields that come with the package."""

import warnings
from pathlib import Path
from typing import Any

from jaxspin.arguments import told
from jaxspin.forcefield.behler_parrinello import BehlerParrinello
from jaxspin.forcefield.checkpoint import load, load_metadata
from jaxspin.forcefield.generalized import GeneralizedPotential
from jaxspin.lattice import Lattice
from jaxspin.warned import caller

# Where they are.
WEIGHTS = Path(__file__).parent / "weights"


def pretrained(name: str, lattice: Lattice | Any | None = None) -> Any:
    """A trained force field by its name, on `lattice` or the one it was trained on.

    A `BehlerParrinello`, or what is said:

    - "triangular-tetrahedral": s-d model on the triangular lattice, J = 3, n = 0.25, electrons at T = 0.05;
    - "triangular-tetrahedral-accurate": the same on larger clusters, half of the error, three times slower;
    - "triangular-tetrahedral-fast": the same from smaller clusters, for large lattices;
    - "triangular-120": J = 4, n = 0.5, T = 0.05;
    - "double-exchange": square lattice, J = 6, n = 0.485, T = 0.0027, on `LocalElectrons`;
    - "double-exchange-accurate": the same on larger clusters, two thirds of the error, three times slower;
    - "double-exchange-fast": the same on `AtFilling(LocalMoments)`, in half the time and with half again the error;
    - "driven-channel": a `GeneralizedPotential` of a square channel of width 4 between leads, J = 3.8, T = 0.1, the
      voltage an input (`jaxspin.forcefield.at_voltage`); learnt from channels of 16, 32 and 64 cells;
    - "driven-channel-fast": the same from smaller clusters, from 16 cells alone: not for longer channels.

    Those of the triangular lattice say where they have not learnt (`BehlerParrinello.unfamiliarity`). To the others
    give configurations like those learnt from, `model.familiar_with(spins)`, such as frames of a quench with them.

    `pretrained_metadata(name)` holds its errors, the recipe of its data and its settings. Warns where the lattice has
    boundaries or a width that it never learnt, and says what errors were measured there.

    Raises `ValueError` for another name, listing those there are, and for a lattice of another kind or too small a
    size, `TypeError` for what is no lattice. For other electrons train one, `jaxspin.training.train`; of your own file
    it is `jaxspin.forcefield.load`.

    Example:
        >>> model = js.pretrained("triangular-120", js.triangular(12))
        >>> model.lattice.cells, model.descriptor.coupling
        ((12, 12), 4.0)
    """
    path = _path(name)
    model = load(path)
    assert isinstance(model, BehlerParrinello | GeneralizedPotential)
    if lattice is None:
        return model
    if not isinstance(lattice, Lattice):
        known = model.lattice
        cells = "".join(f", {n}" for n in known.cells)[2:]
        raise TypeError(f"{lattice!r} is no lattice; give one such as js.{known.name}({cells}), of any size.")
    if not model.lattice.is_kind_of(lattice):
        kind = model.lattice.name
        raise ValueError(f"{name} learnt on the {kind} lattice, got {told(lattice)}; give one such as js.{kind}(24).")
    moved = model.on(lattice)
    _warn_of_what_is_new(name, model.lattice, lattice)
    return moved


def pretrained_metadata(name: str) -> dict[str, Any]:
    """Errors on held-out configurations, data recipe, settings and provenance of a force field that comes along.

    A dictionary of plain data, with the electrons it learnt under "params" and its errors under "errors".

    Raises `ValueError` for another name, listing those there are. Of a force field of your own: `load_metadata`.

    Example:
        >>> js.forcefield.pretrained_metadata("triangular-120")["params"]["coupling"]
        4.0
    """
    return load_metadata(_path(name))


def pretrained_names() -> tuple[str, ...]:
    """The names `pretrained` knows, in the order of the alphabet; what each is, `pretrained` says.

    Example:
        >>> "triangular-120" in js.forcefield.pretrained_names()
        True
    """
    return tuple(sorted(path.name for path in WEIGHTS.iterdir() if path.is_dir()))


def _path(name: str) -> Path:
    if name not in pretrained_names():
        raise ValueError(f"there is no force field {told(name)}; choose one of {', '.join(pretrained_names())}.")
    return WEIGHTS / name


def _warn_of_what_is_new(name: str, learnt: Lattice, lattice: Lattice) -> None:
    closed = [n for n, periodic in enumerate(learnt.periodic) if periodic]
    opened = [n for n in closed if not lattice.periodic[n]]
    if opened:
        found = _AT_EDGES.get(name, "its error there is unknown")
        warnings.warn(
            f"{name} learnt from lattices that are periodic along axis {' and '.join(map(str, opened))}, and this one "
            f"is open: {found}. Use a periodic lattice, or train a force field on open ones.",
            stacklevel=caller(),
        )
    if not all(learnt.periodic) and not opened:
        width, known = (tuple(x.cells[n] for n in closed) for x in (lattice, learnt))
        if width != known:
            found = _OF_WIDTHS.get(name, "its error there is unknown")
            warnings.warn(
                f"{name} learnt from channels {known[0]} cells wide, and this one has {width[0]}: {found}. "
                "Use its width, or train a force field on channels of yours.",
                stacklevel=caller(),
            )


# Measured against exact diagonalization: rms torque error / rms torque of random spins on 14 x 14 cells, open along the
# first axis, three draws; and against Green's functions: of a driven wall at V = 1.1 in channels of 12 cells.
_AT_EDGES = {
    "triangular-120": "35 % in the row at an edge, 10 % in the next, 1 % inside",
    "triangular-tetrahedral": "51 % in the row at an edge, 26 % inside",
    "triangular-tetrahedral-fast": "290 % in the row at an edge, 80 to 93 % in the next three, 43 % inside",
    "double-exchange": "10 % in the row at an edge, 9 to 19 % inside",
    "double-exchange-fast": "25 % in the row at an edge, 16 to 25 % inside",
}
_OF_WIDTHS = {
    "driven-channel": "13 % on a wall in a channel of width 6, where width 4 has 6 %",
    "driven-channel-fast": "11 % on a wall in a channel of width 6, where width 4 has 9 %",
}
