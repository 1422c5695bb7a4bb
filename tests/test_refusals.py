"""What has no meaning is refused at once, with what to give instead: nothing goes on in silence with it."""

import functools

import diffrax
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

import jaxspin as js
from jaxspin import observables as o
from jaxspin.training import LossScales, RolloutData

LATTICE = js.square(4)
OPEN = js.chain(6, periodic=False)
KEY = jax.random.key(0)
SPINS = js.random_spins(LATTICE, key=KEY)
FIELD = js.Exchange(LATTICE, 1.0)
NAN, INF = float("nan"), float("inf")
BAND = js.ExactDiagonalization(js.SDModel(LATTICE, coupling=2.0), filling=0.25, temperature=0.1)
ENERGIES = jnp.linspace(-1.0, 1.0, 3)
ROLLOUT = {"frames": 2, "interval": 0.2, "step": 0.1, "damping": 0.1}
FINITE = "inf or nan; give finite"


def refused(function, *arguments, match, **keywords):
    """A case, named by the function and what is said."""
    name = getattr(function, "__qualname__", type(function).__name__)
    return pytest.param(functools.partial(function, *arguments, **keywords), match, id=f"{name}: {match}")


CASES = [
    # terms and torques
    refused(js.Exchange, LATTICE, NAN, match=FINITE),
    refused(js.Exchange, LATTICE, (1.0, INF), match=FINITE),
    refused(js.DzyaloshinskiiMoriya, LATTICE, NAN, match=FINITE),
    refused(js.Anisotropy, NAN, match=FINITE),
    refused(js.Anisotropy, 1.0, (0.0, INF, 0.0), match=FINITE),
    refused(js.Exchange, LATTICE, pairs=[(0, 0, (1, 0), INF)], match=FINITE),
    refused(js.classical.CubicAnisotropy, NAN, match=FINITE),
    refused(js.classical.CubicAnisotropy, 1.0, axes=np.full((3, 3), NAN), match=FINITE),
    refused(js.classical.UniaxialAnisotropy, 1.0, sixth=NAN, match=FINITE),
    refused(js.classical.DipoleDipole, LATTICE, NAN, match=FINITE),
    refused(js.classical.DipoleDipole, LATTICE, 1.0, INF, match=FINITE),
    refused(js.classical.DipoleDipole, js.cubic(2), 1.0, demagnetization=NAN, match=FINITE),
    refused(js.Zeeman, (0.0, NAN, 1.0), match=FINITE),
    refused(js.Zeeman, (0.0, 0.0, 1.0), moment=NAN, match=FINITE),
    refused(js.torques.SpinTransferTorque, LATTICE, (NAN, 0.0), match=FINITE),
    refused(js.torques.SpinTransferTorque, LATTICE, (1.0, 0.0), [0.1, 0.2], match="not one number; give one"),
    refused(js.torques.SpinOrbitTorque, (0.0, 1.0, 0.0), INF, match=FINITE),
    refused(js.torques.directional_derivative, LATTICE, SPINS, [1.0], match=r"does not fit.*give \(2,\)"),
    refused(js.classical.Constant, NAN, match="value = nan is not finite; give a number"),
    refused(js.classical.GaussianPulse, center=0.0, width=0.0, match="must be positive; give its standard"),
    refused(js.classical.GaussianPulse, center=INF, width=1.0, match="center = inf is not finite"),
    refused(js.classical.PiecewiseLinear, [1.0], 2.0, match="no row of two numbers or more; give one"),
    refused(js.classical.PiecewiseLinear, [1.0, 2.0], 0.0, match="must be positive; give the time from"),
    refused(js.classical.PiecewiseLinear, [1.0, NAN], 2.0, match="values holds inf or nan; give finite"),
    refused(js.classical.Sinusoid, NAN, match="frequency = nan is not finite"),
    # spins
    refused(js.spins.rotation_matrix, [0.0, 0.0, 0.0], 1.0, match="no rotation; give three finite numbers"),
    refused(js.spins.rotation_matrix, [0.0, NAN, 1.0], 1.0, match="no rotation; give three"),
    refused(js.spins.rotation_matrix, [0.0, 0.0, 1.0], jnp.ones(3), match="one angle in radians"),
    refused(js.spins.rotate, SPINS, 2 * np.eye(3), match="is no rotation; make one with"),
    refused(js.spins.rotate, SPINS, np.eye(2), match="is no rotation; make one with"),
    refused(js.spins.retract, SPINS, jnp.ones(3), match="do not fit spins.*give one vector a spin"),
    refused(js.spins.tangent, SPINS, jnp.ones((4, 4, 3)), match="do not fit spins.*give one vector a spin"),
    refused(js.spins.torque, SPINS, jnp.ones((4, 4, 3)), match="fields of shape.*give one vector a spin"),
    refused(js.spins.dilute, SPINS, jnp.ones((4, 4), bool), match="give a mask of the lattice's shape"),
    refused(js.spins.takes_spins, lambda angle: angle, match="has no argument 'spins'; name the one"),
    # lattices, symmetry, textures
    refused(LATTICE.neighbors, NAN, match="give a finite length"),
    refused(LATTICE.neighbors, -1.0, match="give a finite length"),
    refused(LATTICE.neighbors, 1.0, 1, match="no sublattice 1; count from 0"),
    refused(LATTICE.shell, 1.5, match="give a positive integer"),
    refused(js.Lattice, "x", [[1.0]], [[0.0], [NAN]], [4], [True], match="is not what a Lattice takes"),
    refused(js.symmetry.generate_group, [], match="give rotations or reflections"),
    refused(js.symmetry.site_images, LATTICE, np.eye(3), match=r"does not act on.*give \(2, 2\)"),
    refused(js.symmetry.site_images, LATTICE, np.eye(2), sublattice=1, match="a sublattice from 0 to 0"),
    refused(js.symmetry.site_images, LATTICE, np.eye(2), [1], match="is no cell.*give 2 integers"),
    refused(js.symmetry.transform_sites, LATTICE, jnp.ones(16), np.eye(2), match="give one entry a site"),
    refused(js.textures.ferromagnet, LATTICE, (0.0, 0.0, INF), match="give three finite components"),
    refused(js.textures.ferromagnet, LATTICE, dtype=int, match="give a float"),
    refused(js.textures.spiral, LATTICE, [0.0, NAN], match="all finite"),
    refused(js.textures.spiral, LATTICE, [0.0, 0.0], phase=NAN, match="all finite"),
    refused(js.textures.skyrmion, LATTICE, 1.0, center=[1.0], match="give two Cartesian components"),
    refused(js.textures.skyrmion, LATTICE, 1.0, helicity=NAN, match=FINITE),
    refused(js.textures.skyrmion, LATTICE, 1.0, winding=1.5, match="makes no skyrmion; use 1"),
    refused(js.textures.domain_wall, OPEN, NAN, match=FINITE),
    # observables
    refused(o.magnetization, SPINS, jnp.ones(4), match=r"moment of shape \(4,\).*give one number"),
    refused(o.magnetization, SPINS, NAN, match=FINITE),
    refused(o.domain_length, LATTICE, jnp.full((4, 4), 1j), match="pass its .real"),
    refused(o.fit_growth, np.arange(9.0), np.ones((2, 8)), (1, 9), match=r"give \(n,\) times"),
    refused(o.correlation_of_holes, LATTICE, SPINS, jnp.ones((4, 4)), match="give one number a site"),
    refused(o.wall_position, OPEN, js.textures.ferromagnet(OPEN), direction=(0, 0, 0), match="is none; give three"),
    refused(o.wall_velocity, np.arange(4.0), jnp.ones(1), match="give one a frame"),
    refused(o.structure_factor_at, LATTICE, SPINS, jnp.ones(3), match="has not the 2 components.*give"),
    refused(o.field_jacobian, FIELD, SPINS, batch=0, match="give 1 or more"),
    refused(o.dynamical_structure_factor, LATTICE, jnp.stack([SPINS] * 4), 0.0, match="a positive time.*give that"),
    refused(o.density_of_states, BAND, SPINS, 0.5, resolution=0.1, match="are no row; give one"),
    refused(o.density_of_states, BAND, SPINS, ENERGIES, resolution=INF, match="must be a positive energy"),
    refused(
        o.local_density_of_states, BAND, SPINS, ENERGIES, [[0, 4, 0]], resolution=0.1, match="outside of the lattice"
    ),
    refused(
        o.local_density_of_states, BAND, SPINS, ENERGIES, [[0.5, 1, 0]], resolution=0.1, match="must be integer indices"
    ),
    refused(o.conductivity, BAND, SPINS, broadening=0.1, points=0, match="give one number, 1 or more"),
    refused(o.conductivity, BAND, SPINS, broadening=0.1, frequency=NAN, match="must be a finite energy"),
    refused(o.effective_exchange, LATTICE, jnp.ones((3, 3)), SPINS, match="give tangent_hessian"),
    refused(o.spin_waves, FIELD, js.textures.ferromagnet(LATTICE), moment=jnp.ones(4), match="give one number"),
    refused(o.texture_center, LATTICE, jnp.full((4, 4), 1j), match="pass its .real"),
    # dynamics
    refused(js.suggest_timestep, FIELD, SPINS, tolerance=0.0, match="must be positive; 0.01"),
    refused(js.suggest_timestep, FIELD, SPINS, damping=-0.1, match="not negative; pass zero or more"),
    refused(js.suggest_timestep, FIELD, SPINS, temperature=-1.0, match="pass zero or more"),
    refused(js.suggest_timestep, FIELD, SPINS, moment=jnp.ones(4), match="give one number, or one per site"),
    refused(js.dynamics.Relaxed, NAN, match="give a positive one"),
    refused(js.dynamics.Leaves, jnp.sum, low=1.0, high=1.0, match="give low < high"),
    refused(js.dynamics.Leaves, jnp.sum, low=NAN, match="give low < high"),
    refused(js.dynamics.ImplicitMidpoint, tolerance=0.0, match="or leave them out"),
    refused(js.dynamics.SphericalMidpoint, iterations=0, match="or leave them out"),
    refused(js.dynamics.LLG, FIELD, -0.1, match="pass zero or more"),
    refused(js.dynamics.LLG, FIELD, 0.1, moment=0.0, match="make the spin zero, not its moment"),
    refused(js.dynamics.StepNoise, jnp.ones((4, 2)), key=KEY, match=r"give an array of shape \(..., 3\)"),
    # problems
    refused(js.problems.DampedLarmor, height=1.0, match="give one between -1 and 1"),
    refused(js.problems.DampedLarmor, damping=-0.1, match="give one that is zero or more, such as 0.1"),
    refused(js.problems.Dimer, first=(0.0, 0.0, 0.0), match="is no direction; give three"),
    refused(js.problems.SpinWave, amplitude=1.5, match="give one between -1 and 1"),
    refused(js.problems.SpinWave, sites=1, match="is too few for SpinWave; give 2"),
    refused(js.problems.WallAtRest, easy=0.0, match="WallAtRest has no answer for easy = 0.0; .* such as 0.02"),
    refused(js.problems.DrivenWall, hard=-1.0, match="zero or more, such as 0.016"),
    refused(js.problems.DrivenWall, applied=NAN, match="give one that is finite, such as 0"),
    refused(js.problems.IsolatedSkyrmion, chirality=0.0, match="positive, such as 0.5"),
    refused(js.problems.IsolatedSkyrmion().continuum, 2, match="give 600"),
    refused(js.problems.SpinWaves, js.chain(4), NAN, match="give one that is finite"),
    # training
    refused(js.sample, FIELD, SPINS[None][:0], match="give at least one of each"),
    refused(js.sample, FIELD, SPINS[None], batch=0, match="give at least one of each"),
    refused(js.SpinData, LATTICE, SPINS[None].astype(complex), SPINS[None], match="pass its .real"),
    refused(js.training.random_configurations, LATTICE, 0, key=KEY, match="give 1 or more"),
    refused(js.training.perturbed_configurations, SPINS, [0.1, -0.1], key=KEY, match="zero or more; give"),
    refused(js.training.perturbed_configurations, SPINS, 0.1, key=KEY, match="are no row of numbers"),
    refused(js.training.predict, FIELD, SPINS[None][:0], match="give at least one"),
    refused(LossScales, jnp.asarray(0.0), jnp.asarray(1.0), match=r"take LossScales\.of\(data\)"),
    refused(LossScales, jnp.asarray(1.0), jnp.asarray(1.0), 2.0, match="balance must be between 0 and 1"),
    refused(RolloutData.sample, FIELD, SPINS[None], **(ROLLOUT | {"frames": 0}), match="are no run; give 1 or more"),
    refused(
        RolloutData, LATTICE, SPINS[None, None].repeat(2, 1), interval=1.0, step=0.5, damping=NAN, match="give that of"
    ),
    refused(
        *(RolloutData, LATTICE, SPINS[None, None].repeat(2, 1)),
        **{"interval": 1.0, "step": 0.5, "damping": 0.1, "temperature": -1.0},
        match="temperature = -1.0 is negative",
    ),
    refused(
        RolloutData, LATTICE, SPINS[None, None].repeat(2, 1), interval=NAN, step=0.5, damping=0.1, match="choose one"
    ),
    # files, figures, meshes, networks, assertions
    refused(js.io.save_ovf, "x.ovf", SPINS, LATTICE, title="a\nb", match="leave the line breaks out"),
    refused(js.io.save_vtk, "x.vtk", SPINS, LATTICE, title="a\nb", match="leave the line breaks out"),
    refused(js.plotting.plot_training, {"step": [1, 2], "loss": [1.0]}, match="give one entry an evaluation"),
    refused(js.plotting.plot_time_series, [0.0, 1.0], {"a": [1.0]}, match="give one number a frame"),
    refused(js.devices.sharding, js.devices.mesh(LATTICE, 1), before=-1, match="give 0 for spins"),
    refused(js.forcefield.MultilayerPerceptron, 0, (4,), key=KEY, match="give 1 or more of each"),
    refused(js.forcefield.MultilayerPerceptron, 3, (0,), key=KEY, match="give 1 or more of each"),
    refused(js.testing.assert_field_is_gradient, FIELD, SPINS, key=KEY, directions=0, match="test nothing; give 3"),
    refused(js.testing.assert_field_is_gradient, FIELD, SPINS, key=KEY, step=0.0, match="test nothing; give 3"),
]


@pytest.fixture(autouse=True)
def as_users_have_it():
    """Without the checks of annotations, which only the tests have and which would speak first."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.parametrize(("call", "match"), CASES)
def test_what_has_no_meaning_is_refused(call, match):
    with pytest.raises(ValueError, match=match):
        call()


def test_losses_refuse_units_and_weights_that_are_none():
    data = js.sample(FIELD, SPINS[None])
    scales = LossScales.of(data)
    pieces = RolloutData.sample(FIELD, SPINS[None], **ROLLOUT)
    with pytest.raises(ValueError, match="energy_weight must not be negative"):
        js.training.loss(FIELD, data, scales, -1.0)
    with pytest.raises(ValueError, match="energy_weight must not be negative"):
        js.training.loss_and_slope(lambda j: js.Exchange(LATTICE, j), jnp.asarray(1.0), data, scales, NAN)
    with pytest.raises(ValueError, match=r"give the rms of data\.motion"):
        js.training.rollout_loss(FIELD, pieces, jnp.asarray(0.0))
    with pytest.raises(ValueError, match="observable_weight must not be negative"):
        js.training.rollout_loss(FIELD, pieces, jnp.asarray(1.0), observable_weight=-1.0)
    with pytest.raises(ValueError, match="fraction must be between 0 and 1"):
        pieces.split(1.5, key=KEY)
    with pytest.raises(ValueError, match="a stride of 1 or more"):
        RolloutData.of([js.simulate(FIELD, SPINS, duration=1.0, step=0.1)], 1, stride=0)


def test_values_known_only_inside_a_program_pass():
    """Checks look at numbers, and traced ones have none yet."""

    @jax.jit
    def energy(coupling, width, radius, axis):
        pulse = js.classical.GaussianPulse(center=0.0, width=width)
        field = js.Exchange(LATTICE, coupling) + js.classical.ZeemanPulse((0.0, 0.0, 1.0), pulse)
        texture = js.textures.skyrmion(js.square(8), radius, center=radius * jnp.ones(2))
        turned = js.spins.rotate(SPINS, js.spins.rotation_matrix(axis, radius))
        relaxed = js.dynamics.Relaxed(width, field)(0.0, SPINS)
        return jnp.where(relaxed, 0.0, field.energy(turned) + jnp.sum(texture))

    assert jnp.isfinite(energy(1.0, 2.0, 1.5, jnp.array([0.0, 0.0, 1.0])))


def test_an_assertion_fails_for_nan():
    """The largest difference is not a number, and so is no small one."""

    class Broken(js.AbstractPotential):
        def energy(self, spins, t=0.0, *, key=None):
            return jnp.sum(spins) * jnp.nan

    with pytest.raises(AssertionError, match="not invariant under a global spin rotation; largest difference nan"):
        js.testing.assert_invariant(Broken().energy, LATTICE, key=KEY)
    with pytest.raises(AssertionError, match="largest difference nan"):
        js.testing.assert_field_is_gradient(Broken(), SPINS, key=KEY)
    with pytest.raises(AssertionError, match=r"not hermitian.*nan"):
        js.testing.assert_hermitian(lambda x: x * jnp.nan, jnp.ones(3), key=KEY)


class Quadratic(js.AbstractPotential):
    def energy(self, spins, t=0.0, *, key=None):
        return 10 * jnp.sum(spins[..., 2] ** 2)


def test_in_single_precision_the_assertion_says_what_to_give():
    """A correct term fails there with the step and the tolerance of double precision."""
    single = SPINS.astype(jnp.float32)
    remedy = r"Spins in float32 round the energy.* double precision .*, or atol=1e-2 and step=1e-2$"
    with pytest.raises(AssertionError, match=remedy):
        js.testing.assert_field_is_gradient(Quadratic(), single, key=KEY)
    js.testing.assert_field_is_gradient(Quadratic(), single, key=KEY, atol=1e-2, step=1e-2)
    with pytest.raises(AssertionError, match=r"allowed 1e-12$"):
        js.testing.assert_field_is_gradient(Quadratic(), SPINS.astype(float), key=KEY, atol=1e-12)


def test_a_vacancy_has_no_effective_exchange():
    """0/0 otherwise."""
    up = js.textures.ferromagnet(js.chain(4))
    hessian = o.tangent_hessian(js.Exchange(js.chain(4), 1.5), up)
    found = o.effective_exchange(js.chain(4), hessian, js.spins.dilute(up, jnp.arange(4)[:, None] != 2))
    np.testing.assert_allclose(found[0, 1], 1.5, atol=1e-6)
    np.testing.assert_array_equal(found[2], 0)


def test_lists_serve_where_arrays_do():
    sites = [[0, 0, 0], [1, 2, 0]]
    found = o.local_density_of_states(BAND, SPINS, [0.0, 1.0], sites, resolution=0.3)
    expected = o.local_density_of_states(BAND, SPINS, jnp.array([0.0, 1.0]), np.array(sites), resolution=0.3)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(js.spins.rotate([[0, 0, 1]], [[1, 0, 0], [0, 1, 0], [0, 0, 1]]), [[0, 0, 1]])


def test_solvers_of_others_still_take_the_equation():
    """The equation checks its numbers once, and not those of a program."""
    equation = js.dynamics.LLG(FIELD, 0.1)
    run = diffrax.diffeqsolve(equation, js.dynamics.DepondtMertens(), 0.0, 0.2, 0.1, SPINS)
    assert jnp.all(jnp.isfinite(run.ys))
