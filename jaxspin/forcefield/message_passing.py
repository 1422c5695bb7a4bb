"""Message passing over the lattice: dense products with spin scalars and vectors that every symmetry commutes with."""

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, PRNGKeyArray

from jaxspin.arrays.precision import matmul
from jaxspin.arrays.translation import with_edges
from jaxspin.couplings import at_least
from jaxspin.descriptors.base import check_direction
from jaxspin.forcefield.networks import AbstractLatticeNetwork
from jaxspin.forcefield.stencils import Stencil, stencil
from jaxspin.lattice import Lattice
from jaxspin.symmetry import infinite

# How many sums of the spins around the first layer makes, whose products in pairs it reads.
_SUMS = 8
# How many scalars a later layer makes of messages; how many changes of scalars and gates of vectors come of them.
_LATER = 15
_FIRST_MADE, _LATER_MADE = 3, 6
# Width of the dense networks between, in channels.
_HIDDEN = 2


class MessagePassing(AbstractLatticeNetwork):
    """Site energies from scalars and vectors that sites send to their neighbours, layer by layer.

    Every site carries, for each of `fields` and each operation g of the point group, a scalar a, a vector v that
    changes sign with the spins and one, w, that does not; at first v = S_i alone. A layer sums those of the sites
    around with a matrix for each (`Stencil`): V = sum_h w(h) v(g h) and so on; the first one makes eight sums of spins
    and reads all products of two. A dense network makes of the scalars V.V', W.W', V.(V' x W), a, (V.W)(V'.W') a change
    of a and gates, which multiply V, V x V' and W to make the next v and w; all are bounded, x/(1 + |x|^2/4)^(1/2).
    The energy of a site is a dense network of the scalars of all layers, averaged over g.

    By construction, to rounding: invariant under rotations and the reversal of all spins, under translations and the
    point group; with `direction` under those operations alone that leave it. Sites without a spin send nothing. A site
    sees `reach` = first_radius + (layers - 1) radius: the work is linear in it, where descriptors of clusters do that
    of all sites within reach, and it is dense products, which CPUs, GPUs and TPUs are built for.

    **Arguments**

    - `lattice`: any of the kind, all of whose sublattices are equivalent; the size does not matter.
    - `fields`: channels are `fields` times the order of the point group (8 square, 12 triangular).
    - `layers`: how often messages are sent.
    - `first_radius`, `radius`: how far, in the first layer, which costs little, and in the later ones; None for all
      sites within 2 and 1 times the distance of nearest neighbours.
    - `features`: the number of features beside the spins, those of `SpinVectors.beside`.
    - `key`, `dtype`: of the weights drawn. Untrained the energy is zero.

    Raises `ValueError` for sublattices that are not equivalent, counts below one, radii without a neighbour, and what
    is no direction on the lattice.
    Sources: message passing: J. Gilmer et al., Proc. Machine Learning Research 70, 1263 (2017), arXiv:1704.01212;
    group convolutions: T. Cohen and M. Welling, arXiv:1602.07576; spins: Y. Miyazaki, Mach. Learn.: Sci. Technol. 4,
    045006 (2023), 10.1088/2632-2153/ad0937.

    Example:
        >>> network = js.forcefield.MessagePassing(js.square(8), fields=1, layers=2, key=jax.random.key(0))
        >>> model = js.BehlerParrinello(js.square(8), network)
        >>> model.field(js.textures.neel(js.square(8))).shape
        (8, 8, 1, 3)
    """

    def __init__(
        self,
        lattice: Lattice,
        *,
        fields: int = 2,
        layers: int = 4,
        first_radius: float | None = None,
        radius: float | None = None,
        direction: Sequence[float] | None = None,
        features: int = 0,
        key: PRNGKeyArray,
        dtype: Any = None,
    ):
        if min(fields, layers) < 1 or features < 0:
            raise ValueError(f"fields and layers must be at least 1, got {fields} and {layers}; 2 and 4 are usual.")
        nearest = min(bond.length for bond in lattice.shell(1))
        self.fields, self.features, self.kind = int(fields), int(features), infinite(lattice)
        self.radii = (
            float(2 * nearest if first_radius is None else first_radius),
            *(float(nearest if radius is None else radius),) * (int(layers) - 1),
        )
        if not all(r * (1 + lattice.tolerance) >= nearest for r in self.radii):
            raise ValueError(
                f"not all of the radii {self.radii} hold a neighbour; use at least {at_least(nearest, 4)}, the "
                "distance of nearest neighbours."
            )
        self.direction = None if direction is None else tuple(float(x) for x in direction)
        check_direction(lattice, self.direction)
        counts = [stencil(lattice, r, self.direction).count for r in self.radii]
        order = stencil(lattice, 0.0, self.direction).order
        dtype = jnp.dtype(jnp.result_type(float) if dtype is None else dtype)
        layers_drawn, readout = _drawn(key, order, self.fields, tuple(counts), self.features, dtype)
        self.layers = nnx.List([_params(layer) for layer in layers_drawn])
        self.readout = _params(readout)

    def check(self, lattice: Lattice, features: int) -> None:
        """`ValueError` where it was made for another kind of lattice, or another number of features."""
        if not self.kind.is_kind_of(lattice):
            raise ValueError(
                f"the network was made for the {self.kind.name} lattice, the spins are on the {lattice.name} lattice; "
                "make it on this kind of lattice."
            )
        if features != self.features:
            raise ValueError(
                f"the network reads {self.features} features beside the spins, the descriptor has {features}; "
                f"make it with features={features}."
            )

    def reach(self, lattice: Lattice) -> tuple[int, ...]:
        """How many cells away a site is seen, along each axis."""
        reaches = [stencil(lattice, r, self.direction).reach for r in self.radii]
        return tuple(sum(along) for along in zip(*reaches, strict=True))

    def energies(
        self,
        lattice: Lattice,
        vectors: Float[Array, "3 sublattices *cells"],
        features: Float[Array, "features sublattices *cells"],
        trim: Sequence[bool] | None = None,
    ) -> Float[Array, "sublattices *left"]:
        """One number a site. Along axes that `trim` names the cells within `reach` of the ends are left out."""
        trimmed = (False,) * lattice.dimension if trim is None else tuple(trim)
        around = [Convolution(lattice, stencil(lattice, r, self.direction), trimmed) for r in self.radii]
        here = Convolution(lattice, stencil(lattice, 0.0, self.direction), trimmed)
        odd = jnp.moveaxis(vectors, 1, -1)[..., None]
        beside = jnp.moveaxis(features, (0, 1), (-1, -2))[None]
        occupied = jnp.any(odd != 0, axis=0, keepdims=True).astype(vectors.dtype)
        scalar = even = odd[:0]
        scalars: list[Array] = []
        for number, (layer, sent) in enumerate(zip(self.layers, around, strict=True)):
            beside, occupied = sent.own(beside), sent.own(occupied)
            if number:
                scalar, odd, even = _later(layer, sent, here, scalar, odd, even, beside)
            else:
                scalar, odd, even = _first(layer, sent, here, odd, beside)
            scalar, odd, even = (occupied * _bounded(x) for x in (scalar, odd, even))
            scalars = [*(sent.own(a) for a in scalars), scalar]
        out = self.readout
        hidden = jax.nn.silu(_hidden(out, here, scalars, beside))
        averaged = jnp.mean(hidden.reshape(*hidden.shape[:-1], here.table.order, -1), axis=-2)
        return jnp.moveaxis(matmul(averaged, out["out"][...])[0, ..., 0], -1, 0)

    def settings(self) -> dict[str, Any]:
        """What a stored force field needs to make the network again."""
        first, *others = self.radii
        return {
            "fields": self.fields,
            "layers": len(self.radii),
            "first_radius": first,
            "radius": others[0] if others else None,
            "direction": None if self.direction is None else list(self.direction),
        }

    @staticmethod
    def from_settings(
        settings: dict[str, Any], lattice: Lattice, features: int, *, key: PRNGKeyArray, dtype: Any
    ) -> "MessagePassing":
        """The untrained network described by `settings()`."""
        chosen = {name: settings[name] for name in ("fields", "layers", "first_radius", "radius", "direction")}
        return MessagePassing(lattice, features=features, key=key, dtype=dtype, **chosen)


def _params(weights: dict[str, Array]) -> Any:
    return nnx.Dict({name: nnx.Param(w) for name, w in weights.items()})


class Convolution(NamedTuple):
    """Sums over the sites around each, of arrays `(components, *cells, sublattices, channels)`.

    Along a periodic axis the cells go on at the other end, beyond an open one there is nothing; where an axis is
    `trimmed`, the cells within reach of its ends are left out of the result.
    """

    lattice: Lattice
    table: Stencil
    trimmed: tuple[bool, ...]

    def own(self, x: Array) -> Array:
        """The cells of the result."""
        for axis, (trim, reach) in enumerate(zip(self.trimmed, self.table.reach, strict=True), 1):
            if trim and reach:
                x = jax.lax.slice_in_dim(x, reach, x.shape[axis] - reach, axis=axis)
        return x

    def received(self, weights: Array, x: Array, parts: int) -> list[Array]:
        """`parts` sums of the same channels over the sites around."""
        product = self._over_sites(x, lambda b: self._matrix(weights, self.table.weights[b], parts))
        return jnp.split(product, parts, axis=-1)

    def received_plain(self, weights: Array, x: Array, parts: int) -> list[Array]:
        """The same where a site has one channel, as its spin is."""
        product = self._over_sites(x, lambda b: self._matrix(weights, self.table.plain[b][..., None], parts))
        return jnp.split(product, parts, axis=-1)

    def dense(self, weights: Array, parts: Sequence[Array], count: int) -> Array:
        """A product over the channels of a site, which are those of `parts` one after another; `count` parts out."""
        x, given = jnp.concatenate(parts, axis=-1), len(parts)
        # the weights of each part are those of a convolution of its own
        several = weights.reshape(weights.shape[0], given, -1, weights.shape[-1])

        def matrix(b: int) -> Array:
            return jnp.concatenate(
                [self._matrix(several[:, n], self.table.weights[b], count) for n in range(given)], axis=0
            )

        return self._over_sites(x, matrix)

    def bias(self, values: Array, count: int) -> Array:
        """The same for every operation of the group, in the order of the channels of `count` parts."""
        wide = jnp.concatenate([jnp.tile(part, self.table.order) for part in jnp.split(values, count)])
        return wide.reshape(*(1,) * (self.lattice.dimension + 2), -1)

    def _matrix(self, weights: Array, where: np.ndarray, parts: int) -> Array:
        """Rows (site, operation, field), columns (part, operation, field), from weights `(free, fields, made)`."""
        out, sites, inner = where.shape
        picked = weights[where].reshape(out, sites * inner * weights.shape[1], parts, -1)
        return jnp.transpose(picked, (1, 2, 0, 3)).reshape(picked.shape[1], -1)

    def _over_sites(self, x: Array, matrix: Callable[[int], Array]) -> Array:
        made = []
        wide = self._wide(x)
        for b, sites in enumerate(self.table.sites):
            near = jnp.concatenate([self._shifted(wide, offset)[..., c, :] for offset, c in sites], axis=-1)
            made.append(matmul(near.reshape(-1, near.shape[-1]), matrix(b)).reshape(*near.shape[:-1], -1))
        return jnp.stack(made, axis=-2)

    def _wide(self, x: Array) -> Array:
        """With the cells beyond the ends of axes that are not trimmed."""
        for axis, (trim, wraps, reach) in enumerate(
            zip(self.trimmed, self.lattice.periodic, self.table.reach, strict=True), 1
        ):
            if not trim:
                x = with_edges(x, axis, reach, reach, wraps)
        return x

    def _shifted(self, wide: Array, offset: Sequence[int]) -> Array:
        start = [0, *(reach + n for reach, n in zip(self.table.reach, offset, strict=True)), 0, 0]
        left = [n - 2 * reach for n, reach in zip(wide.shape[1:-2], self.table.reach, strict=True)]
        stop = [wide.shape[0], *(n + m for n, m in zip(start[1:], left, strict=False)), *wide.shape[-2:]]
        return jax.lax.slice(wide, start, stop)


def _first(layer: Any, sent: Convolution, here: Convolution, spins: Array, beside: Array) -> tuple[Array, Array, Array]:
    one, three = sent.received_plain(layer["odd"][...], spins, 2)
    sums = sent.received_plain(layer["sums"][...], spins, _SUMS)
    scalars = [_dot(a, b) for a, b in itertools.combinations_with_replacement(sums, 2)]
    change, to_odd, to_even = _gates(layer, here, scalars, beside, _FIRST_MADE)
    return change, one * to_odd, _cross(one, three) * to_even


def _later(
    layer: Any, sent: Convolution, here: Convolution, scalar: Array, odd: Array, even: Array, beside: Array
) -> tuple[Array, Array, Array]:
    one, two, three = sent.received(layer["odd"][...], odd, 3)
    first, second = sent.received(layer["even"][...], even, 2)
    products = [
        *(_dot(a, b) for a, b in itertools.combinations_with_replacement((one, two, three), 2)),
        *(_dot(a, b) for a, b in itertools.combinations_with_replacement((first, second), 2)),
        _dot(one, _cross(two, first)),
        _dot(two, _cross(three, second)),
        _dot(three, first) * _dot(three, second),
        _dot(one, first) * _dot(two, second),
    ]
    scalars = [*products, *sent.received(layer["scalar"][...], scalar, 2)]
    change, to_odd, to_even, turned, crossed, kept = _gates(layer, here, scalars, beside, _LATER_MADE)
    odd = one * to_odd + sent.own(odd) * kept + _cross(two, second) * turned
    even = sent.own(even) + first * to_even + _cross(one, three) * crossed
    return sent.own(scalar) + change, odd, even


def _hidden(layer: Any, here: Convolution, scalars: Sequence[Array], beside: Array) -> Array:
    hidden = here.dense(layer["in"][...], scalars, 1) + here.bias(layer["bias"][...], 1)
    if beside.shape[-1]:
        read = matmul(beside, layer["beside"][...])
        hidden = hidden + jnp.concatenate([read] * here.table.order, axis=-1)
    return hidden


def _gates(layer: Any, here: Convolution, scalars: Sequence[Array], beside: Array, count: int) -> list[Array]:
    hidden = jax.nn.silu(_hidden(layer, here, scalars, beside))
    made = here.dense(layer["made"][...], [hidden], count) + here.bias(layer["shift"][...], count)
    return jnp.split(made, count, axis=-1)


def _bounded(x: Array) -> Array:
    """At most of some size, whatever the products of one layer after another make, and smooth."""
    square = jnp.sum(x * x, axis=0, keepdims=True)
    return x * jax.lax.rsqrt(1 + jnp.mean(square, axis=-1, keepdims=True) / 4)


def _dot(a: Array, b: Array) -> Array:
    return (a[0] * b[0] + a[1] * b[1] + a[2] * b[2])[None]


def _cross(a: Array, b: Array) -> Array:
    return jnp.stack([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])


@functools.partial(jax.jit, static_argnames=("order", "fields", "counts", "features", "dtype"))
def _drawn(
    key: PRNGKeyArray, order: int, fields: int, counts: tuple[int, ...], features: int, dtype: Any
) -> tuple[list[dict[str, Array]], dict[str, Array]]:
    """The weights of the layers and of the readout, each sum of unit variance."""
    keys = (jax.random.fold_in(key, n) for n in itertools.count())

    def weights(free: int, given: int, made: int, scale: float = 1.0) -> Array:
        return scale * jax.random.normal(next(keys), (free, given, made), dtype) / jnp.sqrt(float(free * given))

    def network(given: int, hidden: int) -> dict[str, Array]:
        found = {"in": weights(order, given, hidden), "bias": jnp.zeros(hidden, dtype)}
        return found | ({"beside": weights(1, features, hidden)[0]} if features else {})

    layers = []
    for number, count in enumerate(counts):
        made = _LATER_MADE if number else _FIRST_MADE
        hidden = _HIDDEN * fields
        layer = network(_LATER * fields if number else _SUMS * (_SUMS + 1) // 2, hidden)
        layer["made"] = weights(order, hidden, made * fields, 0.5)
        layer["shift"] = jnp.concatenate([jnp.zeros(fields, dtype), jnp.ones((made - 1) * fields, dtype)])
        if number:
            layer["odd"] = weights(count * order, fields, 3 * fields)
            layer["even"] = weights(count * order, fields, 2 * fields)
            layer["scalar"] = weights(count * order, fields, 2 * fields)
        else:
            layer["odd"] = weights(count, 1, 2 * fields)
            layer["sums"] = weights(count, 1, _SUMS)
        layers.append(layer)
    readout = network(len(counts) * fields, _HIDDEN * fields) | {"out": jnp.zeros((_HIDDEN * fields, 1), dtype)}
    return layers, readout
