"""From settings to what runs: lattices, fields, and spins `(*cells, sublattices, 3)`."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxspin as js
from jaxspin.command.settings import ElectronSettings, LatticeSettings, RunSettings, StartSettings
from jaxspin.lattice import Lattice
from jaxspin.plotting.frames import Frames

_KINDS = ("chain", "square", "triangular", "honeycomb", "kagome", "cubic")


@contextlib.contextmanager
def named(table: str) -> Iterator[None]:
    """What is refused within is told with the table of the settings that it comes from."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"[{table}]: {error}") from error


def lattice_of_settings(settings: LatticeSettings) -> Lattice:
    """The lattice; raises `ValueError` for a kind that is not known and has no vectors."""
    with named("lattice"):
        periodic: Any = settings.periodic
        if not settings.vectors and settings.kind not in _KINDS:
            raise ValueError(
                f"kind = {settings.kind!r} is not known; choose one of {', '.join(_KINDS)}, or add vectors."
            )
        dimension = len(settings.vectors) or {"chain": 1, "cubic": 3}.get(settings.kind, 2)
        if not isinstance(periodic, bool) and len(periodic) != dimension:
            told = f"[{', '.join(str(x).lower() for x in periodic)}]"
            raise ValueError(
                f"periodic = {told} does not fit {dimension} lattice vectors; write true, false, or a list of "
                f"{dimension} of them."
            )
        if settings.basis and not settings.vectors:
            raise ValueError("basis needs the vectors of its lattice; add vectors, or leave basis out.")
        if settings.vectors:
            along = (periodic,) * len(settings.vectors) if isinstance(periodic, bool) else periodic
            basis = settings.basis or ((0.0,) * len(settings.vectors),)
            made = Lattice(settings.kind, settings.vectors, basis, settings.cells, along)
            if settings.kind in _KINDS and not _same(made, getattr(js, settings.kind)):
                raise ValueError(
                    f"kind = {settings.kind!r} has vectors and a basis of its own; leave vectors and basis out, or "
                    "write another name."
                )
            return made
        return getattr(js, settings.kind)(*settings.cells, periodic=periodic)


def _same(lattice: Lattice, make: Callable[..., Lattice]) -> bool:
    """Whether a lattice has the vectors and the basis of the one that `make` gives."""
    dimension = {"chain": 1, "cubic": 3}.get(lattice.name, 2)
    if lattice.dimension != dimension:
        return False
    usual = make(*lattice.cells)
    return np.shape(lattice.basis) == np.shape(usual.basis) and all(
        np.allclose(one, other, atol=1e-6)
        for one, other in ((lattice.vectors, usual.vectors), (lattice.basis, usual.basis))
    )


def field_of_settings(settings: RunSettings, lattice: Lattice) -> Any:
    """The sum of all that pushes the spins; raises `ValueError` where nothing does."""
    parts: list[Any] = []
    if settings.electrons is not None:
        with named("electrons"):
            parts.append(_electrons(settings.electrons, lattice))
    if settings.forcefield is not None:
        with named("forcefield"):
            parts.append(forcefield_named(settings.forcefield.name, lattice)[0])
    if settings.exchange is not None:
        with named("exchange"):
            parts.append(js.Exchange(lattice, settings.exchange.coupling))
    for term in settings.anisotropy:
        with named("anisotropy"):
            if not any(term.axis):
                raise ValueError("axis has length zero, which is no direction; write one, such as [0.0, 0.0, 1.0].")
            parts.append(js.Anisotropy(term.strength, term.axis))
    if settings.zeeman is not None:
        with named("zeeman"):
            parts.append(js.Zeeman(settings.zeeman.field))
    if settings.dzyaloshinskii_moriya is not None:
        with named("dzyaloshinskii_moriya"):
            term = settings.dzyaloshinskii_moriya
            parts.append(js.DzyaloshinskiiMoriya(lattice, term.strength, term.direction))
    if not parts:
        raise ValueError("nothing pushes the spins; add one of [electrons], [forcefield], [exchange], [zeeman].")
    return sum(parts[1:], parts[0])


def forcefield_named(name: str, lattice: Lattice | None = None) -> tuple[Any, dict[str, Any]]:
    """A force field of the package, or in the folder of that name, on `lattice`, and its metadata."""
    if name in js.forcefield.pretrained_names():
        return js.pretrained(name, lattice), js.forcefield.pretrained_metadata(name)
    if not Path(name).is_dir():
        known = ", ".join(js.forcefield.pretrained_names())
        raise ValueError(f"name = {name!r} is no folder of a force field, and none of {known}; give one of these.")
    model = js.forcefield.load(name)
    return (model if lattice is None else model.on(lattice)), js.forcefield.load_metadata(name)


def start_of_settings(settings: RunSettings, lattice: Lattice, key: jax.Array) -> jax.Array:
    """The spins at t = 0; raises `ValueError` for a texture that is not known or does not fit."""
    start = settings.start
    with named("start"):
        _refuse_unused(start)
        first, second = jax.random.split(key)
        spins = _from_file(Path(start.file), lattice) if start.file else _texture(settings, lattice, first)
        if start.tilt:
            tilted = js.normalize(spins + start.tilt / 2**0.5 * jax.random.normal(second, spins.shape, spins.dtype))
            spins = jnp.where(jnp.any(spins != 0, axis=-1, keepdims=True), tilted, spins)
        return spins


def _refuse_unused(start: StartSettings) -> None:
    """`ValueError` for settings of another start than the one that is asked for."""
    if start.tilt < 0:
        raise ValueError(f"tilt = {start.tilt} is negative; write an angle from 0, in radians.")
    if start.file and start.texture != "random":
        raise ValueError("file takes the place of a texture; leave one of both out.")
    chosen = "file" if start.file else start.texture
    for name, given, only in (
        ("wavevector", bool(start.wavevector), "spiral"),
        ("radius", start.radius is not None, "skyrmion"),
    ):
        if given and chosen != only:
            raise ValueError(f'{name} is of texture = "{only}" alone; leave it out, or write that texture.')


def _texture(settings: RunSettings, lattice: Lattice, key: jax.Array) -> jax.Array:
    name, start = settings.start.texture, settings.start
    if name == "random":
        return js.random_spins(lattice, key=key)
    makers: dict[str, Callable[..., Any]] = {n: getattr(js.textures, n) for n in js.textures.__all__}
    if name not in makers or name == "domain_wall":
        known = ", ".join(n for n in makers if n != "domain_wall")
        raise ValueError(f"texture = {name!r} is not known; choose random, {known}, or give a file.")
    if name == "spiral":
        if len(start.wavevector) != lattice.dimension:
            raise ValueError(f"a spiral needs wavevector = [...] of {lattice.dimension} numbers; add it.")
        return js.textures.spiral(lattice, start.wavevector)
    if name == "skyrmion":
        if start.radius is None:
            raise ValueError("a skyrmion needs its radius; add radius = 4.0.")
        return js.textures.skyrmion(lattice, start.radius)
    return makers[name](lattice)


def _from_file(path: Path, lattice: Lattice) -> jax.Array:
    if not path.exists():
        raise ValueError(f"file = {str(path)!r} is not there; give a file .ovf, or a run.")
    if path.suffix == ".ovf":
        spins, _ = js.io.load_ovf(path, lattice)
    else:
        spins = Frames(path)[-1]
    return js.spins.as_spins(jnp.asarray(spins, jnp.result_type(float)), lattice)


def _electrons(settings: ElectronSettings, lattice: Lattice) -> Any:
    model = js.SDModel(lattice, hopping=settings.hopping, coupling=settings.coupling)
    if (settings.filling is None) == (settings.chemical_potential is None):
        raise ValueError("give one of filling and chemical_potential, such as filling = 0.25.")
    filled: dict[str, Any] = {"temperature": settings.temperature}
    for name in ("filling", "chemical_potential"):
        if getattr(settings, name) is not None:
            filled[name] = getattr(settings, name)
    if settings.solver == "exact":
        if settings.tolerance is not None:
            raise ValueError('tolerance is of solver = "kernel_polynomial" alone; leave it out, or write that solver.')
        return js.ExactDiagonalization(model, **filled)
    if settings.solver == "kernel_polynomial":
        tolerance = 0.01 if settings.tolerance is None else settings.tolerance
        if not tolerance > 0:
            raise ValueError(f"tolerance = {tolerance} is not positive; write a number above zero, such as 0.01.")
        return js.KernelPolynomial(model, **filled, tolerance=tolerance)
    raise ValueError(f"solver = {settings.solver!r} is not known; choose exact or kernel_polynomial.")
