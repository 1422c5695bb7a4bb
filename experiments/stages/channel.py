"""What lies between two leads: their settings, and those of the channel that several experiments drive."""

import dataclasses
from typing import Any

import jaxspin as js
from jaxspin.electrons import WideBandModes


@dataclasses.dataclass(frozen=True)
class Leads:
    """Two leads in the wide-band limit and a weak bath. Energies in units of the hopping."""

    mu: float = -2.5
    """Chemical potential without a voltage."""
    temperature: float = 0.1
    """Of the electrons."""
    lead: float = 2.0
    """Gamma of the leads, on the sites of both ends."""
    bath: float = 0.02
    """Gamma of the bath on every site."""

    def around(self, model: js.SDModel, voltage: float = 0.0, **settings: Any) -> js.GreensFunction:
        """The electrons of `model` with the leads at mu +- V/2, the left one higher, and the bath at mu."""
        return js.GreensFunction(
            model,
            leads=(js.WideBand("left", self.lead), js.WideBand("right", self.lead)),
            **{"voltage": voltage, "mu": self.mu, "temperature": self.temperature, "bath": self.bath, **settings},
        )


@dataclasses.dataclass(frozen=True)
class Channel(Leads):
    """A square channel between leads, periodic across."""

    length: int = 16
    """Cells along the current."""
    width: int = 4
    """Cells across, periodic."""
    coupling: float = 3.8
    """J."""

    @property
    def lattice(self) -> js.Lattice:
        """Open along the current."""
        return js.square(self.length, self.width, periodic=(False, True))

    @property
    def model(self) -> js.SDModel:
        """The electrons without leads."""
        return js.SDModel(self.lattice, 1.0, self.coupling)

    def solver(self, voltage: float, tolerance: float = 1e-4) -> js.GreensFunction:
        """With the right lead lowered to mu - V, the left one and the bath at mu."""
        return self.around(self.model, voltage, mu=self.mu - voltage / 2, bath_mu=self.mu, tolerance=tolerance)

    def exact(self, voltage: float) -> WideBandModes:
        """The same, from the modes."""
        return WideBandModes(self.solver(voltage))
