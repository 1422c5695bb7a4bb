"""Crystals that come with the package, as the files of other programs."""

from pathlib import Path

_FOLDER = Path(__file__).parent / "crystals"
# The seeds of either spin, the majority first.
_SEEDS = {"bcc_iron": ("Fe_down", "Fe_up")}


def example(name: str) -> tuple[Path, Path]:
    """The seeds of a crystal's Wannier90 files, majority spin first, for `read_wannier90`.

    "bcc_iron": collinear bcc iron, made with Quantum ESPRESSO and Wannier90; nine orbitals (s, p, d), 597 vectors R of
    an 8 x 8 x 8 mesh, 8 electrons a cell, 490 kB. From the examples of TB2J (Xu He, MIT licence, in the folder), whose
    file "up" is the minority spin.

    Raises `ValueError` for another name.

    Source: He, Helbig, Verstraete, Bousquet, Comput. Phys. Commun. 264, 107938 (2021), doi:10.1016/j.cpc.2021.107938.

    Example:
        >>> [seed.name for seed in js.io.example("bcc_iron")]
        ['Fe_down', 'Fe_up']
    """
    if name not in _SEEDS:
        raise ValueError(f"there is no example {name!r}; choose from {', '.join(_SEEDS)}.")
    majority, minority = _SEEDS[name]
    return _FOLDER / name / majority, _FOLDER / name / minority
