"""From the command line every refusal is one line and exit status 2, and leaves no folder."""

import dataclasses
import importlib
import json
import re
import shlex
import sys
import time
from pathlib import Path

import pytest

from experiments import quickstart
from experiments.stages import main, open_folder
from experiments.stages.refusals import check_numbers, command_line, one_line

ROOT = Path(__file__).parent.parent
SCRIPTS = [
    path
    for path in sorted([*ROOT.glob("experiments/*.py"), *ROOT.glob("experiments/*/*.py")])
    if '__name__ == "__main__"' in path.read_text()
]
# Settings that need others before anything can be refused.
NEEDED = {
    "fit": ["--data", "nothing.npz"],
    "features": ["--data", "nothing.npz"],
    "nested": ["--data", "nothing.npz"],
    "compare": ["--data", "nothing.npz"],
    "evaluate": ["--checkpoint", "nothing", "--data", "nothing.npz"],
    "label": ["--forcefield", "nothing"],
    "coarsening": ["--forcefield", "nothing"],
    "double_exchange_quench": ["--forcefield", "nothing"],
    "transfer": ["--data", "nothing"],
    "wall_learning": ["--data", "nothing"],
}


@pytest.fixture
def refused(monkeypatch, capsys, tmp_path):
    """The one line with which a script refuses its options."""
    monkeypatch.chdir(tmp_path)

    def call(path: Path, *options: str) -> str:
        monkeypatch.setattr(sys, "argv", [str(path), *options])
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(SystemExit) as end:
            exec(compile(path.read_text(), str(path), "exec"), {"__name__": "__main__", "__file__": str(path)})
        told = capsys.readouterr().err
        assert end.value.code == 2, told
        assert told.count("\n") == 1, told
        assert told.rstrip().endswith((".", ")")), told  # a sentence, with the remedy
        assert sorted(tmp_path.rglob("*")) == before, options
        return told

    return call


def floats(settings, name=""):
    """The options that take one float, of the defaults of a config."""
    for field in dataclasses.fields(settings):
        default = field.default if field.default is not dataclasses.MISSING else None
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        if isinstance(default, float):
            yield f"{name}{field.name}".replace("_", "-")
        elif dataclasses.is_dataclass(default):
            yield from floats(default, f"{name}{field.name}.")


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_every_script_refuses_in_one_line(path, refused, tmp_path):
    needed = NEEDED.get(path.stem, [])
    assert "Unrecognized options: --no-such-option" in refused(path, *needed, "--no-such-option")
    for place in needed[1::2]:  # data that are not there are told before a folder is made
        told = refused(path, *needed)
        assert place.split(".")[0] in told
        assert "give" in told
    held: dict = {"__name__": "held", "__file__": str(path)}
    exec(compile(path.read_text(), str(path), "exec"), held)
    config = held.get("Config") or type(held["DEFAULT"])
    for option in list(floats(config))[:1]:
        refused(path, *needed, f"--{option}", "nan")
    if path.stem in ("quickstart", "variational", "integrators", "fields", "layouts"):
        output = tmp_path / "mine.json"
        output.write_text("years of work")
        told = refused(path, "--output", str(output))
        assert "mine.json" in told
        assert output.read_text() == "years of work"


BAD = {
    "quickstart": [
        "--sampling.colors 0",
        "--electrons.coupling nan",
        "--training.steps 0",
        "network.descriptor:messages --network.descriptor.layers 0",
        "network.descriptor:moments --network.descriptor.hops 0",
        "--sampling.side 7",
        "--motion.damping -1",
        "--seed x",
    ],
    "quenches/triangular_120": [
        "--sampling.colors 0",
        "network.descriptor:moments --network.descriptor.hops 0",
        "network.descriptor:filled-clusters --network.descriptor.smearing nan",
        "network.descriptor:none",
        "--large.side 7",
        "--motion.step 0",
    ],
    "quenches/variational": ["--side 13", "--couplings 0"],
    "checks/standard_problems": ["--fields -1"],
}


@pytest.mark.parametrize("name", BAD)
def test_bad_settings_leave_no_folder_and_the_corrected_command_runs(name, refused, tmp_path):
    for setting in BAD[name]:
        began = time.monotonic()
        refused(ROOT / "experiments" / f"{name}.py", "--output", str(tmp_path / "out"), *setting.split())
        assert time.monotonic() - began < 20  # before long work


COMMANDS = [
    " ".join(command.replace("\\\n", " ").split("#")[0].split())
    for path in sorted([ROOT / "README.md", *ROOT.glob("experiments/**/README.md")])
    for command in re.findall(r"^    python -m (experiments\.(?:.*\\\n)*.*)$", path.read_text(), re.MULTILINE)
]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_of_the_pages_are_understood(command, monkeypatch):
    name, *options = shlex.split(command)
    if "--help" in options:
        return
    monkeypatch.setattr(sys, "argv", [name, *options])
    module = importlib.import_module(name)
    default = getattr(module, "DEFAULT", None)
    settings = command_line(type(default) if default is not None else module.Config, None, default)
    given = [option.removeprefix("--") for option in options if option.startswith("--")]
    names = [option.split(".")[0].replace("-", "_") for option in given]
    # a switch is turned off by --no-
    assert all(hasattr(settings, name) or hasattr(settings, name.removeprefix("no_")) for name in names)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Small(quickstart.Resumable):
    output: Path = Path("out")
    size: float = 1.0
    limit: float = float("inf")
    pair: tuple[float, ...] = (1.0, 2.0)


def test_an_unfinished_run_is_told_of_resume_and_what_differs(tmp_path):
    folder = open_folder(Small(output=tmp_path / "out"))
    assert (folder / "config.json").exists()
    with pytest.raises(FileExistsError, match="holds an unfinished run; go on with --resume, or choose another"):
        open_folder(Small(output=folder))
    assert open_folder(Small(output=folder, resume=True)) == folder
    with pytest.raises(ValueError, match=r"holds other settings \(size\); give those, or another --output"):
        open_folder(Small(output=folder, resume=True, size=2.0))
    (folder / "summary.json").write_text("{}")
    with pytest.raises(FileExistsError, match="exists and is not empty; choose another folder or pass --overwrite"):
        open_folder(Small(output=folder))
    (folder / "config.json").write_text('{"size"')
    with pytest.raises(ValueError, match=r"config\.json is damaged"):
        open_folder(Small(output=folder, resume=True))
    open_folder(Small(output=folder, overwrite=True))
    assert not (folder / "summary.json").exists()


def test_a_failure_that_is_no_refusal_keeps_its_traceback_and_what_was_made(monkeypatch, tmp_path, capsys):
    """A run that breaks later is not told as if its settings had been refused."""
    monkeypatch.setattr(sys, "argv", ["small", "--output", str(tmp_path / "out")])

    def breaking(config):
        open_folder(config)
        return json.loads("{")  # raised by a library

    with pytest.raises(ValueError, match="Expecting property name"):
        main(Small, breaking, None)

    def refusing(config):
        (open_folder(config) / "data").write_text("an hour of work")
        check_numbers(Small(size=float("nan")))

    monkeypatch.setattr(sys, "argv", ["small", "--output", str(tmp_path / "other")])
    with pytest.raises(SystemExit):
        main(Small, refusing, None)
    assert (tmp_path / "other" / "data").exists()


def test_numbers_of_every_depth_are_checked():
    check_numbers(Small())
    for bad in ({"size": float("inf")}, {"pair": (1.0, float("nan"))}):
        with pytest.raises(ValueError, match=r"--(size|pair) is (inf|nan), which is no finite number; see --help"):
            check_numbers(Small(**bad))


def test_the_parsers_box_is_one_line():
    assert (
        one_line("╭─ Value error ──╮\n│ a is bad, │\n│ see b. │\n│ ───── │\n│ For more │\n╰──────╯")
        == "a is bad, see b; see --help."
    )
    assert one_line(" Value error \n ----- \n  --a is bad \n ------\n  For more\n") == "--a is bad; see --help."


def test_the_command_line_is_parsed_in_one_place():
    for path in ROOT.glob("experiments/**/*.py"):
        assert path.name == "refusals.py" or "tyro" not in path.read_text(), path
