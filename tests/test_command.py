"""The command line of the package: settings are read and written whole, runs repeat exactly, refusals are one line."""

import dataclasses
import inspect
import json
import shutil
import typing

import equinox as eqx
import numpy as np
import pytest

import jaxspin as js
from jaxspin.command import main, running, settings
from jaxspin.command.building import field_of_settings, lattice_of_settings, start_of_settings
from jaxspin.command.refusals import refusals
from jaxspin.command.settings import EXAMPLE, RunSettings
from jaxspin.command.toml import read_settings, written
from jaxspin.training.data_files import evaluate_files
from tests.test_imports import printed

SMALL = """
seed = 5
double = true
[lattice]
kind = "chain"
cells = [6]
[exchange]
coupling = [1.0]
[dynamics]
duration = 0.4
step = 0.1
temperature = 0.01
save_every = 0.2
[outputs]
figure = false
observables = ["magnetization", "energy"]
"""
EVERY = """
[lattice]
kind = "mine"
cells = [3, 3]
periodic = [true, false]
vectors = [[1, 0], [0, 2.0]]
[start]
tilt = 0.1
[electrons]
coupling = 3
filling = 0.25
temperature = 0.1
[exchange]
coupling = [1.0, -0.2]
[[anisotropy]]
strength = 0.1
[[anisotropy]]
strength = 0.3
axis = [1.0, 0.0, 0.0]
[zeeman]
field = [0.0, 0.0, 0.1]
[dzyaloshinskii_moriya]
strength = 0.2
[dynamics]
duration = 1
"""


@pytest.fixture
def read(tmp_path):
    def from_text(text: str) -> RunSettings:
        (tmp_path / "run.toml").write_text(text)
        return read_settings(tmp_path / "run.toml", RunSettings)

    return from_text


@pytest.mark.parametrize("text", [SMALL, EVERY, EXAMPLE])
def test_settings_are_written_as_they_are_read(read, text):
    found = read(text)
    assert read(written(found)) == found
    assert isinstance(found.dynamics.duration, float)


def test_the_example_has_every_setting():
    tables = [kind for kind in vars(settings).values() if dataclasses.is_dataclass(kind)]
    assert len(tables) == 11
    for table in tables:
        for field in dataclasses.fields(table):
            assert field.name in EXAMPLE, field.name


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            "duration = 0.4",
            "durations = 0.4",
            r"no setting dynamics\.durations \(it is 0\.4 here\); write dynamics\.dur",
        ),
        ("duration = 0.4", "", r"the setting dynamics\.duration is missing; add it, such as duration = 1\.0\."),
        (
            "duration = 0.4",
            'duration = "long"',
            r'dynamics\.duration = "long" is not a number; write one, such as 1\.0',
        ),
        (
            'observables = ["magnetization", "energy"]',
            'observables = "energy"',
            r"observables = 'energy' is no list; write .*, and choose from magnetization, energy, chirality, topo",
        ),
        ("figure = false", "film = true", r'film = true is not a text; .*, and choose from "gif", "mp4" and ""\.'),
        ("duration = 0.4", "duration = inf", r"dynamics\.duration = inf is not a number"),
        ("seed = 5", "seed = 5.5", "seed = 5.5 is not a whole number; write one, such as 4"),
        ("double = true", "double = 1", "double = 1 is not true or false; write one, such as true"),
        ("cells = [6]", "cells = 6", r"lattice\.cells = 6 is no list; write lattice\.cells = \[4, 4\]"),
        ("cells = [6]", 'cells = ["6"]', r'lattice\.cells\[0\] = "6" is not a whole number'),
        ("seed = 5", "zeeman = 3", r"zeeman = 3 is no table; write \[zeeman\] and its settings below"),
        ("seed = 5", "seed = ", r" is no TOML \(.*\); jaxspin run --example"),
        ('kind = "chain"', "", r"the setting lattice\.kind is missing"),
    ],
)
def test_what_does_not_fit_is_told_with_its_name_and_remedy(read, old, new, told):
    with pytest.raises(ValueError, match=rf"run\.toml.*{told}"):
        read(SMALL.replace(old, new))


def test_the_field_is_the_sum_of_what_is_given(read):
    found = read(EVERY)
    lattice = lattice_of_settings(found.lattice)
    assert lattice.periodic == (True, False)
    assert lattice.basis == ((0.0, 0.0),)
    electrons = js.SDModel(lattice, hopping=1.0, coupling=3.0)
    expected = (
        js.ExactDiagonalization(electrons, filling=0.25, temperature=0.1)
        + js.Exchange(lattice, (1.0, -0.2))
        + js.Anisotropy(0.1)
        + js.Anisotropy(0.3, (1.0, 0.0, 0.0))
        + js.Zeeman((0.0, 0.0, 0.1))
        + js.DzyaloshinskiiMoriya(lattice, 0.2)
    )
    assert eqx.tree_equal(field_of_settings(found, lattice), expected)


def test_a_kind_with_its_own_vectors_is_that_kind(read):
    text = SMALL.replace('"chain"', '"triangular"').replace("[6]", "[3, 4]\nvectors = [[1, 0], [0.5, 0.8660254]]")
    found = lattice_of_settings(read(text).lattice)
    np.testing.assert_allclose(found.positions(), js.triangular(3, 4).positions(), atol=1e-6)
    for wrong in (text.replace("0.5", "0.4"), text.replace('"triangular"', '"cubic"')):
        with pytest.raises(ValueError, match="has vectors and a basis of its own; leave vectors and basis out, or"):
            lattice_of_settings(read(wrong).lattice)


def test_starts_are_textures_tilted_ones_and_files(read, tmp_path, key):
    ring = js.chain(6)
    spiral = read(SMALL + '[start]\ntexture = "spiral"\nwavevector = [1.0471975511965976]\n')
    np.testing.assert_allclose(start_of_settings(spiral, ring, key), js.textures.spiral(ring, (np.pi / 3,)), atol=1e-12)
    tilted = start_of_settings(read(SMALL + '[start]\ntexture = "neel"\ntilt = 0.01\n'), ring, key)
    turned = np.linalg.norm(np.asarray(tilted - js.textures.neel(ring)), axis=-1)
    assert 0.002 < np.sqrt(np.mean(turned**2)) < 0.03
    js.io.save_ovf(tmp_path / "s.ovf", tilted, ring)
    again = start_of_settings(read(SMALL + f'[start]\nfile = "{tmp_path}/s.ovf"\n'), ring, key)
    np.testing.assert_array_equal(again, tilted)
    js.io.save_ovf(tmp_path / "s.ovf", tilted.at[2].set(0.0), ring, overwrite=True)
    again = start_of_settings(read(SMALL + f'[start]\nfile = "{tmp_path}/s.ovf"\ntilt = 0.01\n'), ring, key)
    turned = np.linalg.norm(np.asarray(again - tilted), axis=-1).ravel()
    assert turned[2] == 1  # a vacancy stays one
    assert np.all((np.delete(turned, 2) > 0) & (np.delete(turned, 2) < 0.1))


def call(capsys, *words) -> tuple[int, str, str]:
    """Status, and what is printed and told."""
    status = 0
    try:
        main([str(word) for word in words])
    except SystemExit as end:
        status = typing.cast(int, end.code)
    told = capsys.readouterr()
    return status, told.out, told.err.splitlines()[-1] if told.err else ""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder that `jaxspin run` made."""
    root = tmp_path_factory.mktemp("command")
    (root / "run.toml").write_text(SMALL)
    main(["run", str(root / "run.toml"), "--output", str(root / "a")])
    return root


def test_a_run_has_its_observables_and_repeats_exactly(made, capsys):
    folder = made / "a"
    run = js.load(folder / "trajectory.zarr")
    np.testing.assert_allclose(run.times, [0.0, 0.2, 0.4])
    rows = np.genfromtxt(folder / "observables.csv", delimiter=",", names=True)
    np.testing.assert_allclose(rows["energy"], run.energy(js.Exchange(js.chain(6), 1.0)), rtol=1e-12)
    np.testing.assert_allclose(rows["magnetization_z"], run.magnetization()[:, 2], rtol=1e-12)
    summary = json.loads((folder / "summary.json").read_text())
    assert (summary["result"], summary["frames"]) == ("successful", 3)
    status, out, _ = call(capsys, "run", folder / "config.toml", "--output", made / "b")
    assert (status, out.splitlines()[-1]) == (0, f"3 frames, successful; everything is in {made / 'b'}")
    again = js.load(made / "b" / "trajectory.zarr")
    np.testing.assert_array_equal(again.spins, run.spins)


def test_a_step_that_is_too_long_is_told_in_one_line(made, tmp_path, capsys):
    text = SMALL.replace("[1.0]", "[1e6]").replace("0.4", "2000.0").replace("0.1", "50.0").replace("0.2", "1000.0")
    (tmp_path / "run.toml").write_text(text.replace("temperature = 0.01", "damping = 0.01"))
    status, _, told = call(capsys, "run", tmp_path / "run.toml", "--output", tmp_path / "out")
    assert (status, "write a shorter [dynamics] step than 50, and begin anew with --overwrite" in told) == (2, True)
    assert call(capsys, "run", made / "run.toml", "--output", tmp_path / "out", "--overwrite")[0] == 0


def test_films_in_mp4_without_ffmpeg_are_told_with_the_setting(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "run.toml").write_text(SMALL.replace("figure = false", 'film = "mp4"'))
    status, _, told = call(capsys, "run", tmp_path / "run.toml", "--output", tmp_path / "out")
    assert (status, told.endswith('brings one), or write film = "gif".')) == (2, True)


def test_a_step_that_is_not_given_is_chosen_to_divide_the_frames_and_kept(made, capsys):
    text = SMALL.replace("step = 0.1\n", "").replace("save_every = 0.2", "save_every = 0.13").replace("0.4", "0.26")
    (made / "free.toml").write_text(text)
    assert call(capsys, "run", made / "free.toml", "--output", made / "free")[0] == 0
    step = read_settings(made / "free" / "config.toml", RunSettings).dynamics.step
    assert step is not None
    assert 0.13 / step == pytest.approx(round(0.13 / step))
    np.testing.assert_allclose(js.load(made / "free" / "trajectory.zarr").times, [0, 0.13, 0.26])


def test_a_stopped_run_is_resumed_with_the_same_settings_only(made, capsys):
    folder = made / "a"
    (folder / "summary.json").rename(made / "summary.json")  # as if it had been killed
    try:
        status, _, told = call(capsys, "run", made / "run.toml", "--output", folder)
        assert (
            status,
            "holds an unfinished run; go on with --resume, begin anew with --overwrite, or choose" in told,
        ) == (2, True)
        (made / "other.toml").write_text(SMALL.replace("seed = 5", "seed = 6").replace("[1.0]", "[2.0]"))
        status, _, told = call(capsys, "run", made / "other.toml", "--output", folder, "--resume")
        assert (
            status,
            "has other settings (exchange.coupling, seed); give those, begin anew with --overwrite" in told,
        ) == (2, True)
        status, out, _ = call(capsys, "run", made / "run.toml", "--output", folder, "--resume")
        assert (status, "3 frames, successful" in out) == (0, True)
    finally:
        (made / "summary.json").unlink(missing_ok=True)
    status, _, told = call(capsys, "run", made / "run.toml", "--output", folder)
    assert (status, "exists and is not empty" in told) == (2, True)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("[exchange]\ncoupling = [1.0]", "", "nothing pushes the spins; add one of [electrons]"),
        ('kind = "chain"', 'kind = "ring"', "[lattice]: kind = 'ring' is not known; choose one of chain"),
        ("cells = [6]", "cells = [0]", "[lattice]: cells must be positive"),
        ('"energy"', '"charge"', "[outputs]: observables = 'charge' is not known; choose from magnetization"),
        ('"energy"', '"chirality"', "need a lattice of two dimensions; leave them out"),
        ("figure = false", 'film = "avi"', "[outputs]: film = 'avi' is not known; choose 'gif', 'mp4' or ''"),
        ("step = 0.1", "step = -0.1", "[dynamics]: "),
        ("[exchange]", '[start]\ntexture = "spiral"\n[exchange]', "[start]: a spiral needs wavevector"),
        (
            "[exchange]",
            '[start]\ntexture = "foam"\n[exchange]',
            "[start]: texture = 'foam' is not known; choose random",
        ),
        ("[exchange]", '[start]\nfile = "nix.ovf"\n[exchange]', "[start]: file = 'nix.ovf' is not there; give"),
        ("[exchange]", '[start]\ntexture = "neel"\nfile = "x.ovf"\n[exchange]', "leave one of both out"),
        ("[exchange]", "[start]\ntilt = -0.1\n[exchange]", "[start]: tilt = -0.1 is negative; write an angle from 0"),
        ("[exchange]", "[start]\nradius = 2.0\n[exchange]", 'radius is of texture = "skyrmion" alone; leave it out'),
        ("[exchange]", "[start]\nwavevector = [1]\n[exchange]", 'wavevector is of texture = "spiral" alone; leave'),
        ("cells = [6]", "cells = [6]\nbasis = [[0.0]]", "[lattice]: basis needs the vectors of its lattice; add"),
        ("cells = [6]", "cells = [6]\nvectors = [[2.0]]", "'chain' has vectors and a basis of its own; leave"),
        ("cells = [6]", "cells = [6]\nperiodic = [true, false]", "periodic = [true, false] does not fit 1 lattice"),
        (
            "[exchange]",
            "[electrons]\ncoupling = 1\nfilling = 0.5\ntolerance = 0.1\n[exchange]",
            'tolerance is of solver = "kernel_polynomial" alone; leave it out',
        ),
        (
            "[exchange]",
            '[electrons]\ncoupling = 1\nfilling = 0.5\nsolver = "kernel_polynomial"\ntolerance = 0\n[exchange]',
            "[electrons]: tolerance = 0.0 is not positive; write a number above zero",
        ),
        ("[exchange]", "[[anisotropy]]\nstrength = 1\naxis = [0, 0, 0]\n[exchange]", "no direction; write one, such"),
        ("seed = 5", "seed = -1", "seed = -1 is not between 0 and 2^32 - 1; write such a number"),
        ("seed = 5", "seed = 4294967296", "is not between 0 and 2^32 - 1"),
        ("step = 0.1", "damping = -0.1", "[dynamics]: damping = -0.1 is negative; write zero or more"),
        ("[exchange]", '[forcefield]\nname = "none"\n[exchange]', "[forcefield]: name = 'none' is no folder"),
        ("[exchange]", "[electrons]\ncoupling = 1\n[exchange]", "[electrons]: give one of filling and chemical_pot"),
    ],
)
def test_settings_that_cannot_run_leave_no_folder(tmp_path, capsys, old, new, told):
    assert old in SMALL
    (tmp_path / "run.toml").write_text(SMALL.replace(old, new))
    status, _, found = call(capsys, "run", tmp_path / "run.toml", "--output", tmp_path / "out")
    assert (status, told in found) == (2, True), found
    assert [path.name for path in tmp_path.iterdir()] == ["run.toml"]


@pytest.mark.parametrize("words", [("--resume",), ("--overwrite",), ()])
def test_a_folder_that_jaxspin_did_not_make_keeps_all_that_is_in_it(made, tmp_path, capsys, words):
    """Neither a refusal nor --overwrite takes what is the user's own; nor the summary of a run copied there."""
    folder = tmp_path / "own"
    folder.mkdir()
    for text in (SMALL, SMALL.replace("duration = 0.4", "duration = -1")):
        (folder / "config.toml").write_text(text)
        for _ in range(2):
            status, _, told = call(capsys, "run", folder / "config.toml", "--output", folder, *words)
            assert status == 2
            if "duration" not in told:
                assert told.endswith("own was not made by jaxspin run; give another --output."), told
            assert (folder / "config.toml").read_text() == text
            (folder / "summary.json").write_text((made / "a" / "summary.json").read_text())


def test_what_is_refused_in_a_folder_that_was_there_leaves_it_as_it_was(made, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    shutil.copytree(made / "a", tmp_path / "full")
    expected = sorted(path.name for path in (tmp_path / "full").iterdir())
    for old, new in (("duration = 0.4", "duration = -1"), ("step = 0.1", "step = -0.1")):
        (tmp_path / "bad.toml").write_text(SMALL.replace(old, new))
        assert call(capsys, "run", tmp_path / "bad.toml", "--output", tmp_path / "empty")[0] == 2
        assert list((tmp_path / "empty").iterdir()) == []
        assert call(capsys, "run", tmp_path / "bad.toml", "--output", tmp_path / "full", "--overwrite")[0] == 2
        assert sorted(path.name for path in (tmp_path / "full").iterdir()) == expected


def test_a_refusal_within_the_run_removes_only_what_the_call_made(read, tmp_path, monkeypatch):
    def refusing(*_, **__):
        raise ValueError("told")

    monkeypatch.setattr(js, "simulate", refusing)
    found = read(SMALL)
    (tmp_path / "empty").mkdir()
    for name in ("empty", "new"):
        with pytest.raises(ValueError, match="told"):
            running.run(found, tmp_path / name)
    assert list((tmp_path / "empty").iterdir()) == []
    assert not (tmp_path / "new").exists()
    running._open(tmp_path / "begun", running._placed(found, tmp_path / "begun"), resume=False, overwrite=False)
    with pytest.raises(ValueError, match="told"):
        running.run(found, tmp_path / "begun", resume=True)
    assert sorted(path.name for path in (tmp_path / "begun").iterdir()) == [".jaxspin", "config.toml"]


def test_nothing_to_resume_is_said_and_a_run_begins(made, tmp_path, capsys):
    status, out, _ = call(capsys, "run", made / "run.toml", "--output", tmp_path / "out", "--resume")
    assert (status, out.splitlines()[0]) == (0, f"nothing to resume at {tmp_path / 'out'}, begun anew")
    assert (
        "nothing to resume" not in call(capsys, "run", made / "run.toml", "--output", tmp_path / "out", "--resume")[1]
    )


def test_what_is_stored_repeats_the_run_from_any_folder(made, tmp_path, capsys, monkeypatch):
    """A run can begin where another ended, given as the folder of either command."""
    monkeypatch.chdir(made)
    (tmp_path / "next.toml").write_text(SMALL + '[start]\nfile = "a"\n')
    assert call(capsys, "run", tmp_path / "next.toml", "--output", tmp_path / "next")[0] == 0
    first = js.load(tmp_path / "next" / "trajectory.zarr").spins[0]
    np.testing.assert_allclose(first, js.load(made / "a" / "trajectory.zarr").spins[-1], atol=1e-12)
    stored = read_settings(tmp_path / "next" / "config.toml", RunSettings)
    assert (stored.start.file, stored.outputs.folder) == (str(made / "a"), str(tmp_path / "next"))
    summary = json.loads((tmp_path / "next" / "summary.json").read_text())
    assert summary["provenance"]["config"]["outputs"]["folder"] == str(tmp_path / "next")
    monkeypatch.chdir(tmp_path)
    assert call(capsys, "run", "next/config.toml", "--output", "again")[0] == 0
    js.animate("next", tmp_path / "next.gif", every=2, progress=False)
    with pytest.raises(ValueError, match=r"every = 1\.5 is no whole number; give 1 for all frames"):
        inspect.unwrap(js.animate)("next", tmp_path / "other.gif", every=1.5)  # types are not checked for users


def test_stored_runs_are_drawn_and_converted(made, capsys, tmp_path):
    status, out, _ = call(capsys, "plot", made / "a", "--output", tmp_path / "a.png")
    assert (status, out.strip()) == (0, str(tmp_path / "a.png"))
    (tmp_path / "J3.0").symlink_to(made / "a")
    assert call(capsys, "plot", tmp_path / "J3.0")[1].strip() == str(tmp_path / "J3.0.png")
    status, _, told = call(capsys, "plot", made / "a", "--output", tmp_path / "a.png")
    assert (status, told.endswith("exists; choose another with --output, or pass --overwrite.")) == (2, True)
    run = js.load(made / "a" / "trajectory.zarr")
    assert call(capsys, "convert", made / "a", tmp_path / "one.ovf", "--frame", "1")[0] == 0
    np.testing.assert_array_equal(js.io.load_ovf(tmp_path / "one.ovf")[0], run.spins[1])
    assert call(capsys, "convert", tmp_path / "one.ovf", tmp_path / "one.zarr")[0] == 0
    np.testing.assert_array_equal(js.load(tmp_path / "one.zarr").spins[0], run.spins[1])
    for target in ("one.vtk", "run.pvd", "new/folder/one.ovf", "other/run.pvd"):
        assert call(capsys, "convert", made / "a", tmp_path / target)[0] == 0
    assert len(list((tmp_path / "run_frames").iterdir())) == 3
    for words, told in (
        ((made / "a", tmp_path / "a.txt"), "cannot be written; end its name in one of .ovf"),
        ((tmp_path / "a.png", tmp_path / "b.ovf"), "cannot be read; give a file .ovf, or a run"),
        ((made / "a", tmp_path / "b.ovf", "--frame", "3"), "has 3 frames, none of number 3; give --frame from 0"),
        ((made / "a", tmp_path / "b.pvd", "--frame", "1"), "takes all frames; leave --frame out, or end the name in"),
        ((tmp_path / "one.ovf", tmp_path / "b.gif"), "one configuration, of which there is no film"),
        ((made / "a", tmp_path / "one.vtk"), "exists; choose another name, or pass --overwrite"),
        ((tmp_path / "no.ovf", tmp_path / "b.vtk"), "there is no file"),
    ):
        status, _, found = call(capsys, "convert", *words)
        assert (status, told in found) == (2, True), found


def test_a_force_field_is_judged_on_files(tmp_path, capsys, ring, ring_data):
    model = js.BehlerParrinello(descriptor=ring, hidden=(4,))
    js.forcefield.save(tmp_path / "model", model)
    np.savez(tmp_path / "a.npz", spins=np.asarray(ring_data.spins), field=np.asarray(ring_data.field))
    ring_data.save(tmp_path / "b.zarr")
    status, _, told = call(capsys, "evaluate", tmp_path / "model", tmp_path / "a.npz")
    assert (status, "does not say for which lattice it is; choose data of the same" in told) == (2, True), told
    status, out, _ = call(
        capsys, "evaluate", tmp_path / "model", tmp_path / "a.npz", tmp_path / "b.zarr", "--other-electrons"
    )
    rows = [json.loads(line) for line in out.splitlines()]
    assert (status, [row["file"] for row in rows]) == (0, ["a.npz", "b.zarr"])
    # the part of a field along its spin is not learnt, and its error no measure
    assert set(rows[0]) == {"file", "kind", "torque error", "rms torque error", "energy error per site"}
    expected = js.training.evaluate(model, ring_data)
    for row in rows:
        assert row["torque error"] == pytest.approx(expected.torque, rel=1e-4)


def test_all_data_are_looked_at_before_the_first_is_judged(tmp_path, capsys, ring, ring_data):
    js.forcefield.save(tmp_path / "model", js.BehlerParrinello(descriptor=ring, hidden=(4,)))
    held: dict[str, typing.Any] = {"spins": np.asarray(ring_data.spins), "field": np.asarray(ring_data.field)}
    np.savez(tmp_path / "good.npz", **held)
    np.savez(tmp_path / "square.npz", params=json.dumps({"lattice": "square 8"}), **held)
    np.savez(tmp_path / "broken.npz", params="{", **held)
    for name, remedy in (
        ("square", "is of the square lattice, and chain is asked for; give data of the same lattice."),
        ("broken", "write a JSON object."),
        ("none", "give an .npz with spins and field."),
    ):
        words = "evaluate", tmp_path / "model", tmp_path / "good.npz", tmp_path / f"{name}.npz", "--other-electrons"
        status, out, told = call(capsys, *words)
        assert (status, out) == (2, ""), name
        assert f"{name}.npz" in told
        assert told.endswith(remedy)
    with pytest.raises(ValueError, match="no data to judge the force field on; give at least one"):
        evaluate_files(None, [])
    status, _, told = call(capsys, "evaluate", tmp_path / "model")
    assert (status, "give at least one" in told) == (2, True), told


def test_words_that_are_no_command_are_refused_in_one_line(capsys, tmp_path):
    (tmp_path / "file").touch()
    for words, told in (
        (("runs",), "there is no command 'runs'; use one of info, run, plot, convert, evaluate."),
        (("--runs",), "see --help"),
        (("plot", tmp_path / "observables.csv"), "is a table; give the folder of the run, such as"),
        (("convert", tmp_path / "file" / "run", tmp_path / "a.ovf"), "no Zarr store at"),
        (("run", tmp_path / "file" / "run.toml"), "Not a directory; choose another path, or change its permissions."),
        (("run",), "give a file of settings; jaxspin run --example prints one"),
        (("run", tmp_path / "no.toml"), "there is no file"),
        (("run", tmp_path), "is a folder; give the file of settings in it"),
        (("plot", tmp_path / "nothing"), "there is nothing at"),
    ):
        status, _, found = call(capsys, *words)
        assert (status, told in found) == (2, True), found
    assert call(capsys, "--version")[1] == f"jaxspin {js.__version__}\n"
    assert "js.pretrained('triangular-120')" in call(capsys, "info")[1]
    status, out, _ = call(capsys, "run", "--example")
    assert (status, out) == (0, EXAMPLE)


def test_what_the_system_forbids_is_one_line(capsys):
    for error in (PermissionError(13, "Permission denied", "runs/a"), PermissionError(13, "runs/a: Permission denied")):
        with pytest.raises(SystemExit) as end, refusals():
            raise error
        told = capsys.readouterr().err
        assert (end.value.code, told.count("\n")) == (2, 1)
        assert "runs/a: Permission denied" in told


def test_the_command_line_loads_nothing_that_it_does_not_need():
    told = printed(
        "from jaxspin.command import main\nmain(['run', '--example'])\n"
        "print([m for m in ('jax', 'matplotlib', 'zarr') if m in sys.modules])"
    )
    assert told.splitlines()[-1] == "[]"
