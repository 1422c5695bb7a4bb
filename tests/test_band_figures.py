"""A figure of bands has each level at its place, and the names of the points below."""

import jax
import numpy as np

import jaxspin as js
from jaxspin.io import WannierHamiltonian
from jaxspin.plotting import plot, plot_bands

PATH = ((("G", (0, 0, 0)), ("X", (0.5, 0, 0))), (("R", (0.5, 0.5, 0.5)), ("G", (0, 0, 0))))


def chain(path):
    """e = -+0.5 + 2 cos(2 pi k_1) in a cubic cell."""
    offsets = np.array([[0, 0, 0], [1, 0, 0], [-1, 0, 0]])
    up, down = (np.array([level, 1.0, 1.0], complex).reshape(3, 1, 1) for level in (-0.5, 0.5))
    one, none = np.zeros((1, 3)), np.zeros(1, int)
    return WannierHamiltonian(np.eye(3), offsets, up, down, ("Fe",), one, one, none, path=path)


def test_bands_are_drawn_from_the_fermi_level():
    found = chain(PATH).bands_on_path(20)
    axes = plot_bands(found, fermi_level=0.3, window=(-2, 2)).axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["Γ", "X|R", "Γ"]
    up, down = axes.lines[:2]
    np.testing.assert_allclose(up.get_ydata(), -0.8 + 2 * np.cos(2 * np.pi * found.k[:, 0]), atol=1e-12)
    np.testing.assert_allclose(down.get_ydata() - up.get_ydata(), 1.0, atol=1e-12)
    np.testing.assert_array_equal(up.get_xdata(), found.distances)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["up", "down"]
    assert (axes.get_ylim(), axes.get_ylabel()) == ((-2, 2), r"$E - E_F$  (eV)")


def test_bands_show_ten_electronvolts_around_the_fermi_level_and_the_legend_hides_none():
    found = chain(PATH).bands_on_path(20)
    axes = plot_bands(found, fermi_level=9.0).axes[0]
    low, high = axes.get_ylim()
    assert low == -10 < found.energies.max() - 9 < 0 < high < 1
    axes.figure.canvas.draw()
    assert axes.get_legend().get_window_extent().y0 >= axes.get_window_extent().y1


def test_a_hamiltonian_and_its_models_print_in_a_few_lines():
    hamiltonian = chain(PATH)
    assert repr(hamiltonian) == "WannierHamiltonian(Fe: 1 orbitals a cell, 3 vectors R, up and down, eV)"
    model = js.OrbitalModel.from_wannier(hamiltonian)
    text = "OrbitalModel(the Fe lattice (1, 1, 1), 1 orbitals a cell, 3 vectors R)"
    assert repr(model) == text
    assert text in repr(js.ExactDiagonalization(model, filling=0.5, temperature=0.1))
    learnt = js.BehlerParrinello(js.LocalMoments(js.square(4), coupling=2.0, moments=4, hops=1), hidden=(2,))
    count = sum(x.size for x in jax.tree.leaves(learnt.network))
    assert repr(learnt) == (
        f"BehlerParrinello(LocalMoments on the square lattice (4, 4), MultilayerPerceptron of {count} weights)"
    )


def test_a_hamiltonian_plots_itself():
    axes = plot(chain(PATH)).axes[0]
    assert axes.get_ylabel() == "energy  (eV)"
    assert len(axes.lines) == 2 + 1  # two bands and the line at X|R
