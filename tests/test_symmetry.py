"""Finite groups: representation theory as laws, and groups acting on lattices."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxspin.lattice import Lattice, chain, cubic, honeycomb, kagome, square, triangular
from jaxspin.spins import random_spins
from jaxspin.symmetry import generate_group, point_group, site_images, site_maps, transform_sites

# Products of a few dozen matrices in double precision; the general algorithm divides by gaps of eigenvalues.
ROUNDING = 1e-11

SITES = {
    "D1": chain(5),
    "D4": square(5),
    "D6": triangular(5),
    "D3": honeycomb(5),
    "D2": kagome(5),
    "Oh": cubic(3),
}
ORDERS = {"D1": 2, "D4": 8, "D6": 12, "D3": 6, "D2": 4, "Oh": 48}
IRREPS = {
    "D1": ["A1", "A2"],
    "D4": ["A1", "A2", "B1", "B2", "E"],
    "D6": ["A1", "A2", "B1", "B2", "E1", "E2"],
    "D3": ["A1", "A2", "E"],
    "D2": ["A1", "A2", "B1", "B2"],
    "Oh": ["A1g", "A2g", "Eg", "T1g", "T2g", "A1u", "A2u", "Eu", "T1u", "T2u"],
}


@pytest.fixture(params=SITES)
def group(request):
    return point_group(SITES[request.param])


@pytest.mark.parametrize("name", SITES)
def test_site_groups_of_the_lattices(name):
    found = point_group(SITES[name])
    assert (found.name, found.order, list(found.irreps)) == (name, ORDERS[name], IRREPS[name])


def test_multiplication_table_is_the_product_of_matrices(group):
    products = np.einsum("aij,bjk->abik", group.matrices, group.matrices)
    np.testing.assert_allclose(products, group.matrices[group.table], atol=ROUNDING)
    assert np.array_equal(group.matrices[0], np.eye(len(group.matrices[0])))


def test_irreps_are_orthogonal_representations(group):
    for matrices in group.irreps.values():
        products = np.einsum("aij,bjk->abik", matrices, matrices)
        np.testing.assert_allclose(products, matrices[group.table], atol=ROUNDING)
        unit = np.broadcast_to(np.eye(matrices.shape[1]), matrices.shape)
        np.testing.assert_allclose(matrices @ matrices.swapaxes(1, 2), unit, atol=ROUNDING)


def test_great_orthogonality_theorem(group):
    """sum_g D1_ij(g) D2_kl(g) = |G|/dim delta_12 delta_ik delta_jl."""
    rows = [m.reshape(group.order, -1) * np.sqrt(m.shape[1] / group.order) for m in group.irreps.values()]
    matrix = np.concatenate(rows, axis=1)
    assert matrix.shape == (group.order, group.order)  # sum dim^2 = |G|
    np.testing.assert_allclose(matrix.T @ matrix, np.eye(group.order), atol=ROUNDING)


def test_as_many_irreps_as_classes_and_characters_are_class_functions(group):
    assert len(group.irreps) == len(group.classes)
    assert sorted(itertools.chain(*group.classes)) == list(range(group.order))
    for name in group.irreps:
        for members in group.classes:
            np.testing.assert_allclose(np.ptp(group.character(name)[list(members)]), 0, atol=ROUNDING)


def test_vector_representation_is_the_irrep_of_that_name(group):
    """A vector in the plane is E (E1), in Oh T1u: the naming is the usual one."""
    name = {"D4": "E", "D6": "E1", "D3": "E", "Oh": "T1u"}.get(group.name)
    if name is None:
        assert set(group.decompose(group.matrices)) <= {"A1", "A2", "B1", "B2"}
    else:
        assert {k: len(p) for k, p in group.decompose(group.matrices).items()} == {name: 1}
    determinant = np.linalg.det(group.matrices)
    mirror = "A1u" if group.name == "Oh" else "A2"
    np.testing.assert_allclose(group.character(mirror), determinant, atol=ROUNDING)


def test_general_algorithm_agrees_with_the_closed_forms():
    """The same group lifted to three dimensions goes through the regular representation."""
    planar = point_group(triangular(3))
    lifted = [np.block([[m, np.zeros((2, 1))], [np.zeros((1, 2)), np.ones((1, 1))]]) for m in planar.matrices]
    spatial = generate_group(lifted)
    order = [next(i for i, m in enumerate(spatial.matrices) if np.allclose(m[:2, :2], p)) for p in planar.matrices]
    closed = sorted(tuple(np.round(planar.character(n), 9) + 0.0) for n in planar.irreps)
    general = sorted(tuple(np.round(spatial.character(n)[order], 9) + 0.0) for n in spatial.irreps)
    assert closed == general


@pytest.mark.parametrize("name", ["D4", "D6", "D3", "D2", "Oh"])
def test_clebsch_gordan_tensors(name):
    """Invariant, orthonormal, and as many as characters say, for every triple."""
    group = point_group(SITES[name])
    for triple in itertools.combinations_with_replacement(group.irreps, 3):
        d, d1, d2 = (group.irreps[n] for n in triple)
        tensors = group.clebsch_gordan(*triple)
        copies = np.mean(np.prod([group.character(n) for n in triple], axis=0))
        assert len(tensors) == round(copies)
        moved = np.einsum("gau,gbv,gcw,muvw->gmabc", d, d1, d2, tensors, optimize=True)
        np.testing.assert_allclose(moved, np.broadcast_to(tensors, moved.shape), atol=ROUNDING)
        gram = np.einsum("muvw,nxvw->munx", tensors, tensors).reshape([len(tensors) * d.shape[1]] * 2)
        np.testing.assert_allclose(gram, np.eye(len(gram)), atol=ROUNDING)


@pytest.mark.parametrize("name", ["D4", "D6", "D3", "D2", "Oh"])
def test_decomposition_is_complete_and_transforms_with_the_stored_matrices(name):
    """On the permutations of the sites around, with and without the sign of the determinant."""
    lattice = SITES[name]
    group = point_group(lattice)
    vectors = np.array([b.vector for b in lattice.neighbors(2.3)])
    permutation = np.array(
        [np.all(np.abs(vectors[:, None] - (vectors @ g.T)[None]) < 1e-6, axis=-1) for g in group.matrices]
    ).astype(float)
    for signs in (np.ones(group.order), np.round(np.linalg.det(group.matrices))):
        representation = signs[:, None, None] * permutation
        parts = group.decompose(representation)
        everything = np.concatenate([p.reshape(-1, len(vectors)) for p in parts.values()])
        assert everything.shape == (len(vectors), len(vectors))
        np.testing.assert_allclose(everything @ everything.T, np.eye(len(vectors)), atol=ROUNDING)
        for irrep, copies in parts.items():
            left = np.einsum("rub,gbc->gruc", copies, representation)
            right = np.einsum("guv,rvc->gruc", group.irreps[irrep], copies)
            np.testing.assert_allclose(left, right, atol=ROUNDING)


def test_decompose_refuses_what_is_no_representation():
    group = point_group(square(3))
    with pytest.raises(ValueError, match="not a representation of D4; give one matrix per element"):
        group.decompose(np.ones((8, 3, 3)))


def test_generators_close_to_the_group_whatever_they_are():
    turn = np.array([[0.0, -1.0], [1.0, 0.0]])
    flip = np.diag([1.0, -1.0])
    assert generate_group([turn, flip]) is generate_group([flip, turn @ flip])
    with pytest.raises(ValueError, match="give rotations by 2 pi / integer"):
        generate_group([np.array([[np.cos(1), -np.sin(1)], [np.sin(1), np.cos(1)]])])
    with pytest.raises(ValueError, match="must be orthogonal"):
        generate_group([2 * flip])
    with pytest.raises(ValueError, match="not real; use a subgroup"):
        generate_group([turn])


def test_labels_of_sublattices_do_not_lower_the_symmetry():
    """A square lattice written with two sites a cell is still square."""
    doubled = Lattice("doubled", ((1.0, 1.0), (1.0, -1.0)), ((0.0, 0.0), (1.0, 0.0)), (4, 4), (True, True))
    assert point_group(doubled, 1).name == "D4"
    stretched = Lattice("striped", ((2.0, 0.0), (0.0, 1.0)), ((0.0, 0.0), (1.0, 0.0)), (4, 4), (True, True))
    assert point_group(stretched) is point_group(square(3))


@pytest.mark.parametrize("lattice", [honeycomb(4), kagome(4)])
def test_sublattices_are_mapped_on_each_other(lattice):
    for start, end in itertools.product(range(lattice.sublattices), repeat=2):
        maps = site_maps(lattice, start, end)
        assert len(maps) == point_group(lattice).order
        here = np.array([b.vector for b in lattice.neighbors(3.0, start)])
        there = np.array([b.vector for b in lattice.neighbors(3.0, end)])
        for m in maps:
            distance = np.linalg.norm((here @ m.T)[:, None] - there, axis=-1).min(axis=1)
            np.testing.assert_allclose(distance, 0, atol=ROUNDING)


@pytest.mark.parametrize("name", SITES)
def test_site_images_compose_like_the_group_and_keep_distances(name):
    lattice = SITES[name]
    group = point_group(lattice)
    images = np.array([site_images(lattice, m).ravel() for m in group.matrices])
    for a, b in itertools.product(range(0, group.order, 3), range(group.order)):
        assert np.array_equal(images[a][images[b]], images[group.table[a, b]])
    for bond in lattice.neighbors(1.0):
        for image in images:
            start = np.array(lattice.cells) // 2
            cell = tuple((start + bond.offset) % lattice.cells)
            end = image[np.ravel_multi_index((*cell, bond.end), lattice.shape)]
            center = image[np.ravel_multi_index((*start, 0), lattice.shape)]
            assert center == np.ravel_multi_index((*start, 0), lattice.shape)
            *where, sublattice = np.unravel_index(end, lattice.shape)
            lengths = [
                b.length
                for b in lattice.neighbors(1.0)
                if b.end == sublattice and tuple((start + b.offset) % lattice.cells) == tuple(where)
            ]
            assert min(abs(x - bond.length) for x in lengths) < ROUNDING


def test_transform_moves_what_sits_on_a_site_to_its_image(key):
    lattice = triangular(6)
    spins = random_spins(lattice, key=key)
    matrix = point_group(lattice).matrices[3]
    moved = transform_sites(lattice, spins, matrix, center=(1, 2))
    images = site_images(lattice, matrix, center=(1, 2)).ravel()
    assert jnp.array_equal(moved.reshape(-1, 3)[images], spins.reshape(-1, 3))
    assert jnp.array_equal(moved[1, 2], spins[1, 2])
    assert jax.jit(lambda s: transform_sites(lattice, s, matrix))(spins.astype(jnp.float32)).dtype == jnp.float32


def test_open_clusters_have_fewer_symmetries():
    half_turn, mirror = -np.eye(2), np.array([[0.0, 1.0], [1.0, 0.0]])
    assert site_images(square(5, periodic=False), half_turn)[0, 0, 0] == 24
    with pytest.raises(ValueError, match="odd ones along open axes"):
        site_images(square(4, periodic=False), half_turn)
    with pytest.raises(ValueError, match="equal numbers of cells"):
        site_images(square(4, 6), mirror)
    with pytest.raises(ValueError, match="equal numbers of cells"):
        site_images(square(5, 5, periodic=(True, False)), mirror)
