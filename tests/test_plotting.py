"""A figure shows the right value at the right place, and leaves matplotlib as it found it."""

import json

import jax
import jax.numpy as jnp
import matplotlib as mpl
import numpy as np
import pytest
from matplotlib._pylab_helpers import Gcf
from PIL import Image

from jaxspin import observables, textures
from jaxspin.io import load_trajectory, save_trajectory
from jaxspin.lattice import Lattice, chain, cubic, honeycomb, kagome, square, triangular
from jaxspin.plotting import (
    new_figure,
    plot,
    plot_map,
    plot_parity,
    plot_spins,
    plot_structure_factor,
    plot_time_series,
    plot_training,
    save_figure,
)
from jaxspin.plotting.geometry import brillouin_zone, zone_points
from jaxspin.training.dataset import SpinData

PLANES = [square(5, 4), triangular(6, 4), honeycomb(3, 4), kagome(4, 3)]


def spins_on(lattice, *leading):
    vectors = np.random.default_rng(1).normal(size=(*leading, *lattice.shape, 3))
    return jnp.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))


def pixel(figure, point):
    """The value that the figure's image shows at a point of its axes."""
    image = figure.axes[0].images[0]
    left, right, bottom, top = image.get_extent()
    array = image.get_array().filled(np.nan)
    column = int((point[0] - left) / (right - left) * array.shape[1])
    row = int((point[1] - bottom) / (top - bottom) * array.shape[0])
    return array[row, column]


@pytest.mark.parametrize("lattice", PLANES, ids=lambda lattice: lattice.name)
def test_a_map_has_each_value_at_its_site(lattice):
    values = np.arange(lattice.sites, dtype=float).reshape(lattice.shape)
    figure = plot_map(lattice, values, "number")
    left, right, *_ = figure.axes[0].images[0].get_extent()
    for position, value in zip(lattice.positions().reshape(-1, 2), values.ravel(), strict=True):
        folded = (left + (position[0] - left) % (right - left), position[1])
        assert pixel(figure, folded) == value


@pytest.mark.parametrize("lattice", [square(4), triangular(6, 4)], ids=lambda lattice: lattice.name)
def test_every_site_of_a_periodic_map_has_the_same_area(lattice):
    values = np.arange(lattice.sites, dtype=float).reshape(lattice.shape)
    image = plot_map(lattice, values).axes[0].images[0].get_array()
    assert not np.ma.getmaskarray(image).any()
    shares = np.bincount(image.compressed().astype(int)) * lattice.sites / image.size
    # a site covers some 200 x 200 pixels, of which those on its rim may fall to either side
    np.testing.assert_allclose(shares, 1, atol=0.03)


def test_an_open_lattice_is_a_parallelogram_with_nothing_around_it():
    lattice = triangular(4, periodic=False)
    figure = plot_map(lattice, np.ones(lattice.shape))
    assert pixel(figure, lattice.positions()[3, 3, 0]) == 1
    assert np.isnan(pixel(figure, (-0.3, 2.4)))


@pytest.mark.parametrize("name", ["triangular", "square"])
def test_chirality_is_drawn_on_its_triangles(name):
    lattice = {"triangular": triangular, "square": square}[name](6)
    chirality = np.asarray(observables.scalar_chirality(lattice, spins_on(lattice)))
    figure = plot_map(lattice, chirality, "chirality")
    vectors, cell = np.array(lattice.vectors), np.array([1, 2])
    for number, triangle in enumerate(observables.elementary_triangles(lattice)):
        center = np.mean([(cell + np.array(n)) @ vectors for _, n in triangle], axis=0)
        assert pixel(figure, center) == pytest.approx(chirality[1, 2, number], abs=0)


def test_limits_are_symmetric_for_diverging_colours_only():
    lattice, values = square(3), np.linspace(-1, 3, 9).reshape(3, 3)
    assert plot_map(lattice, values).axes[0].images[0].get_clim() == (-3, 3)
    assert plot_map(lattice, values, cmap="viridis").axes[0].images[0].get_clim() == (-1, 3)
    assert plot_map(lattice, values, limits=(0, 1)).axes[0].images[0].get_clim() == (0, 1)


@pytest.mark.parametrize("lattice", PLANES, ids=lambda lattice: lattice.name)
def test_the_structure_factor_is_that_of_direct_sums_in_every_zone(lattice):
    spins = spins_on(lattice)
    figure = plot_structure_factor(lattice, spins, decades=12)
    grid = lattice.reciprocal() / np.array(lattice.cells)[:, None]
    box = np.array(figure.axes[0].images[0].get_extent())[1::2]
    drawn = [q for q in np.array(list(np.ndindex(13, 13))) @ grid - 6 * grid.sum(axis=0) if np.all(np.abs(q) < box)]
    beyond = [q for q in drawn if np.linalg.norm(q) > np.linalg.norm(lattice.reciprocal()[0]) * 0.6]
    assert beyond
    expected = observables.structure_factor_at(lattice, spins, jnp.asarray(drawn))
    # nudged inwards, or a point on the rim of the image could be rounded out of it
    np.testing.assert_allclose([pixel(figure, 0.9999 * q) for q in drawn], expected, rtol=1e-9)
    if lattice.sublattices == 1:
        again = plot_structure_factor(lattice, observables.structure_factor(lattice, spins), decades=12)
        arrays = [f.axes[0].images[0].get_array() for f in (figure, again)]
        np.testing.assert_allclose(*arrays, rtol=1e-9)


def test_the_peaks_of_the_tetrahedral_state_are_at_the_named_points_m():
    lattice = triangular(8)
    figure = plot_structure_factor(lattice, textures.tetrahedral(lattice))
    for point in zone_points(brillouin_zone(lattice.reciprocal()))["M"]:
        # three wavevectors share S summed over the grid, which is the number of sites
        assert pixel(figure, 0.999 * point) == pytest.approx(lattice.sites / 3)


@pytest.mark.parametrize(("lattice", "corners"), [(square(2), 4), (triangular(2), 6)], ids=["square", "triangular"])
def test_the_brillouin_zone_has_the_area_of_a_reciprocal_cell(lattice, corners):
    zone = brillouin_zone(lattice.reciprocal())
    following = np.roll(zone, -1, axis=0)
    area = np.sum(zone[:, 0] * following[:, 1] - zone[:, 1] * following[:, 0]) / 2
    assert len(zone) == corners
    assert area == pytest.approx(abs(np.linalg.det(lattice.reciprocal())))
    named = observables.high_symmetry_points(lattice)
    points = zone_points(zone)
    name = "K" if corners == 6 else "M"
    assert np.linalg.norm(points[name], axis=1) == pytest.approx(np.linalg.norm(named[name]))


def test_an_oblique_zone_has_no_names_but_gamma():
    lattice = Lattice("oblique", ((1.0, 0.0), (0.3, 1.4)), ((0.0, 0.0),), (2, 2), (True, True))
    assert list(zone_points(brillouin_zone(lattice.reciprocal()))) == [r"$\Gamma$"]


def test_a_chain_and_a_crystal_are_drawn_too():
    wire, crystal = chain(8), cubic(3, 4, 2)
    spins = spins_on(crystal)
    curve = plot_structure_factor(wire, spins_on(wire), decades=12).axes[0].lines[0]
    direct = observables.structure_factor(wire, spins_on(wire))
    assert curve.get_ydata()[8:16] == pytest.approx(np.asarray(direct), rel=1e-9)
    for layer in (0, 1):
        image = plot_map(crystal, spins[..., 2], layer=layer)
        assert pixel(image, (2, 3)) == spins[2, 3, layer, 0, 2]
        factor = plot_structure_factor(crystal, spins, decades=12, layer=layer)
        expected = observables.structure_factor(crystal, spins)[1, 1, layer]
        assert pixel(factor, (2 * np.pi / 3, 2 * np.pi / 4)) == pytest.approx(float(expected), rel=1e-9)
    assert pixel(plot_map(wire, np.arange(8.0)), (5, 0)) == 5


def test_spins_are_arrows_at_their_sites_and_vacancies_are_blank():
    lattice = kagome(2)
    spins = np.array(spins_on(lattice))
    spins[1, 0, 2] = 0
    arrows = plot_spins(lattice, spins).axes[0].collections[1]
    assert lattice.sites - 1 == arrows.N
    kept = np.any(spins != 0, axis=-1)
    np.testing.assert_allclose(arrows.XY, lattice.positions()[kept])
    np.testing.assert_allclose(np.stack([arrows.U, arrows.V], axis=-1), spins[kept][:, :2])
    np.testing.assert_allclose(arrows.get_array(), spins[kept][:, 2])


@pytest.mark.parametrize("number", [50, 2000])
def test_parity_states_the_rms_error(number):
    exact = np.random.default_rng(0).normal(size=number)
    exact = (exact - exact.mean()) / exact.std()
    error = np.where(np.arange(number) % 2, 0.1, -0.1)
    figure = plot_parity(exact, exact + error)
    assert figure.axes[0].texts[0].get_text() == "rms error 0.1 $t$\n= 10 % of the spread"
    assert figure.axes[0].get_xlim() == figure.axes[0].get_ylim()


def test_curves_have_their_data_and_units():
    figure = plot_time_series([0.0, 1.0, 2.0], {"exact": [1.0, 2.0, 3.0], "learnt": [1.0, 2.0, 4.0]}, "energy")
    np.testing.assert_array_equal(figure.axes[0].lines[1].get_ydata(), [1, 2, 4])
    assert r"\hbar/t" in figure.axes[0].get_xlabel()
    history = {"step": [1, 2, 3], "loss": [1.0, np.nan, 0.1], "seconds": [0.1, 0.2, 0.3]}
    (line,) = plot_training(history).axes[0].lines
    np.testing.assert_array_equal(line.get_xdata(), [1, 3])


def test_plot_chooses_by_the_kind_of_result(tmp_path):
    lattice = triangular(4)
    spins = spins_on(lattice, 3)
    data = SpinData(lattice, spins, jax.random.normal(jax.random.key(0), spins.shape), source=["hot", "hot", "cold"])
    assert [text.get_text() for text in plot(data).axes[0].get_legend().get_texts()] == ["cold", "hot"]
    for place in (lattice, chain(4)):
        path = save_trajectory(tmp_path / f"{place.name}.zarr", np.arange(3.0), spins_on(place, 3), place)
        with load_trajectory(path) as stored:
            curves = plot(stored).axes[0].lines
        expected = np.linalg.norm(
            np.mean(spins_on(place, 3), axis=(1, -2) if place.dimension == 1 else (1, 2, 3)), axis=-1
        )
        np.testing.assert_allclose(curves[0].get_ydata(), expected)
    one = save_trajectory(tmp_path / "one.zarr", [0.0], spins_on(lattice, 1), lattice)
    assert {line.get_marker() for line in plot(one).axes[0].lines} == {"o"}
    assert {line.get_marker() for line in plot(tmp_path / "chain.zarr").axes[0].lines} == {"None"}
    for nothing in ({}, {"step": [1, 2]}):
        with pytest.raises(ValueError, match="no loss and no error; give columns such as"):
            plot(nothing)
    for result in (one, data, {"loss": [1.0]}):
        with pytest.raises(TypeError, match=r"takes no values beside it; leave them out, or give plot\(lattice, val"):
            plot(result, spins)
    with load_trajectory(one) as stored, pytest.raises(TypeError, match="of Dataset takes no values beside it"):
        plot(stored, spins)
    with pytest.raises(TypeError, match=r"no figure is known for int; use plot_spins, .* plot\.register"):
        plot(3)


def test_exchange_is_drawn_against_distance():
    """J counted twice, of every pair but a site with itself; of tensors the length of D as well."""
    couplings = np.zeros((6, 1, 1))
    couplings[[1, -1]], couplings[[2, -2]] = 0.5, -0.2
    axes = plot(observables.ExchangeCouplings(chain(6), couplings)).axes[0]
    np.testing.assert_allclose(axes.lines[1].get_xydata(), [[1, 0.5], [2, -0.2], [3, 0]], atol=1e-7)
    tensors = couplings[..., None, None] * np.eye(3)
    tensors[1, 0, 0, 0, 1], tensors[1, 0, 0, 1, 0] = 0.3, -0.3
    tensors[-1, 0, 0] = tensors[1, 0, 0].T
    axes = plot(observables.ExchangeTensors(chain(6), tensors)).axes[0]
    np.testing.assert_allclose(axes.lines[1].get_xydata(), [[1, 0.5], [2, -0.2], [3, 0]], atol=1e-7)
    np.testing.assert_allclose(axes.lines[2].get_xydata(), [[1, 0.3], [2, 0], [3, 0]], atol=1e-7)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["$J$", "$|D|$"]


def test_matplotlib_is_left_as_it_was():
    before = dict(mpl.rcParams)
    figure = plot_map(square(2), np.zeros((2, 2)))
    assert dict(mpl.rcParams) == before
    assert Gcf.figs == {}
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_panels_share_a_figure():
    figure = new_figure(6, 3)
    left, right = figure.subplots(1, 2)
    assert plot_map(square(2), np.zeros((2, 2)), ax=left) is figure
    assert plot_spins(square(2), spins_on(square(2)), ax=right) is figure


def test_a_saved_figure_carries_its_metadata(tmp_path):
    figure = plot_time_series([0.0, 1.0], {"a": [0.0, 1.0]})
    path = save_figure(figure, tmp_path / "new" / "a.png", {"seed": 3})
    with Image.open(path) as image:
        assert json.loads(image.info["Description"]) == {"seed": 3}
    for ending in ("pdf", "svg"):
        assert b"seed" in save_figure(figure, tmp_path / f"a.{ending}", {"seed": 3}).read_bytes()
    with pytest.raises(ValueError, match=r"end the name in \.png, \.pdf or \.svg"):
        save_figure(figure, tmp_path / "a.gif")


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"give \(3, 3, 1\) on sites, \(3, 3\) on cells, or what scalar_chirality"):
        plot_map(square(3), np.zeros((2, 2)))
    with pytest.raises(ValueError, match=r"plot one of them at a time, values\[\.\.\., k\]"):
        plot_map(triangular(3), np.zeros((3, 3, 5)))
    with pytest.raises(ValueError, match=r"which needs \(3, 3, 1, 3\); reshape"):
        plot_spins(square(3), np.zeros((2, 2, 1, 3)))
    with pytest.raises(ValueError, match=r"give S\(q\) \(3, 3\) for one site a cell, or the spins \(3, 3, 3, 3\)"):
        plot_structure_factor(kagome(3), np.ones((3, 3)))
    with pytest.raises(ValueError, match="differ; give two arrays of one shape"):
        plot_parity(np.zeros(3), np.zeros(4))


@pytest.mark.parametrize("lattice", [kagome(3), honeycomb(3), square(3)], ids=lambda lattice: lattice.name)
def test_arrows_are_shorter_than_the_nearest_bond(lattice):
    (arrows,) = [c for c in plot_spins(lattice, spins_on(lattice)).axes[0].collections if hasattr(c, "scale")]
    assert 0.5 < 1 / arrows.scale / lattice.shell(1)[0].length < 1


def test_a_long_chain_is_drawn_as_curves():
    lattice = chain(60)
    spins = textures.spiral(lattice, (2 * np.pi / 20,))
    figure = plot_spins(lattice, spins)
    lines = figure.axes[0].lines
    np.testing.assert_allclose(lines[0].get_ydata(), spins[:, 0, 0])
    assert figure.get_figheight() > 2


def test_rounding_is_not_drawn_as_signal():
    lattice = square(4)
    noise = 1e-17 * np.random.default_rng(0).normal(size=(4, 4))
    for cmap in ("RdBu_r", "viridis"):
        low, high = plot_map(lattice, noise, cmap=cmap).axes[0].images[0].get_clim()
        assert high - low > 1e-12
    # a ferromagnet has no peak of 1e-30 elsewhere: the scale ends above rounding
    shown = plot_structure_factor(lattice, np.where(np.arange(16) == 0, 16, 1e-30).reshape(4, 4), decades=40)
    assert shown.axes[0].images[0].norm.vmin > 1e-12


def test_three_dimensions_show_the_plane_of_the_highest_peak_and_say_so():
    lattice = cubic(4)
    spins = np.asarray(textures.neel(lattice))
    axes = plot_structure_factor(lattice, spins).axes[0]
    assert axes.images[0].get_array().max() == pytest.approx(lattice.sites)
    assert "2/4" in axes.get_title()
    lowest = plot_structure_factor(lattice, spins, layer=0).axes[0]
    assert "0/4" in lowest.get_title()
    assert lowest.images[0].norm.vmin > 1e-12


def test_the_peaks_of_kagome_lie_inside_the_frame():
    lattice = kagome(3)
    three = np.array([[0.0, 1.0, 0.0], [-(3**0.5) / 2, -0.5, 0.0], [3**0.5 / 2, -0.5, 0.0]])
    figure = plot_structure_factor(lattice, np.broadcast_to(three, (3, 3, 3, 3)))
    for q in lattice.reciprocal():
        assert pixel(figure, q) > lattice.sites / 3
