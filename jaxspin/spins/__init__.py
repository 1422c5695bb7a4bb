"""The sphere of unit spins: arrays `(..., 3)`, usually `(*cells, sublattices, 3)`; and the one check of them.

A vacancy is a spin of length zero: every function here leaves it at zero, and so do the dynamics. Whatever takes spins
takes them through `as_spins`: functions by the decorator `takes_spins`, fields and descriptors by their base class.
"""

from jaxspin.spins.checks import as_spins, check_finite, check_methods, check_spins, check_unit, takes_spins
from jaxspin.spins.rotations import random_rotation, retract, rotate, rotation_factors, rotation_matrix
from jaxspin.spins.sphere import dilute, normalize, random_spins, tangent, tangent_frame, torque

__all__ = [
    "as_spins",
    "check_finite",
    "check_methods",
    "check_spins",
    "check_unit",
    "dilute",
    "normalize",
    "random_rotation",
    "random_spins",
    "retract",
    "rotate",
    "rotation_factors",
    "rotation_matrix",
    "takes_spins",
    "tangent",
    "tangent_frame",
    "torque",
]
