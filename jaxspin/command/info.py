"""What is installed and where, for a bug report and for a first look. No arrays."""

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import jax

import jaxspin as js
from jaxspin.forcefield import pretrained_names
from jaxspin.forcefield.pretrained import WEIGHTS

_PACKAGES = (
    "jax",
    "jaxlib",
    "flax",
    "equinox",
    "diffrax",
    "optax",
    "orbax-checkpoint",
    "numpy",
    "scipy",
    "xarray",
    "zarr",
)


def report() -> str:
    """Versions, devices, precision, the force fields that come along, and what to read."""
    lines = [
        f"jaxspin {js.__version__} in {Path(js.__file__).parent}",
        f"Python {platform.python_version()} on {platform.platform()}",
        " ".join(f"{name} {_version(name)}" for name in _PACKAGES),
        f"devices: {', '.join(f'{d.platform} {d.device_kind}' for d in jax.devices())}",
        f"precision: {'double' if jax.config.read('jax_enable_x64') else 'single'} "
        "(double with JAX_ENABLE_X64=1, or jax.config.update('jax_enable_x64', True))",
        f"trained force fields in {WEIGHTS}:",
        *(f"    js.pretrained({name!r})" for name in pretrained_names()),
        "read: README.md for a start, help(jaxspin), notebooks/ by question, experiments/README.md for results,",
        '      and every public name: pip install "jaxspin[docs]" && python -m pdoc jaxspin',
    ]
    return "\n".join(lines)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
