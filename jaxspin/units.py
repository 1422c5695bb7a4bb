"""Energies, times, temperatures, fields and lengths in laboratory units, to the numbers of a model and back.

Inside the package hbar = k_B = 1: an energy is a number times a unit that the user chose, a temperature is an energy, a
time is one over an energy. `Units` says which unit that is. Arrays of any shape, NumPy's or JAX's, keep their shape.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

__all__ = ["Units"]


def __dir__() -> list[str]:
    return __all__


_TIMES = {"s": 1.0, "ns": 1e-9, "ps": 1e-12, "fs": 1e-15}
_LENGTHS = {"m": 1.0, "nm": 1e-9, "Angstrom": 1e-10}
_FIELDS = {"T": 1.0, "mT": 1e-3}


@dataclasses.dataclass(frozen=True)
class Units:
    """The units of a model whose energies are numbers times `energy`, and whose lengths are numbers times `length`.

    - `energy`: "eV", "meV", "K", "J", "Ry" or "mRy", or a number of eV, such as the hopping of a model in units of it.
    - `length`: a number of Angstrom, such as the lattice constant; 1 unless given.

    Each quantity has a method to the model's number, and one back with `to_` before its name:

    | method | laboratory units | the model's number |
    | --- | --- | --- |
    | `energy_of` | eV, meV, K, J, Ry, mRy | E / unit |
    | `time` | s, ns, ps, fs | t unit / hbar; hbar / (1 eV) = 0.658 fs |
    | `temperature` | K, or an energy | k_B T / unit; 1 eV = 11604.5 K |
    | `field` | T, mT | m mu_B B / unit, an energy; mu_B 1 T = 0.0579 meV |
    | `length_of` | Angstrom, nm, m | x / length |

    A moment of m mu_B in a flux density B has the energy -m mu_B B . S, so that `js.Zeeman(units.field(B, "T",
    moment=m))` is the applied field. Its angular momentum is hbar m/g, with g = 2 for electrons: for times in
    laboratory units give `js.simulate(moment=m / 2)`, and every spin precesses at g mu_B B / h, 28 GHz a tesla.

    `dipole()` is the strength of `js.classical.DipoleDipole` for moments in mu_B.

    The constants are those of `scipy.constants` (CODATA).

    Raises `ValueError` for a unit it does not know, naming those it does, and for an energy or a length that is not
    positive.

    Example:
        >>> units = js.units.Units(energy="eV")
        >>> [round(x, 4) for x in (units.temperature(11604.5, "K"), units.to_time(1.0, "fs"))]
        [1.0, 0.6582]
        >>> units.field((0.0, 0.0, 1.0), "T", moment=1.0).round(7).tolist()
        [0.0, 0.0, 5.79e-05]
    """

    energy: str | float | int = "eV"
    length: float | int = 1.0

    def __post_init__(self) -> None:
        if isinstance(self.energy, str):
            _factor(_energies(), self.energy, "an energy")
        elif not (0 < self.energy < math.inf):
            raise ValueError(f"energy = {self.energy!r} is no unit; give a positive number of eV, or a name.")
        if not (0 < self.length < math.inf):
            raise ValueError(f"length = {self.length!r} is no unit; give a positive number of Angstrom.")

    def energy_of(self, value: Any, unit: str) -> Any:
        """An energy in the model's unit."""
        return _times(value, _factor(_energies(), unit, "an energy") / self._joule())

    def to_energy(self, value: Any, unit: str) -> Any:
        """An energy of the model in `unit`."""
        return _times(value, self._joule() / _factor(_energies(), unit, "an energy"))

    def time(self, value: Any, unit: str) -> Any:
        """A time in hbar over the model's unit of energy, as `simulate(duration=...)` takes it."""
        return _times(value, _factor(_TIMES, unit, "a time") / self._second())

    def to_time(self, value: Any, unit: str) -> Any:
        """A time of the model in `unit`."""
        return _times(value, self._second() / _factor(_TIMES, unit, "a time"))

    def temperature(self, value: Any, unit: str = "K") -> Any:
        """A temperature in the model's unit of energy."""
        return self.energy_of(value, unit)

    def to_temperature(self, value: Any, unit: str = "K") -> Any:
        """A temperature of the model in `unit`."""
        return self.to_energy(value, unit)

    def field(self, value: Any, unit: str = "T", *, moment: Any) -> Any:
        """The energy m mu_B B of a flux density at a moment of `moment` mu_B, in the model's unit, for `js.Zeeman`.

        `value` is one number, or `(3,)`, or `(*cells, sublattices, 3)`; `moment` is one number, or one a site
        `(*cells, sublattices)`.
        """
        return _by_moment(value, moment, self._tesla(unit), 1)

    def to_field(self, value: Any, unit: str = "T", *, moment: Any) -> Any:
        """The flux density whose energy at a moment of `moment` mu_B is `value` in the model's unit."""
        return _by_moment(value, moment, 1 / self._tesla(unit), -1)

    def dipole(self) -> float:
        """mu_0 mu_B^2/(4 pi), in the model's unit of energy times its unit of length cubed.

        The `strength` of `js.classical.DipoleDipole` for moments in mu_B: 0.05368 meV Angstrom^3.

        Example:
            >>> round(js.units.Units("meV").dipole(), 5), round(js.units.Units("meV", length=2.87).dipole(), 5)
            (0.05368, 0.00227)
        """
        from scipy.constants import mu_0, physical_constants

        moment = physical_constants["Bohr magneton"][0]
        return mu_0 * moment**2 / (4 * math.pi) / (self._joule() * (1e-10 * self.length) ** 3)

    def length_of(self, value: Any, unit: str = "Angstrom") -> Any:
        """A length in the model's unit, in which `Lattice` has its vectors."""
        return _times(value, _factor(_LENGTHS, unit, "a length") / (1e-10 * self.length))

    def to_length(self, value: Any, unit: str = "Angstrom") -> Any:
        """A length of the model in `unit`."""
        return _times(value, 1e-10 * self.length / _factor(_LENGTHS, unit, "a length"))

    def _joule(self) -> float:
        energies = _energies()
        return energies[self.energy] if isinstance(self.energy, str) else self.energy * energies["eV"]

    def _second(self) -> float:
        from scipy.constants import hbar

        return hbar / self._joule()

    def _tesla(self, unit: str) -> float:
        """mu_B times the unit of the field, in the model's unit of energy."""
        from scipy.constants import physical_constants

        return _factor(_FIELDS, unit, "a field") * physical_constants["Bohr magneton"][0] / self._joule()


def _energies() -> dict[str, float]:
    """The units of energy in joule."""
    from scipy.constants import Boltzmann, electron_volt, physical_constants

    rydberg = physical_constants["Rydberg constant times hc in J"][0]
    return {
        "eV": electron_volt,
        "meV": 1e-3 * electron_volt,
        "K": Boltzmann,
        "J": 1.0,
        "Ry": rydberg,
        "mRy": 1e-3 * rydberg,
    }


def _factor(known: Mapping[str, float], unit: str, what: str) -> float:
    if unit not in known:
        raise ValueError(f"{unit!r} is no unit of {what}; use {', '.join(known)}.")
    return known[unit]


def _times(value: Any, factor: float) -> Any:
    """`value` times a number; lists and tuples become arrays, Python's numbers stay such."""
    kept = isinstance(value, int | float | np.ndarray | jax.Array)
    return (value if kept else np.asarray(value, float)) * factor


def _by_moment(value: Any, moment: Any, factor: float, power: int) -> Any:
    """`value` times the factor and a power of the moments; one moment a site stands before the components."""
    if np.ndim(moment) == 0:
        return _times(value, factor * moment**power)
    of_run = isinstance(value, jax.Array) or isinstance(moment, jax.Array)
    library = jnp if of_run else np
    dtype = value.dtype if isinstance(value, jax.Array) else moment.dtype if of_run else float
    value, moment = library.asarray(value, dtype), library.asarray(moment, dtype)
    if value.ndim:
        moment = moment[..., None]
    shape = np.broadcast_shapes(value.shape, moment.shape)
    return library.broadcast_to(value, shape) * library.broadcast_to(moment, shape) ** power * factor
