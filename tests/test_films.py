"""Films, and runs for ParaView: every frame at its time, from memory or from a store; nothing is overwritten."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from jaxspin.dynamics import Trajectory
from jaxspin.io import load_trajectory, save_trajectory, save_vtk_series
from jaxspin.lattice import chain, cubic, kagome, square, triangular
from jaxspin.plotting import animate, films, plot_map, plot_texture
from tests.helpers import SKEWED, frames

TIMES = np.array([0.0, 0.5, 1.0])


def read(path):
    """The points `(sites, 3)` and spins of an XML file of VTK with raw appended data, and its root."""
    raw = path.read_bytes()
    head, data = raw.split(b'<AppendedData encoding="raw">_', 1)
    root = ET.fromstring(head + b"</VTKFile>")
    arrays = {}
    for element in root.iter("DataArray"):
        start = int(element.attrib["offset"])
        size = int(np.frombuffer(data, "<u8", 1, start)[0])
        kind = {"Float32": "<f4", "Float64": "<f8", "Int64": "<i8"}[element.attrib["type"]]
        values = np.frombuffer(data[start + 8 : start + 8 + size], kind)
        arrays[element.attrib["Name"]] = values.reshape(-1, int(element.attrib["NumberOfComponents"]))
    if "points" not in arrays:
        image = root[0].attrib
        sizes = [int(n) + 1 for n in image["WholeExtent"].split()[1::2]]
        nodes = np.array(list(np.ndindex(*sizes[::-1])))[:, ::-1]  # x fastest
        arrays["points"] = np.array(image["Origin"].split(), float) + nodes * np.array(image["Spacing"].split(), float)
    return arrays, root


@pytest.mark.parametrize(
    ("lattice", "kind"),
    [(chain(5), "vti"), (cubic(2, 3, 4), "vti"), (triangular(4, 3), "vts"), (kagome(3, 2), "vtp"), (SKEWED, "vtp")],
    ids=lambda x: getattr(x, "name", x),
)
def test_a_series_has_every_spin_of_every_frame_at_its_site_and_time(tmp_path, lattice, kind):
    spins = frames(lattice, 3, np.float32)
    path = save_vtk_series(tmp_path / "run.pvd", TIMES, spins, lattice)
    found = [(float(e.attrib["timestep"]), e.attrib["file"]) for e in ET.parse(path).getroot().iter("DataSet")]
    assert found == [(t, f"run_frames/000{k}.{kind}") for k, t in enumerate(TIMES)]
    for (_, name), frame in zip(found, spins, strict=True):
        arrays, root = read(tmp_path / name)
        assert arrays["spin"].dtype == np.float32
        for position, spin in zip(
            lattice.positions().reshape(-1, lattice.dimension), frame.reshape(-1, 3), strict=True
        ):
            near = np.argmin(np.sum((arrays["points"][:, : lattice.dimension] - position) ** 2, axis=1))
            np.testing.assert_allclose(arrays["points"][near, : lattice.dimension], position, atol=1e-15)
            np.testing.assert_array_equal(arrays["spin"][near], spin)
        if kind == "vtp":
            assert root.find(".//Piece").attrib["NumberOfVerts"] == str(lattice.sites)
            np.testing.assert_array_equal(arrays["sublattice"][: lattice.sublattices, 0], range(lattice.sublattices))


def test_a_series_is_read_from_a_store_and_never_overwritten(tmp_path):
    lattice = square(3, 2)
    store = save_trajectory(tmp_path / "run.zarr", TIMES, frames(lattice, 3), lattice)
    path = tmp_path / "run.pvd"
    with load_trajectory(store) as run:
        save_vtk_series(path, run.time.values, run.spins, lattice)
    arrays, _ = read(tmp_path / "run_frames" / "0002.vti")
    np.testing.assert_array_equal(arrays["spin"], frames(lattice, 3)[2].transpose(1, 0, 2, 3).reshape(-1, 3))
    with pytest.raises(FileExistsError, match="pass overwrite=True"):
        save_vtk_series(path, TIMES, frames(lattice, 3), lattice)
    save_vtk_series(path, TIMES[:1], frames(lattice, 1), lattice, overwrite=True)
    assert [file.name for file in (tmp_path / "run_frames").iterdir()] == ["0000.vti"]
    with pytest.raises(ValueError, match=r"end the name in \.pvd"):
        save_vtk_series(tmp_path / "run.vtk", TIMES, frames(lattice, 3), lattice)
    with pytest.raises(ValueError, match="do not fit 2 frames; give one time a frame"):
        save_vtk_series(tmp_path / "b.pvd", TIMES, frames(lattice, 2), lattice)
    with pytest.raises(ValueError, match="do not fit the square lattice"):
        save_vtk_series(tmp_path / "b.pvd", TIMES, frames(square(4), 3), lattice)
    assert not (tmp_path / "b.pvd").exists()


def test_a_series_replaces_no_folder_of_anything_else(tmp_path):
    lattice = chain(3)
    spins = frames(lattice, 2)
    notes = tmp_path / "run_frames"
    notes.mkdir()
    (notes / "0000.vti").write_text("one of ours, perhaps")
    (notes / "notes.txt").write_text("mine")
    for _ in range(2):
        with pytest.raises(FileExistsError, match="holds other files than frames and will not be replaced; choose an"):
            save_vtk_series(tmp_path / "run.pvd", TIMES[:2], spins, lattice, overwrite=True)
        (tmp_path / "run.pvd").write_text("there already")
    assert (notes / "notes.txt").read_text() == "mine"
    (tmp_path / "c.pvd").mkdir()
    with pytest.raises(FileExistsError, match="is a folder and will not be replaced; choose another path"):
        save_vtk_series(tmp_path / "c.pvd", TIMES[:2], spins, lattice, overwrite=True)
    assert not (tmp_path / "c_frames").exists()
    (tmp_path / "b_frames").write_text("a file")
    with pytest.raises(FileExistsError, match="will not be replaced"):
        save_vtk_series(tmp_path / "b.pvd", TIMES[:2], spins, lattice, overwrite=True)


def test_a_series_of_no_run_is_refused_and_leaves_nothing(tmp_path):
    lattice = chain(3)
    spins = frames(lattice, 2)
    for times in ([0.0, np.nan], [1.0, 1.0], [1.0, 0.0], [0.0, np.inf]):
        with pytest.raises(ValueError, match="not finite or do not increase; sort the frames"):
            save_vtk_series(tmp_path / "a.pvd", times, spins, lattice)
    wrong = np.array(spins)
    wrong[1, 0] *= 2
    with pytest.raises(ValueError, match=r"frame 1 has spins longer than one; pass jaxspin\.normalize"):
        save_vtk_series(tmp_path / "a.pvd", [0.0, 1.0], wrong, lattice)
    assert list(tmp_path.iterdir()) == []
    wrong[:, 0] = np.array([0.0, np.nan])[:, None, None]  # a vacancy, and what became of a step too long
    save_vtk_series(tmp_path / "a.pvd", [0.0, 1.0], wrong, lattice)


@pytest.fixture
def coarse(monkeypatch):
    """Small pictures."""
    monkeypatch.setattr(films, "_DPI", 30)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    lattice = triangular(4)
    return save_trajectory(tmp_path_factory.mktemp("film") / "run.zarr", TIMES, frames(lattice, 3), lattice)


def test_a_film_has_the_frames_of_the_run_wherever_they_are(tmp_path, store, coarse):
    animate(store, tmp_path / "store.gif", frames_per_second=10, progress=False)
    animate(Trajectory.load(store), tmp_path / "memory.gif", frames_per_second=10, progress=False)
    assert (tmp_path / "store.gif").read_bytes() == (tmp_path / "memory.gif").read_bytes()
    with Image.open(tmp_path / "store.gif") as film:
        assert (film.n_frames, film.info["duration"]) == (3, 100)
    with pytest.raises(FileExistsError, match="pass overwrite=True"):
        animate(store, tmp_path / "store.gif")
    animate(store, tmp_path / "store.gif", every=2, colour="hue", overwrite=True, progress=False)
    with Image.open(tmp_path / "store.gif") as film:
        assert film.n_frames == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["memory.gif", "store.gif"]


def test_each_frame_shows_what_a_picture_of_it_shows(store):
    run = films.Frames(store)
    lattice, spins = run.lattice, frames(triangular(4), 3)
    hue = films._Film(run, range(3), "hue", "", "RdBu_r", None, 0)
    hue.show(2)
    expected = plot_texture(lattice, spins[2]).axes[0].images[0].get_array()
    np.testing.assert_array_equal(hue.image.get_array(), expected)
    assert hue.title.get_title() == "$t$ = 1.0"
    squares = films._Film(run, range(3), lambda s: s[..., 0] ** 2, "x", "RdBu_r", None, 0)
    assert squares.image.get_clim() == pytest.approx((-np.max(spins[..., 0] ** 2), np.max(spins[..., 0] ** 2)))
    squares.show(1)
    expected = plot_map(lattice, spins[1][..., 0] ** 2).axes[0].images[0].get_array()
    np.testing.assert_array_equal(squares.image.get_array(), expected)


def test_mp4_goes_through_ffmpeg_and_says_so_where_there_is_none(tmp_path, store, coarse, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"need the program ffmpeg, .* or end the name in \.gif"):
        animate(store, tmp_path / "run.mp4")
    program = tmp_path / "ffmpeg"
    program.write_text('#!/bin/sh\nfor last; do :; done\n/bin/cat > "$last"\n')
    program.chmod(0o755)
    path = animate(store, tmp_path / "run.mp4", progress=False)
    pixels = len(path.read_bytes()) / 3 / 4  # frames, and four bytes a pixel
    assert pixels == int(pixels) > 10_000


def test_films_that_cannot_be_made_are_refused(tmp_path, store):
    for settings, told in (
        ({"path": tmp_path / "a.avi"}, r"end the name in \.gif or \.mp4"),
        ({"colour": "y"}, "give 'z', 'hue' or a function of the spins"),
        ({"every": 0}, "must be positive; 1 and 20"),
        ({"frames_per_second": 80}, "shows at most 50 frames a second"),
        ({"colour": lambda spins: np.zeros(3)}, r"must give \(4, 4, 1\) on sites"),
    ):
        with pytest.raises(ValueError, match=told):
            animate(**{"run": store, "path": tmp_path / "a.gif", "progress": False, **settings})
    with pytest.raises(TypeError, match="a int is no run; give what simulate returns"):
        animate(3, tmp_path / "a.gif")
    assert list(tmp_path.iterdir()) == []
