"""Spin correlations in space and time: S(q, w) of frames `(n, *cells, sublattices, 3)` at equal intervals."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxspin.devices.shards import fourier_transform
from jaxspin.lattice import Lattice
from jaxspin.observables.structure_factor import wavevectors
from jaxspin.spins import takes_spins

_WINDOWS = {
    # that of a period, not the symmetric one: its transform is zero at all but three frequencies
    "hann": lambda n: 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n),
    "blackman": lambda n: np.blackman(n + 1)[:-1],
    "none": np.ones,
}
_COMPONENTS = "xyz"


class Spectrum(eqx.Module):
    """S(q, w): `frequencies` `(n,)`, rising from -pi/interval, and `intensity` `(n, *cells)` at `wavevectors`.

    What `dynamical_structure_factor` returns; frequencies in radians a unit of time. A record, without checks of its
    own.

    Example:
        >>> frames = jnp.stack([js.textures.ferromagnet(lattice)] * 8)
        >>> spectrum = js.observables.dynamical_structure_factor(lattice, frames, 0.5)
        >>> spectrum.intensity.shape, round(float(spectrum.static()[0, 0]), 3)
        ((8, 4, 4), 16.0)
    """

    frequencies: Float[Array, " n"]
    intensity: Float[Array, "n *cells"]

    def static(self) -> Float[Array, "*cells"]:
        """The integral over w: S(q), averaged over time with the square of the window."""
        return jnp.sum(self.intensity, axis=0) * (self.frequencies[1] - self.frequencies[0])

    def peaks(self) -> Float[Array, "*cells"]:
        """The frequency w >= 0 of the highest intensity at every q, w = 0 left out, interpolated by a parabola.

        The parabola through the logarithm of the three highest values; good to a few hundredths of the spacing
        2 pi/(n interval) for one sharp line and a Hann window.
        """
        count = self.frequencies.shape[0]
        first = count // 2
        rising = self.intensity[first:]
        logarithm = jnp.log(jnp.maximum(rising, jnp.finfo(rising.dtype).tiny))
        n = 1 + jnp.argmax(rising[1:-1], axis=0)
        low, here, high = (jnp.take_along_axis(logarithm, n[None] + k, axis=0)[0] for k in (-1, 0, 1))
        bend = low - 2 * here + high
        shift = 0.5 * (low - high) / jnp.where(bend < 0, bend, -1)
        spacing = self.frequencies[1] - self.frequencies[0]
        return spacing * (n.astype(rising.dtype) + jnp.clip(shift, -0.5, 0.5))


@takes_spins(name="frames", batch=True, unit=True)
@eqx.filter_jit
def dynamical_structure_factor(
    lattice: Lattice,
    frames: Float[Array, "n *cells sublattices 3"],
    interval: float | Float[Array, ""],
    *,
    window: str = "hann",
    components: str = "xyz",
) -> Spectrum:
    """S(q, w) = abs(sum_k w_k S_q(t_k) exp(i w t_k))^2 interval/(2 pi N sum_k w_k^2), S_q = sum_i S_i exp(-i q.r_i).

    Summed over the `components` named; t_k = k `interval`, and the n frequencies are multiples of 2 pi/(n
    interval), so motion faster than pi/`interval` is folded back. The `window` w_k tapers the ends, without
    which a line leaks into all frequencies: "hann" (a line has a full width at half maximum of 9 /(n
    interval)), "blackman" (wider, less leakage), or "none". Sum rule: integrated over w it is S(q) =
    abs(S_q)^2/N averaged over the frames with the weights w_k^2, and `structure_factor` at every time alike
    without a window. An ordered state has its Bragg peak at w = 0: for spin waves about z take components="xy".

    A spin of the package precesses clockwise about its field, S_x + i S_y ~ exp(-i w t): its components are
    real, so both signs of w appear. Memory: the frames as complex numbers. The mean of several runs from
    thermal states is the equilibrium S(q, w), with classical statistics.

    Raises `ValueError` for another window or component, fewer than 4 frames, an interval that is not positive, and
    frames of another lattice or of spins longer than 1. For a run take `run.dynamical_structure_factor()`, which knows
    its interval.

    Example:
        >>> frames = jnp.stack([spins] * 8)
        >>> spectrum = js.observables.dynamical_structure_factor(lattice, frames, interval=0.5, components="xy")
        >>> spectrum.frequencies.shape, spectrum.intensity.shape
        ((8,), (8, 4, 4))
    """
    if window not in _WINDOWS:
        raise ValueError(f"window {window!r} is unknown; use one of {', '.join(map(repr, _WINDOWS))}.")
    if not components or any(c not in _COMPONENTS for c in components) or len(set(components)) < len(components):
        raise ValueError(f"components {components!r} are not some of x, y, z; use for example 'xy'.")
    count = frames.shape[0]
    if count < 4:
        raise ValueError(f"{count} frames make no spectrum; save 4 or more, at equal intervals.")
    if not isinstance(interval, jax.Array) and not 0 < interval < np.inf:
        raise ValueError(f"the interval between frames must be a positive time, got {interval}; give that of the run.")
    weights = _WINDOWS[window](count)
    interval = jnp.asarray(interval, frames.dtype)
    phases = np.exp(-1j * wavevectors(lattice) @ np.array(lattice.basis).T)

    def power(component):
        waves = jax.vmap(lambda frame: fourier_transform(lattice, frame))(component)
        waves = jnp.sum(waves * jnp.asarray(phases, waves.dtype)[None], axis=-1)
        taper = jnp.asarray(weights, waves.dtype).reshape(-1, *(1,) * lattice.dimension)
        # exp(+i w t) is the inverse transform, but for its 1/n
        amplitude = count * jnp.fft.ifft(taper * waves, axis=0)
        return amplitude.real**2 + amplitude.imag**2

    # one component after another, for the memory
    series = jnp.stack([frames[..., _COMPONENTS.index(c)] for c in components])
    total = jax.lax.fori_loop(
        0,
        len(components),
        lambda k, total: total + power(series[k]),
        jnp.zeros((count, *lattice.cells), frames.dtype),
    )
    factor = interval / (2 * np.pi * lattice.sites * float(np.sum(weights**2)))
    frequencies = jnp.asarray(np.fft.fftshift(np.fft.fftfreq(count)) * 2 * np.pi, frames.dtype) / interval
    return Spectrum(frequencies, jnp.fft.fftshift(total * factor, axes=0))
