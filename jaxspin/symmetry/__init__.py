"""Finite point groups of a lattice: elements `(order, d, d)`, real irreps `(order, dim, dim)`, Clebsch-Gordan
tensors.

Everything here is NumPy in double precision, computed once and cached; the exception is `transform_sites`,
which acts on arrays of the lattice's shape.
"""

from jaxspin.symmetry.groups import PointGroup, generate_group, position_key
from jaxspin.symmetry.sites import infinite, point_group, site_images, site_maps, transform_sites

__all__ = [
    "PointGroup",
    "generate_group",
    "infinite",
    "point_group",
    "position_key",
    "site_images",
    "site_maps",
    "transform_sites",
]
