"""What a force field is made of: which networks fit which descriptors, and both as plain data and back."""

from typing import Any

import equinox as eqx
import jax
from jaxtyping import PRNGKeyArray

from jaxspin.arguments import in_short, told
from jaxspin.descriptors import (
    AbstractDescriptor,
    AtFilling,
    BetweenLeads,
    Bispectrum,
    DisorderedMoments,
    LocalElectrons,
    LocalMoments,
    NearEnds,
    SpinVectors,
)
from jaxspin.forcefield.levels import LearntLevels
from jaxspin.forcefield.message_passing import MessagePassing
from jaxspin.forcefield.networks import AbstractLatticeNetwork, MultilayerPerceptron, multilayer_perceptron
from jaxspin.lattice import Lattice

# Descriptors that are made again from their settings, and those around another one.
DESCRIPTORS = {kind.__name__: kind for kind in (Bispectrum, DisorderedMoments, LocalElectrons, LocalMoments)}
AROUND: dict[str, Any] = {kind.__name__: kind for kind in (AtFilling, BetweenLeads, NearEnds)}
# Networks that are made again from their settings.
NETWORKS: dict[str, Any] = {kind.__name__: kind for kind in (LearntLevels, MessagePassing)}


def check_network(descriptor: AbstractDescriptor, network: Any, dtype: Any) -> None:
    """`ValueError` for a network that does not fit the descriptor."""
    if isinstance(network, LearntLevels) and isinstance(descriptor, BetweenLeads):
        raise ValueError(
            "between leads electrons come and go, and no filling fixes their Fermi level; leave out network=... there."
        )
    if isinstance(network, AbstractLatticeNetwork):
        if not descriptor.components:
            raise ValueError(
                f"{type(network).__name__} reads spins, which {type(descriptor).__name__} does not hand on; "
                "use js.descriptors.SpinVectors(lattice, beside=descriptor)."
            )
        network.check(descriptor.lattice, descriptor.n_features - descriptor.components)
        return
    if descriptor.components:
        raise ValueError(
            f"{type(network).__name__} would make energies of the components of spins, which are not invariant; "
            "use a MessagePassing network, or another descriptor."
        )
    sites = jax.ShapeDtypeStruct((2, descriptor.n_features), dtype)
    try:
        shape = jax.eval_shape(network, sites).shape
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"the network does not take the features of {type(descriptor).__name__} ({error}); "
            f"make it for descriptor.n_features = {descriptor.n_features}."
        ) from error
    if shape != (2,):
        raise ValueError(f"the network makes {shape} of 2 sites, not (2,); return one number a site.")


def network_settings(network: Any) -> dict[str, Any]:
    """Everything but the weights, as plain data, for `drawn_network`."""
    if isinstance(network, MultilayerPerceptron):
        return network.settings()  # as force fields were stored when there was one kind
    if isinstance(network, AbstractLatticeNetwork | LearntLevels):
        return {"network": {"kind": type(network).__name__, **network.settings()}}
    weights = jax.tree.leaves(eqx.filter(network, eqx.is_inexact_array))
    return {"network": {"kind": type(network).__name__, "weights": [list(x.shape) for x in weights]}}


def drawn_network(settings: dict[str, Any], descriptor: AbstractDescriptor, *, key: PRNGKeyArray, dtype: Any) -> Any:
    """The untrained network of these settings; `ValueError` for one that is not jaxspin's."""
    stored = settings.get("network")
    if stored is None:
        widths = tuple(int(n) for n in settings["hidden"])
        return multilayer_perceptron(descriptor.n_features, widths, key=key, dtype=dtype)
    kind = NETWORKS.get(stored["kind"])
    if kind is None:
        raise ValueError(
            f"jaxspin cannot draw a network of the kind {stored['kind']!r} by itself; to read a stored one make the "
            "model and pass like=model to jaxspin.forcefield.load, for a committee train each member and pass them to "
            "Committee."
        )
    features = descriptor.n_features - descriptor.components
    return kind.from_settings(stored, descriptor.lattice, features, key=key, dtype=dtype)


def described(lattice: Lattice, settings: dict[str, Any]) -> AbstractDescriptor:
    """The descriptor of these settings and `kind`; `ValueError` for a kind that this jaxspin does not know."""
    chosen = dict(settings)
    kind = chosen.pop("kind", Bispectrum.__name__)  # force fields were stored without it when there was one kind
    if kind == SpinVectors.__name__:
        beside = chosen.get("descriptor")
        return SpinVectors(lattice, beside=None if beside is None else described(lattice, beside))
    if kind in AROUND:
        return AROUND[kind](described(lattice, chosen.pop("descriptor")), **chosen)
    if kind not in DESCRIPTORS:
        known = " and ".join((*DESCRIPTORS, *AROUND, SpinVectors.__name__))
        raise ValueError(f"descriptor {kind!r} is none of {known}; use the jaxspin that stored the force field.")
    return DESCRIPTORS[kind](lattice, **chosen)


def in_a_line(field: Any, **settings: Any) -> Any:
    """A force field of a `descriptor` and a `network`, printed: their kinds, the lattice and the number of weights."""
    del settings
    count = sum(x.size for x in jax.tree.leaves(eqx.filter(field.network, eqx.is_array)))
    lattice = getattr(field.descriptor, "lattice", None)
    where = "" if lattice is None else f" on {told(lattice)}"
    descriptor, network = (type(x).__name__ for x in (field.descriptor, field.network))
    return in_short(f"{type(field).__name__}({descriptor}{where}, {network} of {count} weights)")
