"""Many runs at once: sweeps over the settings of a function, batched, sharded over devices, kept as they finish."""

from jaxspin.scale.batches import Stepwise
from jaxspin.scale.design import Design, grid, listed, random
from jaxspin.scale.results import load_sweep
from jaxspin.scale.sweep import sweep

__all__ = ["Design", "Stepwise", "grid", "listed", "load_sweep", "random", "sweep"]
