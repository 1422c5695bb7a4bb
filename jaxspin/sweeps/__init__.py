"""Many runs at once: `sweep` runs a function over a design of settings, batched, shared out among the devices.

A design is a `grid`, a `random` one or points `listed`; results are kept in one store as they finish (`load_sweep`).
"""

from jaxspin.sweeps.batches import Stepwise
from jaxspin.sweeps.design import Design, grid, listed, random
from jaxspin.sweeps.results import load_sweep
from jaxspin.sweeps.sweep import sweep

__all__ = ["Design", "Stepwise", "grid", "listed", "load_sweep", "random", "sweep"]
