"""Force fields that come with the package."""

from pathlib import Path
from typing import Any

from jaxspin.forcefield.behler_parrinello import BehlerParrinello
from jaxspin.forcefield.checkpoint import load, load_metadata
from jaxspin.forcefield.generalized import GeneralizedPotential
from jaxspin.lattice import Lattice

_FOLDER = Path(__file__).parent / "weights"


def pretrained(name: str, lattice: Lattice | None = None) -> Any:
    """A trained force field by its name, on `lattice` or the one it was trained on.

    A `BehlerParrinello`, or what is said:

    - "triangular-tetrahedral": s-d model on the triangular lattice, J = 3, n = 0.25, electrons at T = 0.05;
    - "triangular-tetrahedral-fast": the same from smaller clusters, for large lattices;
    - "triangular-120": J = 4, n = 0.5, T = 0.05;
    - "double-exchange": square lattice, J = 6, n = 0.485, T = 0.0027, on `LocalElectrons`;
    - "double-exchange-accurate": the same on larger clusters, two thirds of the error, three times slower;
    - "double-exchange-fast": the same on `AtFilling(LocalMoments)`, in half the time and with half again the error;
    - "driven-channel": a `GeneralizedPotential` of a square channel of width 4 between leads, J = 3.8, T = 0.1, the
      voltage an input (`jaxspin.forcefield.at_voltage`);
      Learnt from channels of 16, 32 and 64 cells;
    - "driven-channel-fast": the same from smaller clusters, from 16 cells alone: not for longer channels.

    `pretrained_metadata(name)` holds its errors, the recipe of its data and its settings. Raises `ValueError` for
    another name, listing those there are, and for a lattice of another kind or too small a size.
    """
    path = _path(name)
    model = load(path)
    assert isinstance(model, BehlerParrinello | GeneralizedPotential)
    return model if lattice is None else model.on(lattice)


def pretrained_metadata(name: str) -> dict[str, Any]:
    """Errors on held-out configurations, data recipe, settings and provenance of a force field that comes along."""
    return load_metadata(_path(name))


def pretrained_names() -> tuple[str, ...]:
    """The names `pretrained` knows."""
    return tuple(sorted(path.name for path in _FOLDER.iterdir() if path.is_dir()))


def _path(name: str) -> Path:
    if name not in pretrained_names():
        raise ValueError(f"there is no force field {name!r}; choose one of {', '.join(pretrained_names())}.")
    return _FOLDER / name
