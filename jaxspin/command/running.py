"""`jaxspin run`: a run as a file of settings describes it, its frames stored as they are made, `(n, *cells, b, 3)`."""

import contextlib
import csv
import dataclasses
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

import jaxspin as js
from jaxspin.command.building import field_of_settings, lattice_of_settings, named, start_of_settings
from jaxspin.command.refusals import KINDS
from jaxspin.command.settings import RunSettings
from jaxspin.command.toml import read_settings, written
from jaxspin.dynamics.checks import check_settings
from jaxspin.dynamics.grid import fixed_grid
from jaxspin.field import AbstractPotential
from jaxspin.io.records import MARK
from jaxspin.lattice import Lattice
from jaxspin.plotting.films import check_ffmpeg
from jaxspin.plotting.frames import Frames

CONFIG, STORE, TABLE, SUMMARY = "config.toml", "trajectory.zarr", "observables.csv", "summary.json"
# What `_open` writes.
_OPENED = {CONFIG, MARK}
_OBSERVABLES = ("magnetization", "energy", "chirality", "topological_charge")


def run(settings: RunSettings, folder: Path, *, resume: bool = False, overwrite: bool = False) -> dict[str, Any]:
    """Make the run and all that its settings ask for in `folder`; returns what summary.json holds.

    `config.toml` there repeats it exactly: it has every setting, the step too.

    Raises `ValueError` for settings that do not fit and, with `resume`, for the folder of other ones, `FileExistsError`
    where the folder is not empty. Nothing is written before all settings are known to fit.
    """
    if resume and overwrite:
        raise ValueError("--resume keeps what --overwrite would delete; give one of them.")
    begun_anew = resume and not (folder / CONFIG).exists()
    resume = resume and not begun_anew
    with jax.enable_x64(settings.double):
        lattice = lattice_of_settings(settings.lattice)
        field = field_of_settings(settings, lattice)
        begin, noise = jax.random.split(jax.random.key(settings.seed))
        spins = start_of_settings(settings, lattice, begin)
        measures = _measures(settings, lattice, field)
        _check_film(settings)
        settings = _placed(settings, folder)
        _check_motion(settings, lattice)
        settings = _with_step(settings, folder, field, spins, noise, resume)
        _check_steps(settings, spins)
        new = not folder.exists()
        _open(folder, settings, resume, overwrite)
        if begun_anew:
            print(f"nothing to resume at {folder}, begun anew")
        try:
            return _made(settings, folder, lattice, field, spins, noise, measures, resume)
        except KINDS:
            # what was refused leaves nothing of this call, and all that was there before
            if not resume and {path.name for path in folder.iterdir()} <= _OPENED:
                for name in _OPENED:
                    (folder / name).unlink(missing_ok=True)
                if new:
                    folder.rmdir()
            raise


def _made(
    settings: RunSettings,
    folder: Path,
    lattice: Lattice,
    field: Any,
    spins: jax.Array,
    noise: jax.Array,
    measures: dict[str, Callable[[jax.Array], jax.Array]],
    resume: bool,
) -> dict[str, Any]:
    motion = settings.dynamics
    with named("dynamics"), _shorter_step(motion.step):
        found = js.simulate(
            field,
            spins,
            duration=motion.duration,
            step=motion.step,
            damping=motion.damping,
            temperature=motion.temperature,
            key=noise,
            save_every=motion.save_every,
            lattice=lattice,
            progress=True,
            store=folder / STORE,
            resume=resume,
        )
    rows = _table(folder / TABLE, found, measures)
    frames = Frames(folder / STORE)
    outputs = settings.outputs
    if outputs.figure:
        js.plotting.save_figure(js.plot(folder / STORE), folder / "overview.png", js.io.provenance(settings))
    if outputs.film:
        place = folder / f"film.{outputs.film}"
        js.plotting.animate(folder / STORE, place, colour=outputs.film_colour, overwrite=True)
    if outputs.paraview:
        js.io.save_vtk_series(folder / "run.pvd", frames.times, frames, lattice, overwrite=True)
    if outputs.ovf:
        js.io.save_ovf(folder / "final.ovf", frames[-1], lattice, overwrite=True)
    summary = {
        "result": found.result,
        "frames": len(frames),
        "step": motion.step,
        "last": rows[-1],
        "provenance": js.io.provenance(settings, settings.seed),
    }
    js.io.save_json(folder / SUMMARY, summary)
    return summary


@contextlib.contextmanager
def _shorter_step(step: float | None) -> Iterator[None]:
    """What went wrong in a run that its step was too long for is told with the setting that mends it."""
    remedy = "pass a smaller step, or throw=False to look at the frames before"
    try:
        yield
    except RuntimeError as error:
        if remedy not in str(error):
            raise
        told = str(error).replace(
            remedy, f"write a shorter [dynamics] step than {step:g}, and begin anew with --overwrite"
        )
        raise ValueError(told) from error


def _measures(settings: RunSettings, lattice: Lattice, field: Any) -> dict[str, Callable[[jax.Array], jax.Array]]:
    """What is measured in every frame; `ValueError` for what is not known or has no meaning here."""
    wanted = settings.outputs.observables
    with named("outputs"):
        if unknown := [name for name in wanted if name not in _OBSERVABLES]:
            raise ValueError(f"observables = {unknown[0]!r} is not known; choose from {', '.join(_OBSERVABLES)}.")
        if "energy" in wanted and not isinstance(field, AbstractPotential):
            raise ValueError("this field has no energy; leave 'energy' out of observables.")
        if lattice.dimension != 2 and {"chirality", "topological_charge"} & set(wanted):
            raise ValueError("chirality and topological_charge need a lattice of two dimensions; leave them out.")
    known: dict[str, Callable[[jax.Array], jax.Array]] = {
        "magnetization": js.observables.magnetization,
        "energy": lambda spins: field.energy(spins),
        "chirality": lambda spins: js.observables.scalar_chirality(lattice, spins).mean(),
        "topological_charge": lambda spins: js.observables.topological_charge(lattice, spins),
    }
    return {name: known[name] for name in wanted}


def _table(
    path: Path, run: js.Trajectory, measures: dict[str, Callable[[jax.Array], jax.Array]]
) -> list[dict[str, float]]:
    """The observables of every frame, written as a table with the times in its first column."""
    columns: dict[str, np.ndarray] = {"time": np.asarray(run.times)}
    for name, measure in measures.items():
        values = np.asarray(run.map(measure))
        columns |= {name: values} if values.ndim == 1 else {f"{name}_{a}": values[:, k] for k, a in enumerate("xyz")}
    rows = [{name: float(column[k]) for name, column in columns.items()} for k in range(len(run))]
    with js.io.whole_file(path) as partial, partial.open("w", newline="") as file:
        table = csv.DictWriter(file, list(columns))
        table.writeheader()
        table.writerows(rows)
    return rows


def _check_film(settings: RunSettings) -> None:
    with named("outputs"):
        if settings.outputs.film not in ("", "gif", "mp4"):
            raise ValueError(f"film = {settings.outputs.film!r} is not known; choose 'gif', 'mp4' or ''.")
        if settings.outputs.film_colour not in ("hue", "z"):
            raise ValueError(f"film_colour = {settings.outputs.film_colour!r} is not known; choose 'hue' or 'z'.")
        if settings.outputs.film == "mp4":
            try:
                check_ffmpeg()
            except FileNotFoundError as error:
                told = str(error).replace("end the name in .gif", 'write film = "gif"')
                raise ValueError(told) from error


def _check_motion(settings: RunSettings, lattice: Lattice) -> None:
    """What `simulate` would refuse is refused here, before a folder is emptied for it."""
    motion = settings.dynamics
    with named("dynamics"):
        if motion.damping < 0:
            raise ValueError(f"damping = {motion.damping} is negative; write zero or more, such as damping = 0.1.")
        check_settings(lattice.shape, motion.duration, 0.0, motion.save_every, motion.damping, None, motion.temperature)


def _check_steps(settings: RunSettings, spins: jax.Array) -> None:
    motion = settings.dynamics
    assert motion.step is not None
    with named("dynamics"):
        fixed_grid(motion.duration, motion.step, 0.0, motion.save_every, None, spins.dtype)


def _with_step(
    settings: RunSettings, folder: Path, field: Any, spins: jax.Array, noise: jax.Array, resume: bool
) -> RunSettings:
    """With the step that suits the field where none is given; that of the run which is resumed."""
    motion = settings.dynamics
    if motion.step is not None:
        return settings
    if resume:
        step = read_settings(folder / CONFIG, RunSettings).dynamics.step
    else:
        with named("dynamics"):
            step = js.suggest_timestep(field, spins, damping=motion.damping, temperature=motion.temperature, key=noise)
            # frames are where they are asked for
            whole = motion.duration if motion.save_every is None else motion.save_every
            step = whole / max(1, math.ceil(whole / step))
    return dataclasses.replace(settings, dynamics=dataclasses.replace(motion, step=step))


def _placed(settings: RunSettings, folder: Path) -> RunSettings:
    """With the folder that is written, and paths that are found from any other."""
    outputs = dataclasses.replace(settings.outputs, folder=str(folder))
    start, learnt = settings.start, settings.forcefield
    if start.file:
        start = dataclasses.replace(start, file=str(Path(start.file).absolute()))
    if learnt is not None and learnt.name not in js.forcefield.pretrained_names():
        learnt = dataclasses.replace(learnt, name=str(Path(learnt.name).absolute()))
    return dataclasses.replace(settings, outputs=outputs, start=start, forcefield=learnt)


def _open(folder: Path, settings: RunSettings, resume: bool, overwrite: bool) -> None:
    """Make the folder with its config, or see that what is resumed has the same one."""
    path = folder / CONFIG
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MARK).is_file():
        raise FileExistsError(f"{folder} was not made by jaxspin run; give another --output.")
    if resume:
        stored = read_settings(path, RunSettings)
        if other := differences(stored, settings):
            raise ValueError(
                f"{path} has other settings ({', '.join(other)}); give those, begin anew with --overwrite, or "
                "give another --output."
            )
        return
    if path.exists() and not (folder / SUMMARY).exists() and not overwrite:
        raise FileExistsError(
            f"{folder} holds an unfinished run; go on with --resume, begin anew with --overwrite, or "
            "choose another --output."
        )
    js.io.new_folder(folder, overwrite=overwrite)
    path.write_text("# jaxspin run config.toml --output ANOTHER_FOLDER repeats this run.\n" + written(settings))


def differences(stored: Any, given: Any, name: str = "") -> list[str]:
    """The settings in which a run differs from the stored one, but for what is written of it."""
    found = []
    for field in dataclasses.fields(given):
        one, other = getattr(stored, field.name), getattr(given, field.name)
        here = f"{name}{field.name}"
        if dataclasses.is_dataclass(one) and type(one) is type(other):
            found += differences(one, other, f"{here}.") if here != "outputs" else []
        elif one != other:
            found.append(here)
    return found
