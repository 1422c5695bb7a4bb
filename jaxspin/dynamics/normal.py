"""The normal numbers of `jax.random`, in one loop."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray, UInt32

Words = UInt32[Array, "*#n"]
_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))


def threefry2x32(key: tuple[Words, Words], counter: tuple[Words, Words]) -> tuple[Words, Words]:
    """The cipher Threefry-2x32 of 20 rounds, of arrays of counters.

    Source: Salmon, Moraes, Dror and Shaw, Proc. SC '11, 16 (2011), doi:10.1145/2063384.2063405.
    """
    keys = (*key, key[0] ^ key[1] ^ np.uint32(0x1BD11BDA))
    a, b = counter[0] + keys[0], counter[1] + keys[1]
    for block in range(5):
        for turn in _ROTATIONS[block % 2]:
            a = a + b
            b = a ^ ((b << np.uint32(turn)) | (b >> np.uint32(32 - turn)))
        a = a + keys[(block + 1) % 3]
        b = b + keys[(block + 2) % 3] + np.uint32(block + 1)
    return a, b


def normal_components(
    key: PRNGKeyArray, sites: tuple[int, ...], dtype
) -> tuple[Float[Array, "*sites"], Float[Array, "*sites"], Float[Array, "*sites"]]:
    """Three arrays of numbers from N(0, 1): those of `jax.random.normal(key, (3, *sites), dtype)`, to rounding.

    The rounds of the generator are written out, so that XLA makes one loop over the sites of them and of what
    follows; on CPUs jax.random compiles to a loop over rounds with the counters written to memory in each, which
    takes twice as long. A key of another generator than JAX's default, `jax_threefry_partitionable` switched off, other
    types than float32 and float64, or 2^32 numbers and more get jax.random itself.
    """
    dtype = jnp.dtype(dtype)
    # the checkers do not know jax's options
    by_counters: bool = jax.config.jax_threefry_partitionable  # pyright: ignore[reportAttributeAccessIssue]
    known = by_counters and str(jax.random.key_impl(key)) == "threefry2x32"
    if not known or dtype not in (jnp.float32, jnp.float64) or 3 * math.prod(sites) >= 2**32:
        x, y, z = jax.random.normal(key, (3, *sites), dtype)
        return x, y, z
    words = jax.random.key_data(key)
    site = jnp.zeros(sites, jnp.uint32)
    for axis in range(len(sites)):
        stride = np.uint32(math.prod(sites[axis + 1 :]))
        site = site + stride * lax.broadcasted_iota(jnp.uint32, sites, axis)
    high = jnp.zeros(sites, jnp.uint32)

    def component(number: Array) -> Array:
        low = site + number * np.uint32(math.prod(sites))
        bits = threefry2x32((words[0], words[1]), (high, low))
        uniform = _single(*bits) if dtype == jnp.float32 else _double(*bits)
        return jnp.asarray(np.sqrt(2), dtype) * lax.erf_inv(uniform)

    # A loop of its own over the components: XLA would draw anew in each of the loops that read the numbers.
    x, y, z = lax.map(component, jnp.arange(3, dtype=jnp.uint32))
    return x, y, z


def _single(high: Words, low: Words) -> Float[Array, "*n"]:
    """Uniform in (-1, 1): the bits are those of the fraction of a number in [1, 2)."""
    fraction = (high ^ low) >> np.uint32(9)
    return _stretched(lax.bitcast_convert_type(fraction | np.uint32(0x3F800000), jnp.float32))


def _double(high: Words, low: Words) -> Float[Array, "*n"]:
    fraction = ((high.astype(jnp.uint64) << np.uint64(32)) | low.astype(jnp.uint64)) >> np.uint64(12)
    return _stretched(lax.bitcast_convert_type(fraction | np.uint64(0x3FF0000000000000), jnp.float64))


def _stretched(x: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """[1, 2) to (-1, 1)."""
    lowest = np.nextafter(np.asarray(-1, x.dtype), np.asarray(0, x.dtype))
    one = np.asarray(1, x.dtype)
    return jnp.maximum((x - one) * (one - lowest) + lowest, lowest)
