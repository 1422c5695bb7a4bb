"""The rows of `nested`: what describes the surroundings, and what the network is left to describe."""

import dataclasses
from typing import Literal, get_args

import jax

import jaxspin as js
from experiments.stages import Network
from experiments.stages.descriptors import Bispectrum, Messages, Moments
from experiments.stages.learning import parameters
from experiments.stages.model import Electrons
from jaxspin.descriptors import LocalElectrons
from jaxspin.electrons.probes import Coloring
from jaxspin.lattice import Lattice
from jaxspin.training import SpinData, predict

Base = Literal["alone", "electrons", "kernel polynomials"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Compared:
    """Which force fields, and what they stand on."""

    bases: tuple[Base, ...] = get_args(Base)
    """What is known before anything is learnt: nothing, the electrons of small clusters, a short series."""
    radii: tuple[float, ...] = (3.0, 5.0)
    """Reach of the bispectrum."""
    levels: int = 8
    """Learnt levels of a site, for the bispectrum once more with a Fermi level; 0 leaves that out."""
    clusters: tuple[tuple[int, int], ...] = ((4, 36),)
    """Hops and number of moments of `LocalMoments`."""
    layers: tuple[int, ...] = (4,)
    """How often a network sends messages."""
    hidden: tuple[int, ...] = (64, 64)
    """Widths of the other networks' layers."""
    base_hops: int = 2
    """Radius of the clusters whose electrons are the base."""
    base_smearing: float = 0.4
    """Temperature that fills them: in the triangular metal those of two hops miss 165, 118, 71, 72 % of the torque
    at 0.1, 0.2, 0.4, 0.8."""
    base_colors: int = 36
    """Probing colours of the series that is the base."""
    base_moments: int = 32
    """Its Chebyshev moments."""

    def networks(self) -> dict[str, Network]:
        """What learns, by name."""
        found: dict[str, Network] = {}
        for radius in self.radii:
            found[f"bispectrum, {radius:g} a"] = Network(Bispectrum(radius), self.hidden)
            if self.levels:
                found[f"bispectrum, {radius:g} a, {self.levels} levels"] = Network(
                    Bispectrum(radius), self.hidden, self.levels
                )
        for hops, moments in self.clusters:
            found[f"{moments} moments, {hops} hops"] = Network(Moments(hops, moments), self.hidden)
        for layers in self.layers:
            found[f"messages, {layers} layers"] = Network(Messages(layers=layers), self.hidden)
        return found

    def base(self, name: Base, electrons: Electrons, lattice: Lattice) -> js.AbstractPotential | None:
        """The field that is known, None for nothing."""
        if name == "alone":
            return None
        if name == "electrons":
            steps = (5 * self.base_hops + 1) | 1
            known = LocalElectrons(
                lattice,
                electrons.coupling,
                filling=electrons.filling,
                hops=self.base_hops,
                steps=steps,
                temperature=max(self.base_smearing, electrons.temperature),
            )
            return js.BehlerParrinello(known, hidden=())  # untrained, nothing is added to what the clusters know
        return js.KernelPolynomial(
            js.SDModel(lattice, 1.0, electrons.coupling),
            filling=electrons.filling,
            temperature=electrons.temperature,
            probes=Coloring(self.base_colors),
            order=self.base_moments,
        )


def rest(data: SpinData, base: js.AbstractPotential | None) -> SpinData:
    """The data less what the base knows: what is left to learn."""
    if base is None:
        return data
    energies, fields = predict(base, data.spins)
    return SpinData(
        data.lattice,
        data.spins,
        data.field - fields,
        data.energy - energies,
        has_energy=data.has_energy,
        source=data.sources,
        run=data.run,
        filling=data.filling,
        temperature=data.temperature,
    )


def start(network: Network, electrons: Electrons, lattice: Lattice, key: jax.Array) -> js.BehlerParrinello:
    """The untrained force field."""
    return network.model(lattice, parameters(electrons), key)
