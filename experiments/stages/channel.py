"""What lies between two leads: the settings of these, of the channel, and of force fields that learn it."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

import jaxspin as js
from experiments.stages.driven_learning import Model
from jaxspin.descriptors import BetweenLeads, LocalMoments, NearEnds
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


@dataclasses.dataclass(frozen=True)
class ChannelClusters:
    """Moments of the electrons on clusters that close around the channel, with what is known of its ends and leads."""

    hops: int = 5
    """Radius of the clusters."""
    moments: int = 32
    """Moments of each cluster."""
    surroundings: int = 1
    """Neighbour shells whose averages are features."""
    directed: bool = False
    """Whether the moments know the direction of the current; see `LocalMoments`."""
    ends: tuple[float, ...] = (1.0, 3.0)
    """Lengths of `NearEnds`, in cells."""
    mobility: tuple[float, ...] = (5.0, 20.0, 100.0)
    """Of `BetweenLeads`."""

    def on(self, channel: Channel) -> BetweenLeads:
        """The descriptor at no voltage."""
        moments = LocalMoments(
            channel.lattice,
            channel.coupling,
            hops=self.hops,
            moments=self.moments,
            surroundings=self.surroundings,
            direction=(1.0, 0.0) if self.directed else None,
            wrap=True,
        )
        ended = NearEnds(moments, lengths=self.ends)
        return BetweenLeads(ended, lead=channel.lead, bath=channel.bath, mobility=self.mobility)


@dataclasses.dataclass(frozen=True)
class ChannelNetwork:
    """A descriptor, and networks on its features."""

    descriptor: ChannelClusters = dataclasses.field(default_factory=ChannelClusters)
    """What a network is told of a spin's surroundings."""
    hidden: tuple[int, ...] = (96, 96)
    """Widths of the networks' layers."""

    def on(self, channel: Channel, conservative: bool, key: jax.Array) -> Model:
        """The untrained model in single precision, with an energy or generalized."""
        make = js.BehlerParrinello if conservative else js.forcefield.GeneralizedPotential
        return make(descriptor=self.descriptor.on(channel), hidden=self.hidden, key=key, dtype=jnp.float32)
