"""The force fields that `features` compares: the rows of its table, each of which differs in one thing."""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal, get_args

import jaxspin as js
from jaxspin.descriptors import AbstractDescriptor, AtFilling, LocalElectrons, LocalMoments

Part = Literal["features", "radius", "moments", "network", "data"]

# Each names one family of features more than the ones before; the last has all.
_STEPS: dict[str, dict[str, Any]] = {
    "bonds to the centre, invariant sums": {
        "bond_length": 0.0,
        "triangle_side": 0.0,
        "power": False,
        "phases": False,
        "bispectrum": False,
    },
    "+ power spectrum": {"power": True},
    "+ bonds among neighbours": {"bond_length": None},
    "+ chiralities": {"triangle_side": None},
    "+ phases": {"phases": True},
    "+ bispectrum": {"bispectrum": True},
}


@dataclasses.dataclass(frozen=True)
class Model:
    """What is trained: a descriptor, a network, and the share of the configurations it learns from."""

    descriptor: AbstractDescriptor
    hidden: tuple[int, ...]
    fraction: float = 1.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Compared:
    """The usual model, and what the others have instead."""

    parts: tuple[Part, ...] = get_args(Part)
    """Which comparisons to make."""
    radius: float = 3.0
    """Reach of the bonds to the centre, where not compared."""
    bond_radius: float = 2.0
    """Reach of the other bonds and of the chiralities, where not compared."""
    radii: tuple[tuple[float, float], ...] = ((2.0, 1.0), (4.0, 3.0))
    """Other pairs of radius and bond_radius (radius)."""
    clusters: tuple[tuple[int, int], ...] = ((2, 12), (3, 24), (4, 36))
    """Hops and number of moments (moments)."""
    electrons: tuple[tuple[int, float], ...] = ((2, 0.1), (4, 0.1), (6, 0.02))
    """Hops and temperature of clusters that are filled, where the file names the filling (moments); the recursion makes
    five steps a hop and one more, the next odd number."""
    hidden: tuple[int, ...] = (64, 64)
    """Widths of the network's layers, where not compared."""
    narrow: tuple[int, ...] = (16,)
    """Widths of a smaller network (network)."""
    wide: tuple[int, ...] = (128, 128)
    """Widths of a larger network (network)."""
    fractions: tuple[float, ...] = (0.25, 0.5)
    """Of the configurations that are not held out (data)."""

    def __post_init__(self):
        if not self.parts:
            raise ValueError("parts is empty; pass --parts with at least one value, see --help.")
        if not all(0 < x < 1 for x in self.fractions):
            raise ValueError(f"fractions must lie between 0 and 1, got {self.fractions}; 0.25 0.5 is usual.")

    def models(self, lattice: js.Lattice, params: dict[str, Any]) -> dict[str, dict[str, Model]]:
        """The rows of the table, part -> name -> model; the usual one is in every part.

        `params` are what the file says of the electrons; `ValueError` where the clusters need a coupling it lacks.
        """
        usual = Model(self.bispectrum(lattice), self.hidden)
        makers: dict[str, Callable[[], dict[str, Model]]] = {
            "features": lambda: {
                name: Model(self.bispectrum(lattice, **settings), self.hidden)
                for name, settings in feature_sets().items()
            },
            "radius": lambda: {
                f"radius {r:g}, others {s:g}": Model(self.bispectrum(lattice, radius=r, bond_radius=s), self.hidden)
                for r, s in ((self.radius, self.bond_radius), *self.radii)
            },
            "moments": lambda: {
                "bispectrum": usual,
                **{name: Model(x, self.hidden) for name, x in self.cluster_features(lattice, params).items()},
            },
            "network": lambda: {
                " x ".join(map(str, hidden)): dataclasses.replace(usual, hidden=hidden)
                for hidden in (self.narrow, self.hidden, self.wide)
            },
            "data": lambda: {
                f"{fraction:.0%} of the configurations": dataclasses.replace(usual, fraction=fraction)
                for fraction in (*self.fractions, 1.0)
            },
        }
        return {part: makers[part]() for part in self.parts}

    def bispectrum(self, lattice: js.Lattice, **settings: Any) -> js.Bispectrum:
        """The usual neighbourhood with all features, or what `settings` change of it."""
        usual = {"radius": self.radius, "bond_radius": self.bond_radius, "bispectrum": True}
        return js.Bispectrum(lattice, **(usual | settings))

    def cluster_features(self, lattice: js.Lattice, params: dict[str, Any]) -> dict[str, AbstractDescriptor]:
        """Moments of the clusters; where the file names the filling also with the Fermi level, and electrons."""
        if "coupling" not in params:
            raise ValueError("the data do not name their coupling in params; leave moments out of --parts.")
        couplings, filling = (params["coupling"], params.get("hopping", 1.0)), params.get("filling")
        found: dict[str, AbstractDescriptor] = {}
        for hops, count in self.clusters:
            moments = LocalMoments(lattice, *couplings, hops=hops, moments=count, weights=False)
            found[f"{count} moments, {hops} hops"] = moments
            if filling is not None:
                found[f"{count} moments, {hops} hops, Fermi level"] = AtFilling(moments, filling=filling)
        if filling is not None:
            for hops, temperature in self.electrons:
                found[f"electrons, {hops} hops, T = {temperature:g}"] = LocalElectrons(
                    lattice, *couplings, filling=filling, hops=hops, steps=(5 * hops + 1) | 1, temperature=temperature
                )
        return found


def feature_sets() -> dict[str, dict[str, Any]]:
    """Settings of `Bispectrum`, each with one family of features more than the one before; the last has all."""
    found: dict[str, dict[str, Any]] = {}
    now: dict[str, Any] = {}
    for name, change in _STEPS.items():
        now = now | change
        found[name] = now
    return found
