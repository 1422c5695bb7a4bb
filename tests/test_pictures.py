"""Colours of directions, planes of crystals, chains in time, diagrams, sweeps: the right value at the right place."""

import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.colors import to_rgb

import jaxspin as js
from jaxspin import plotting
from jaxspin.dynamics.relax import Relaxation
from jaxspin.lattice import Lattice, chain, cubic, honeycomb, kagome, square, triangular
from jaxspin.observables.dynamical import Spectrum
from jaxspin.observables.spin_waves import SpinWaves
from jaxspin.plotting import direction_colours, plot, plot_kymograph, plot_phase_diagram, plot_sweep, solid
from jaxspin.plotting.geometry import Plane, count_planes
from tests.helpers import frames

BCC = Lattice("bcc", np.eye(3), [[0, 0, 0], [0.5, 0.5, 0.5]], (3, 4, 2), (True,) * 3)
FCC = Lattice("fcc", [[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]], [[0, 0, 0]], (3, 2, 4), (False,) * 3)
BILAYER = Lattice("bilayer", np.eye(3), [[0, 0, 0], [0, 0, 0.4]], (3, 2, 2), (True,) * 3)
FLAT = Lattice("rectangle", [[1, 0], [0, 2]], [[0, 0]], (3, 4), (True, True))


def test_hue_turns_with_the_spin_and_lightness_is_its_height():
    x, up, down = [1.0, 0, 0], [0, 0, 1.0], [0, 0, -1.0]
    np.testing.assert_allclose(direction_colours([x, up, down])[:, :3], [[1, 0, 0], [1, 1, 1], [0, 0, 0]], atol=1e-12)
    spins = frames(chain(7), 1)[0, :, 0]
    turn = np.array([[-0.5, -(3**0.5) / 2, 0], [3**0.5 / 2, -0.5, 0], [0, 0, 1]])
    # a third of a turn about z makes green of red, blue of green, red of blue
    before, after = direction_colours(spins), direction_colours(spins @ turn.T)
    np.testing.assert_allclose(after[:, [1, 2, 0]], before[:, :3], atol=1e-12)
    lightness = (before[:, :3].max(axis=1) + before[:, :3].min(axis=1)) / 2
    np.testing.assert_allclose(lightness, (1 + spins[:, 2]) / 2, atol=1e-12)
    assert direction_colours(np.zeros(3)).tolist() == [0.5, 0.5, 0.5, 1]
    assert direction_colours([np.nan, 0, 1])[3] == 0
    with pytest.raises(ValueError, match=r"no three components; give an array of shape \(\.\.\., 3\)"):
        direction_colours(np.zeros(4))


@pytest.mark.parametrize("lattice", [BCC, FCC, BILAYER, cubic(2, 3, 4)], ids=lambda lattice: lattice.name)
def test_every_site_of_a_crystal_is_in_one_plane_at_its_true_distances(lattice):
    numbers, points = np.arange(lattice.sites).reshape(lattice.shape), lattice.positions().reshape(-1, 3)
    seen = []
    for layer in range(count_planes(lattice)):
        plane = Plane(lattice, lattice.sublattices, layer)
        here = plane.take(numbers).ravel()
        flat = plane.lattice.positions().reshape(-1, 2)
        apart = np.linalg.norm(flat[:, None] - flat[None], axis=-1)
        np.testing.assert_allclose(
            apart, np.linalg.norm(points[here][:, None] - points[here][None], axis=-1), atol=1e-9
        )
        seen += here.tolist()
    assert sorted(seen) == list(range(lattice.sites))
    with pytest.raises(ValueError, match=r"none of the \d+ planes of sites of this lattice; count them from 0 to"):
        plotting.plot_texture(lattice, np.zeros((*lattice.shape, 3)), layer=99)


def test_a_texture_has_the_colour_of_each_spin_at_its_site():
    lattice = kagome(3, 2)
    spins = frames(lattice, 1)[0]
    image = plotting.plot_texture(lattice, spins).axes[0].images[0]
    left, right, bottom, top = image.get_extent()
    array = np.asarray(image.get_array())
    for point, spin in zip(lattice.positions().reshape(-1, 2), spins.reshape(-1, 3), strict=True):
        column = int((point[0] - left) % (right - left) / (right - left) * array.shape[1])
        row = int((point[1] - bottom) / (top - bottom) * array.shape[0])
        np.testing.assert_allclose(array[row, column], direction_colours(spin), atol=1e-12)
    # both show the same plane
    panels = plotting.plot_slices(BCC, spins := frames(BCC, 1)[0], count=2).axes
    single = plotting.plot_texture(BCC, spins, layer=3).axes[0].images[0].get_array()
    np.testing.assert_array_equal(panels[1].images[0].get_array(), single)
    assert panels[1].get_title() == "plane 3 of 4"


def test_a_chain_in_time_has_each_frame_halfway_to_the_next():
    lattice = Lattice("dimers", [[2.0]], [[0.7], [0.0]], (3,), (True,))
    times = np.array([0.0, 1.0, 4.0])
    values = np.arange(18.0).reshape(3, 3, 2)
    mesh = plot_kymograph(lattice, times, values, "number").axes[0].collections[0]
    np.testing.assert_array_equal(mesh.get_array(), values[..., ::-1].reshape(3, 6))  # by position
    np.testing.assert_allclose(mesh.get_coordinates()[:, 0, 1], [-0.5, 0.5, 2.5, 5.5])
    spins = np.broadcast_to([0.0, 0.0, 1.0], (3, 3, 2, 3))
    assert np.asarray(plot_kymograph(lattice, times, spins).axes[0].collections[0].get_array()).min() == 1
    with pytest.raises(ValueError, match=r"do not fit times of shape \(3,\); give \(3, 3, 2\), or three components"):
        plot_kymograph(lattice, times, values[:2])
    with pytest.raises(ValueError, match="has 2 dimensions; average over all but one"):
        plot_kymograph(square(2), times, values)


def test_cones_point_along_the_spins():
    lattice = cubic(2)
    spins = np.array(frames(lattice, 1)[0])
    spins[0, 0, 0] = 0
    here = np.any(spins != 0, axis=-1)
    corners = solid._cones(lattice.positions()[here], spins[here], 0.85)
    tips, bases = corners[:, 0, 0], corners[:, -1, 0]
    rims = corners[:, :, 1]
    np.testing.assert_allclose(np.sum((rims - bases[:, None]) * spins[here][:, None], axis=-1), 0, atol=1e-9)
    np.testing.assert_allclose((tips - bases) / 0.85, spins[here], atol=1e-9)
    np.testing.assert_allclose((tips + bases) / 2, lattice.positions()[here], atol=1e-9)
    assert len(plotting.plot_spins_3d(lattice, spins).axes[0].collections[0].get_facecolor()) > 0
    with pytest.raises(ValueError, match="1728 cones hide one another; use plot_slices"):
        plotting.plot_spins_3d(cubic(12), frames(cubic(12), 1)[0])
    with pytest.raises(ValueError, match="cones need axes in space"):
        plotting.plot_spins_3d(lattice, spins, ax=plotting.new_figure().subplots())


def test_a_lattice_is_drawn_with_the_bonds_between_its_sites():
    for lattice in (square(4), kagome(3), chain(5), honeycomb(20)):
        part = lattice.resize(*(min(6, n) for n in lattice.cells))
        figure = plotting.plot_lattice(lattice)
        segments = figure.axes[0].collections[0].get_segments()
        lengths = np.linalg.norm(np.diff(segments, axis=1), axis=-1)
        np.testing.assert_allclose(lengths, lattice.shell(1)[0].length)
        assert sum(len(line.get_xdata()) for line in figure.axes[0].lines) == part.sites
    assert len(plotting.plot_lattice(square(4)).axes[0].collections[0].get_segments()) == 24
    assert plotting.plot_lattice(BCC).axes[0].name == "3d"


ORDERS = np.array([["a", "a", "b"], ["", "b", "b"]])


def test_a_phase_diagram_has_each_name_in_its_colour():
    figure = plot_phase_diagram([0.1, 0.2, 0.3], [1.0, 2.0], ORDERS, names=["b", "a"], colours=["red", "blue"])
    mesh = figure.axes[0].collections[0]
    shown = mesh.to_rgba(mesh.get_array())[..., :3].reshape(2, 3, 3)
    np.testing.assert_allclose(shown[0], [to_rgb("blue"), to_rgb("blue"), to_rgb("red")])
    assert np.ma.getmaskarray(mesh.get_array()).reshape(2, 3).tolist() == [[False] * 3, [True, False, False]]
    points = ([0.1, 0.2], [1.0, 2.0], ["a", "other"])
    marked = plot_phase_diagram([0.1, 0.2, 0.3], [1.0, 2.0], ORDERS, names=["b", "a"], markers=points).axes[0]
    named, other = marked.collections[1:]
    np.testing.assert_allclose(named.get_facecolor()[0][:3], to_rgb(plotting.colours.PHASES[1]))
    np.testing.assert_allclose(other.get_facecolor()[0][:3], 1)
    assert [text.get_text() for text in marked.get_legend().get_texts()] == ["a", "other"]
    quantity = plot_phase_diagram([0.1, 0.2, 0.3], [1.0, 2.0], np.array([[1.0, 2.0, np.nan], [0.0, 0.0, 3.0]]), "gap")
    assert quantity.axes[0].collections[0].get_array().ravel().tolist() == [1, 2, None, 0, 0, 3]
    assert quantity.axes[1].get_ylabel() == "gap"


def test_diagrams_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"give \(len\(y\), len\(x\)\), a row for each y: transpose them"):
        plot_phase_diagram([1.0, 2.0], [0.1, 0.2, 0.3], ORDERS)
    with pytest.raises(ValueError, match="names leaves out 'b'; list every phase"):
        plot_phase_diagram([0.1, 0.2, 0.3], [1.0, 2.0], ORDERS, names=["a"])
    with pytest.raises(ValueError, match="2 phases have 1 colours; give more"):
        plot_phase_diagram([0.1, 0.2, 0.3], [1.0, 2.0], ORDERS, colours=["red"])
    with pytest.raises(ValueError, match="give x, y and a label of each"):
        plot_phase_diagram([0.1, 0.2, 0.3], [1.0, 2.0], ORDERS, markers=([1.0], [1.0, 2.0], ["a"]))


def of_sweep(function, design, store):
    return js.sweeps.sweep(function, design, store=store, progress=False)


def test_a_sweep_is_drawn_by_its_settings(tmp_path):
    design = js.sweeps.grid(x=[1.0, 2.0], y=[0.0, 0.5, 1.0], seed=[0, 2])

    def product(x, y, seed):
        return {"z": jnp.where((x > 1.5) & (y < 0.2), jnp.nan, x * y + seed.astype(x.dtype)), "w": jnp.zeros(2)}

    found = of_sweep(product, design, tmp_path / "a.zarr")
    with pytest.raises(ValueError, match="has outputs of one number a point: z; return one"):
        plot_sweep(found, "w")
    chosen = plot_sweep(found.sel(seed=[2])).axes[0]
    table = chosen.collections[0].get_array()
    np.testing.assert_allclose(table.filled(-1), [[2, 2.5, 3], [-1, 3, 4]])
    assert (chosen.get_xlabel(), chosen.get_ylabel()) == ("y", "x")
    np.testing.assert_array_equal(np.transpose(chosen.lines[0].get_data()), [[0.0, 2.0]])  # what failed is crossed
    assert plot(tmp_path / "a.zarr").axes[0].get_title() == "mean over x"
    curve = plot_sweep(found.sel(seed=[0], x=[1.0])).axes[0].lines[0]
    np.testing.assert_allclose(curve.get_ydata(), [0, 0.5, 1])
    drawn = of_sweep(lambda x, y: {"z": x + y}, js.sweeps.listed(x=[1.0, 3.0], y=[0.0, 1.0]), tmp_path / "b.zarr")
    points = plot_sweep(drawn).axes[0].collections[0]
    np.testing.assert_allclose(points.get_offsets(), [[1, 0], [3, 1]])
    np.testing.assert_allclose(points.get_array(), [1, 4])
    named = of_sweep(lambda kind, x: {"z": x}, js.sweeps.grid(kind=["a", "b"], x=[1.0, 2.0]), tmp_path / "c.zarr")
    assert [text.get_text() for text in plot(named).axes[0].get_legend().get_texts()] == ["a", "b"]
    with pytest.raises(TypeError, match="of no sweep; give what"):
        plot_sweep(found.drop_attrs())


@pytest.mark.parametrize("lattice", [chain(6), FLAT, triangular(26, 3), kagome(2), cubic(2), FCC])
def test_plot_takes_every_lattice_and_what_lives_on_it(lattice, tmp_path):
    times, spins = np.arange(3.0), frames(lattice, 3)
    js.io.save_trajectory(tmp_path / "trajectory.zarr", times, spins, lattice)
    curve = plot(tmp_path).axes[0].lines[0]
    means = spins.mean(axis=tuple(range(1, spins.ndim - 1)))
    np.testing.assert_allclose(curve.get_ydata(), np.linalg.norm(means, axis=-1), rtol=1e-6)
    for values in (spins[0], spins[0][..., 2], np.zeros(lattice.cells)):
        assert len(plot(lattice, values).axes) > 0
    assert "cells" in plot(lattice).axes[0].get_title()


def test_plot_takes_what_measures_and_trainings_give():
    lattice = square(4)
    numbers = (jnp.zeros(()), jnp.zeros(()), jnp.zeros((), int), jnp.ones((), int))
    relaxed = Relaxation(jnp.asarray(frames(lattice, 1)[0]), *numbers)
    assert len(plot(lattice, relaxed).axes) == 2
    x = np.linspace(0, 1, 5)
    np.testing.assert_array_equal(plot(x, x**2).axes[0].lines[0].get_ydata(), x**2)
    waves = SpinWaves(jnp.arange(4.0), jnp.zeros(8), jnp.zeros(8), jnp.zeros((8, 4), complex))
    assert len(plot(waves).axes[0].lines[0].get_xdata()) == 4
    shells = js.observables.by_distance(chain(4), np.eye(4))
    np.testing.assert_array_equal(plot(shells).axes[0].lines[1].get_xdata(), [1, 2])
    assert len(plot({"step": [1, 2], "loss": [1.0, 0.5]}).axes) == 1
    density = plotting.plot_density_of_states(x, x**2, mu=0.5).axes[0]
    assert density.lines[1].get_xdata() == [0.5, 0.5]
    with pytest.raises(TypeError, match=r"does not know its lattice; give that first, plot\(lattice, relaxed\)"):
        plot(relaxed)
    with pytest.raises(TypeError, match=r"says not what it is; give plot\(lattice, spins\)"):
        plot(jnp.zeros((4, 4, 1, 3)))
    with pytest.raises(ValueError, match="are no curve; give two rows"):
        plot(x, x[:2])


def test_a_spectrum_shows_the_wave_where_it_is():
    lattice = square(8)
    intensity = np.random.default_rng(0).uniform(0.1, 1.0, (6, 8, 8))
    spectrum = Spectrum(jnp.linspace(-3.0, 2.0, 6), jnp.asarray(intensity))
    figure = plot(lattice, spectrum)
    ax = figure.axes[0]
    assert [text.get_text() for text in ax.get_xticklabels()] == [r"$\Gamma$", "$X$", "$M$", r"$\Gamma$"]
    table = ax.collections[0].get_array()
    rising = np.asarray(spectrum.frequencies) >= 0
    np.testing.assert_allclose(table[:, 8], intensity[rising, 4, 4])
    with pytest.raises(
        ValueError, match=r"has \(8, 8\) wavevectors, the lattice \(4, 4\); give the lattice of the run"
    ):
        plot(square(4), spectrum)
