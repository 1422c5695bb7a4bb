"""Simple pulses that reverse an easy-axis magnet."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from experiments.stages.pulses import gaussian


@dataclasses.dataclass(frozen=True)
class SimplePulses:
    """Rectangular pulses along tilted directions, and Gaussians with a carrier in the plane."""

    widths: tuple[float, ...] = (5.0, 10.0, 20.0, 40.0, 80.0)
    """Lengths of rectangular ones, four standard deviations of Gaussians."""
    tilts: tuple[float, ...] = (1.571, 1.9, 2.36, 2.8, 3.14)
    """Angles to +z of the rectangular ones."""
    frequencies: tuple[float, ...] = (0.05, 0.08, 0.11, 0.14, 0.17, 0.2)
    """Of the carriers."""

    def shapes(self, t: np.ndarray) -> tuple[list[str], jax.Array]:
        """All of them at the times t, with their names."""
        found: dict[str, np.ndarray] = {}
        for width in self.widths:
            on = (t <= width).astype(float)
            for tilt in self.tilts:
                direction = np.array([np.sin(tilt), 0, np.cos(tilt)])
                found[f"rectangular, {width:g} long, {np.degrees(tilt):.0f} degrees"] = on[:, None] * direction
            envelope = gaussian(t, width)
            for frequency in self.frequencies:
                turn = frequency * (t - t[-1] / 2)
                for name, y in (("linear", 0.0), ("clockwise", -1.0), ("counter-clockwise", 1.0)):
                    carrier = np.stack([np.cos(turn), y * np.sin(turn), np.zeros_like(t)], axis=-1)
                    found[f"Gaussian, {width:g} wide, {name}, frequency {frequency:g}"] = envelope[:, None] * carrier
        return list(found), jnp.asarray(np.stack(list(found.values())), jnp.result_type(float))
