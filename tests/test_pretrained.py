"""The force fields that come with the package: they load, say what they are, and know the physics they learnt."""

import re
import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin as js
from jaxspin.forcefield import pretrained_metadata, pretrained_names
from jaxspin.spins import tangent
from jaxspin.training import perturbed_configurations

# Textures of perfect order and what the force field was trained to put lowest.
LOWEST = {
    "triangular-tetrahedral": js.textures.tetrahedral,
    "triangular-tetrahedral-fast": js.textures.tetrahedral,
    "triangular-120": js.textures.one_hundred_twenty,
}
TEXTURES = (js.textures.ferromagnet, js.textures.one_hundred_twenty, js.textures.stripe, js.textures.tetrahedral)


def test_every_force_field_says_where_it_comes_from():
    assert set(LOWEST) < set(pretrained_names())
    for name in pretrained_names():
        about = pretrained_metadata(name)
        assert {"errors", "params", "commit", "config"} <= set(about)
        assert {"lattice", "coupling", "filling", "temperature"} <= set(about["params"])
        for errors in about["errors"].values():
            assert 0 < errors["torque"] < 1


@pytest.mark.parametrize("name", LOWEST)
def test_the_order_is_lowest(name):
    lattice = js.triangular(12)
    model = js.pretrained(name, lattice)
    energies = {texture: float(model.energy(texture(lattice))) for texture in TEXTURES}
    assert min(energies, key=lambda texture: energies[texture]) is LOWEST[name]


@pytest.mark.parametrize("name", LOWEST)
def test_torques_near_the_order_are_those_of_the_electrons(name):
    lattice = js.triangular(12)
    params = pretrained_metadata(name)["params"]
    solver = js.ExactDiagonalization(
        js.SDModel(lattice, params["hopping"], params["coupling"]),
        filling=params["filling"],
        temperature=params["temperature"],
    )
    (spins,) = perturbed_configurations(LOWEST[name](lattice), [0.1], key=jax.random.key(7))
    exact, learnt = (tangent(spins, f.field(spins)) for f in (solver, js.pretrained(name, lattice)))
    error = jnp.sqrt(jnp.mean((learnt - exact) ** 2) / jnp.mean(exact**2))
    assert float(error) < (0.1 if name.endswith("fast") else 0.05)


@pytest.mark.parametrize("name", LOWEST)
def test_what_they_learnt_from_is_familiar_and_a_spiral_is_not(name):
    lattice = js.triangular(12)
    model = js.pretrained(name, lattice)
    spiral = js.textures.spiral(lattice, tuple(lattice.reciprocal()[0] / 4))
    known, other = (
        perturbed_configurations(texture, [0.1], key=jax.random.key(7))[0]
        for texture in (LOWEST[name](lattice), spiral)
    )
    random = js.random_spins(lattice, key=jax.random.key(8))
    assert max(float(model.unfamiliar(spins)) for spins in (known, random)) < 0.03
    assert float(model.unfamiliar(other)) > 0.9
    about = pretrained_metadata(name)["familiarity"]
    assert about["configurations"] > 500
    assert "experiments.accuracy.familiarity" in about["command"]


def test_the_accurate_one_knows_the_order_of_the_metal_and_where_it_has_not_learnt():
    lattice = js.triangular(18)
    model = js.pretrained("triangular-tetrahedral-accurate", lattice)
    energies = {texture: float(model.energy(texture(lattice))) for texture in TEXTURES}
    assert min(energies, key=lambda texture: energies[texture]) is js.textures.tetrahedral
    random = js.random_spins(lattice, key=jax.random.key(8))
    spiral = js.textures.spiral(lattice, tuple(lattice.reciprocal()[0] / 6))
    assert float(model.unfamiliar(random)) < 0.03
    assert float(model.unfamiliar(perturbed_configurations(spiral, [0.1], key=jax.random.key(7))[0])) > 0.5


def test_weights_are_small():
    for name in pretrained_names():
        model = js.pretrained(name)
        assert sum(np.asarray(x).nbytes for x in jax.tree.leaves(model)) < 300_000


def test_an_unknown_name_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match="triangular-120"):
        js.pretrained("honeycomb")
    with pytest.raises(ValueError, match="use at least"):
        js.pretrained("triangular-120", js.triangular(3))
    with pytest.raises(TypeError, match=r"30 is no lattice; give one such as js.triangular\(12, 12\), of any size"):
        js.pretrained("triangular-120", 30)


def test_what_was_not_learnt_is_said_with_the_error_that_was_measured_there():
    with pytest.warns(
        UserWarning, match=r"periodic along axis 0, and this one is open: 35 % .* Use a periodic lattice"
    ):
        js.pretrained("triangular-120", js.triangular(12, periodic=(False, True)))
    with pytest.warns(UserWarning, match=r"channels 4 cells wide, and this one has 6: .* Use its width"):
        js.pretrained("driven-channel-fast", js.square(16, 6, periodic=(False, True)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        js.pretrained("driven-channel-fast", js.square(20, 4, periodic=(False, True)))
        js.pretrained("triangular-120", js.triangular(24))


def test_no_file_names_a_folder_of_the_machine_that_made_it():
    """Orbax writes where it committed, a command where it wrote: both are made relative before they are shipped."""
    folder = Path(js.__file__).parent / "forcefield" / "weights"
    texts = [path for path in folder.rglob("*") if path.name in ("commit_success.txt", "metadata", "_METADATA")]
    assert len(texts) > 3 * len(js.forcefield.pretrained_names())
    found = {str(path.relative_to(folder)): re.findall(r'[ "](/[\w.-]+/[^ "]*)', path.read_text()) for path in texts}
    assert {name: paths for name, paths in found.items() if paths} == {}
