"""The commands, each a dataclass whose fields are its options; imported where a command line is parsed. No arrays."""

import contextlib
import dataclasses
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro

from jaxspin.command.refusals import one_line


@dataclasses.dataclass(frozen=True)
class Info:
    """What is installed and where: versions, devices, precision, the force fields that come along."""

    def run(self) -> None:
        from jaxspin.command.info import report

        print(report())


@dataclasses.dataclass(frozen=True)
class Run:
    """Make the run that a file of settings describes, and everything it asks for, in one folder.

    `jaxspin run --example > quench.toml` writes a file with every setting to begin with. The folder has config.toml,
    which repeats the run, trajectory.zarr, observables.csv, overview.png and summary.json.
    """

    config: tyro.conf.Positional[Path | None] = None
    """File of settings, in TOML."""
    output: Path | None = None
    """Folder to write, in place of the one that the file names."""
    resume: bool = False
    """Go on in the folder where a run of the same settings was stopped."""
    overwrite: bool = False
    """Empty the folder of an earlier run first."""
    example: bool = False
    """Print a file of settings, and do nothing else."""

    def run(self) -> None:
        from jaxspin.command.settings import EXAMPLE, RunSettings
        from jaxspin.command.toml import read_settings

        if self.example:
            print(EXAMPLE, end="")
            return
        if self.config is None:
            raise ValueError("give a file of settings; jaxspin run --example prints one to begin with.")
        settings = read_settings(self.config, RunSettings)
        import jaxspin as js
        from jaxspin.command.running import run

        if settings.forcefield is not None:
            with contextlib.suppress(RuntimeError):  # of a process that has computed something
                js.devices.use_cores()
        folder = Path(settings.outputs.folder) if self.output is None else self.output
        found = run(settings, folder, resume=self.resume, overwrite=self.overwrite)
        print("\n".join(f"{name} = {value:g}" for name, value in found["last"].items()))
        print(f"{found['frames']} frames, {found['result']}; everything is in {folder}")


@dataclasses.dataclass(frozen=True)
class Plot:
    """Draw what is stored: a run, a folder of `jaxspin run`, a sweep, a data set."""

    stored: tyro.conf.Positional[Path]
    """Its path."""
    output: Path | None = None
    """File ending in .png, .pdf or .svg; beside what is drawn, with .png, unless given."""
    overwrite: bool = False
    """Replace a file of that name."""

    def run(self) -> None:
        import jaxspin as js
        from jaxspin.files import refuse_existing

        if self.stored.suffix == ".csv":
            raise ValueError(f"{self.stored} is a table; give the folder of the run, such as {self.stored.parent}.")
        output = self.stored.with_name(f"{self.stored.name.removesuffix('.zarr')}.png")
        output = output if self.output is None else self.output
        _refuse(output, self.overwrite, refuse_existing)
        print(js.plotting.save_figure(js.plot(self.stored), output, js.io.provenance()))


@dataclasses.dataclass(frozen=True)
class Convert:
    """Spins in another format: from .ovf, or a run, to .ovf, .vtk, .zarr; all frames to .pvd, .gif, .mp4."""

    source: tyro.conf.Positional[Path]
    """A file .ovf, or a run."""
    target: tyro.conf.Positional[Path]
    """What to write; its ending says the format."""
    frame: int | None = None
    """Which frame of a run goes into a file of one; the last unless given."""
    overwrite: bool = False
    """Replace a file of that name."""

    def run(self) -> None:
        from jaxspin.command.converting import convert

        print(convert(self.source, self.target, frame=self.frame, overwrite=self.overwrite))


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Errors of a force field on configurations with known fields, by file and kind, as lines of JSON.

    "torque error" is rms error over rms of the field across the spin, the part that turns it and that is learnt.
    """

    forcefield: tyro.conf.Positional[str]
    """One of the package (jaxspin info lists them), or the folder of one."""
    data: tyro.conf.Positional[tuple[Path, ...]]
    """Files .npz with spins and field, or data sets that jaxspin stored."""
    other_electrons: bool = False
    """Evaluate also where the data are not of the electrons that the force field was trained on, or do not say."""

    def run(self) -> None:
        from jaxspin.command.building import forcefield_named
        from jaxspin.io import to_json
        from jaxspin.training.data_files import evaluate_files, known_electrons

        model, metadata = forcefield_named(self.forcefield)
        known = None if self.other_electrons else known_electrons(model, metadata)
        evaluate_files(model, self.data, known=known, tell=lambda row: print(to_json(row), flush=True))


_COMMANDS = (
    Annotated[Info, tyro.conf.subcommand("info")]
    | Annotated[Run, tyro.conf.subcommand("run")]
    | Annotated[Plot, tyro.conf.subcommand("plot")]
    | Annotated[Convert, tyro.conf.subcommand("convert")]
    | Annotated[Evaluate, tyro.conf.subcommand("evaluate")]
)


def parsed(words: Sequence[str]) -> Any:
    """The command that the words say; `ValueError`, of one line, where they are refused."""
    names = ("info", "run", "plot", "convert", "evaluate")
    if words and not words[0].startswith("-") and words[0] not in names:
        raise ValueError(f"there is no command {words[0]!r}; use one of {', '.join(names)}.")
    told = io.StringIO()
    try:
        with contextlib.redirect_stderr(told):
            about = "Spins in metals: run them, draw them, convert them, judge their force fields."
            return tyro.cli(_COMMANDS, args=list(words), prog="jaxspin", description=about)
    except SystemExit as end:
        if not end.code:  # --help
            raise
        raise ValueError(one_line(told.getvalue())) from None


def _refuse(path: Path, overwrite: bool, check: Any) -> None:
    try:
        check(path, overwrite)
    except FileExistsError:
        raise FileExistsError(f"{path} exists; choose another with --output, or pass --overwrite.") from None
