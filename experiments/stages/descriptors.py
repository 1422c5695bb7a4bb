"""Settings of the descriptors, chosen by type: on the command line `network.descriptor:moments`, then its options."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax

import jaxspin as js
from experiments.stages.checks import check_counts, check_positive
from jaxspin.descriptors import AbstractDescriptor, AtFilling, LocalElectrons, LocalMoments, SpinVectors
from jaxspin.forcefield import MessagePassing
from jaxspin.lattice import Lattice


@dataclasses.dataclass(frozen=True)
class Moments:
    """Moments of the electrons on clusters."""

    hops: int = 3
    """Radius of the clusters."""
    moments: int = 24
    """Number of moments."""
    surroundings: int = 1
    """Neighbour shells whose averages are features."""
    weights: bool = False
    """Whether weights by distance are features; moments alone train several times faster."""
    fermi_level: bool = False
    """Whether the Fermi level at the electrons' filling is a feature: for metals."""

    def on(self, lattice: Lattice, electrons: Mapping[str, Any]) -> AbstractDescriptor:
        """The descriptor of electrons with this "coupling", "hopping" and "filling"; `ValueError` without."""
        coupling = known(electrons, "coupling", "use network.descriptor:bispectrum")
        moments = LocalMoments(
            lattice,
            coupling,
            electrons.get("hopping", 1.0),
            hops=self.hops,
            moments=self.moments,
            surroundings=self.surroundings,
            weights=self.weights,
        )
        if not self.fermi_level:
            return moments
        return AtFilling(moments, filling=known(electrons, "filling", "leave out --network.descriptor.fermi-level"))


@dataclasses.dataclass(frozen=True)
class FilledClusters:
    """Electrons that fill the clusters to a common Fermi level, with whose energy the force field begins."""

    hops: int = 4
    """Radius of the clusters."""
    recursion: int = 15
    """Steps of the recursion on the clusters."""
    smearing: float = 0.1
    """Temperature at which the clusters are filled, in units of the hopping."""
    surroundings: int = 1
    """Neighbour shells whose averages are features."""

    def on(self, lattice: Lattice, electrons: Mapping[str, Any]) -> AbstractDescriptor:
        """The descriptor of electrons with this "coupling", "hopping" and "filling"; `ValueError` without."""
        return LocalElectrons(
            lattice,
            known(electrons, "coupling", "use network.descriptor:bispectrum"),
            electrons.get("hopping", 1.0),
            filling=known(electrons, "filling", "use network.descriptor:moments"),
            hops=self.hops,
            steps=self.recursion,
            temperature=self.smearing,
            surroundings=self.surroundings,
        )


@dataclasses.dataclass(frozen=True)
class Bispectrum:
    """Polynomials of bonds and chiralities, whatever the electrons are."""

    radius: float = 3.0
    """Reach of the bonds to the centre."""
    polynomials: bool = True
    """Third-order products of references; without them power and phases alone."""

    def on(self, lattice: Lattice, electrons: Mapping[str, Any]) -> AbstractDescriptor:
        """The descriptor."""
        return js.Bispectrum(lattice, self.radius, bispectrum=self.polynomials)


@dataclasses.dataclass(frozen=True)
class Messages:
    """The spins themselves, for a network that passes messages over the lattice; `hidden` does not count."""

    fields: int = 2
    """Channels, in units of the order of the point group."""
    layers: int = 4
    """How often messages are sent."""
    first_radius: float | None = None
    """How far in the first layer; None: two distances of nearest neighbours."""
    radius: float | None = None
    """How far in the later ones; None: to nearest neighbours."""

    def __post_init__(self):
        check_counts(self, "fields", "layers")
        for name in ("first_radius", "radius"):
            if getattr(self, name) is not None:
                check_positive(self, name)

    def on(self, lattice: Lattice, electrons: Mapping[str, Any]) -> AbstractDescriptor:
        """The descriptor."""
        return SpinVectors(lattice)

    def network(self, lattice: Lattice, key: jax.Array) -> MessagePassing:
        """The network that reads it."""
        return MessagePassing(lattice, **dataclasses.asdict(self), key=key)


Descriptor = Moments | FilledClusters | Bispectrum | Messages


def known(electrons: Mapping[str, Any], name: str, remedy: str) -> Any:
    """A parameter of the electrons; `ValueError` where it is not among them."""
    if name not in electrons:
        raise ValueError(f"the data do not name the {name} of the electrons in params; {remedy}.")
    return electrons[name]
