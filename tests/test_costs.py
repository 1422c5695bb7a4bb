"""What `js.cost` tells beforehand: operations that are known, steps, memory, and what it refuses."""

import json

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin as js
from jaxspin.costs import Cost
from jaxspin.costs.counting import counted
from jaxspin.costs.record import duration
from jaxspin.costs.traffic import traffic
from jaxspin.devices import memory

LATTICE = js.square(4)
SHAPE = jax.ShapeDtypeStruct((*LATTICE.shape, 3), jnp.float64)
FIELD = js.Exchange(LATTICE, 1.0)
SPINS = js.textures.neel(LATTICE)
FAR = 100_000


def count(function, *arguments, **options):
    return counted(jax.make_jaxpr(function)(*arguments), "cpu", **options)


def test_operations_of_a_product_in_a_loop_and_of_lapack():
    n, turns = 32, 7
    x = jax.ShapeDtypeStruct((n, n), jnp.float32)
    found = js.cost(lambda x: jax.lax.scan(lambda c, _: (c @ x, None), x, None, length=turns)[0], x)
    assert found.flops == turns * 2 * n**3
    assert found.uncounted == ()
    # each turn reads two matrices and writes one, and the compiler may copy them
    assert 3 * turns * 4 * n**2 <= found.bytes <= 2 * 3 * (turns + 2) * 4 * n**2
    assert 2 * 4 * n**2 <= found.memory <= 6 * 4 * n**2
    assert not found.measured
    assert found.fits

    hermitian = jax.ShapeDtypeStruct((n, n), jnp.complex64)
    found = count(jnp.linalg.eigh, hermitian)
    assert found.decompositions == 4 * 9 * n**3
    assert found.workspace >= 2 * 8 * n**2  # ?heevd asks for twice the matrix
    many = jax.ShapeDtypeStruct((5, n, n), jnp.complex64)
    assert count(jnp.linalg.eigh, many).decompositions == 5 * found.decompositions
    assert count(jnp.linalg.eigh, many).workspace == found.workspace
    solved = count(jnp.linalg.solve, x, x).decompositions
    assert solved == pytest.approx(2 / 3 * n**3 + 2 * n**3, rel=0.01)
    assert count(jnp.linalg.cholesky, x).decompositions == pytest.approx(n**3 / 3)
    assert count(lambda x: jnp.fft.fft(x), hermitian).others == 5 * n * n * 5


def test_what_cannot_be_counted_is_said():
    x = jax.ShapeDtypeStruct((8, 8), jnp.float32)

    def until_small(x):
        return jax.lax.while_loop(lambda c: jnp.sum(c) > 1, lambda c: c @ c, x)

    found = count(until_small, x)
    assert found.products == 2 * 8**3
    assert found.uncounted == {"iterations of loops whose number is not known are counted once"}
    assert "at least" in str(js.cost(until_small, x))
    assert count(jnp.linalg.svd, x).uncounted == {"the operations of svd are not counted"}

    def host(x):
        return jax.pure_callback(lambda a: a, x, x)

    assert count(host, x).uncounted == {"the operations of pure_callback are not counted"}


def test_a_named_loop_is_taken_out():
    x = jax.ShapeDtypeStruct((8, 8), jnp.float32)

    def function(x):
        with jax.named_scope("the_loop"):
            y = jax.lax.while_loop(lambda c: jnp.sum(c) > 1, lambda c: c @ c, x)
        return jax.lax.scan(lambda c, _: (c @ x, None), y, None, length=3)[0]

    found = count(function, x, loop="the_loop")
    assert (found.products, found.inside.products, found.uncounted) == (3 * 2 * 8**3, 2 * 8**3, set())
    text = jax.jit(function).lower(x).compile().as_text()
    known, all_of_it = traffic(text, "the_loop"), traffic(text)
    assert known.whole
    assert not all_of_it.whole
    assert known.inside.bytes + known.bytes == pytest.approx(all_of_it.bytes)
    with pytest.raises(ValueError, match=r"no program of XLA; .*compiled\.as_text"):
        traffic("nothing")


def test_bytes_without_loops_are_those_of_xla():
    n = 64

    def function(x, y, table):
        return (jnp.sin(x @ y) + jnp.cos(x))[table].sum(axis=0)

    matrix = jax.ShapeDtypeStruct((n, n), jnp.float32)
    compiled = jax.jit(function).lower(matrix, matrix, jax.ShapeDtypeStruct((4,), jnp.int32)).compile()
    costs = compiled.cost_analysis()
    costs = costs[0] if isinstance(costs, list) else costs
    assert traffic(compiled.as_text()).bytes == pytest.approx(costs["bytes accessed"], rel=0.2)


def test_what_is_written_in_place_counts_as_far_as_it_is_touched():
    n, turns = 256, 20
    x = jax.ShapeDtypeStruct((turns, n), jnp.float32)
    rows = jax.jit(lambda x: jax.lax.scan(lambda c, row: (c, 2 * row), 0.0, x)[1]).lower(x).compile()
    moved = traffic(rows.as_text())
    assert moved.whole
    # every row is read and written once, the whole array perhaps copied once or twice
    assert 2 * turns * n * 4 <= moved.bytes < 8 * turns * n * 4


def test_exact_electrons():
    """J = 2 on N sites: a complex matrix of 2N rows, its states, and rho = U f U+."""
    lattice = js.square(6)
    solver = js.ExactDiagonalization(js.SDModel(lattice, coupling=2.0), chemical_potential=-1.0, temperature=0.1)
    n = 2 * lattice.sites
    found = js.cost(solver)
    assert found.flops == pytest.approx(36 * n**3 + 8 * n**3, rel=0.05)
    one = n * n * jnp.dtype(jnp.result_type(float, jnp.complex64)).itemsize
    # without its optimizations, as in tests, XLA keeps more
    assert 4 * one < found.memory < 12 * one
    assert found.measured is False
    assert found.seconds > 0
    assert found.what == "ExactDiagonalization.field on square 6 x 6"
    timed = js.cost(solver, js.textures.neel(lattice))
    assert timed.measured
    assert (timed.flops, timed.steps, timed.total) == (found.flops, None, timed.compile + timed.seconds)


def test_exact_electrons_beyond_the_memory_are_refused_where_they_would_run(monkeypatch):
    with pytest.warns(UserWarning, match="GB of memory in single precision"):
        solver = js.ExactDiagonalization(js.SDModel(js.chain(FAR)), filling=0.5, temperature=0.1)
    with pytest.raises(MemoryError, match=r"of 100000 sites takes about .* GB .* there are .* use KernelPolynomial"):
        jax.eval_shape(solver.field, jax.ShapeDtypeStruct((FAR, 1, 3), jnp.float32))
    small = js.ExactDiagonalization(js.SDModel(LATTICE), chemical_potential=0.0, temperature=0.1)
    monkeypatch.setattr(memory, "memory_of", lambda spins: 1000)
    with pytest.raises(MemoryError, match="ExactDiagonalization of 16 sites"):
        small.field(SPINS)
    found = js.cost(small, SHAPE)
    assert found.memory > 1000
    with pytest.raises(MemoryError, match="ExactDiagonalization of 16 sites"):
        small.field(SPINS)  # asking leaves no trace


def test_a_run_is_planned_and_not_run():
    """Steps and frames are those of the run; with the same arguments it compiles nothing."""
    settings = {"duration": 3.0, "step": 0.11, "save_every": 0.5, "damping": 0.1}
    found = js.cost(js.simulate, FIELD, SPINS, **settings)
    run = js.simulate(FIELD, SPINS, **settings)
    assert (found.steps, found.frames) == (int(run.steps), len(run.times))
    assert found.measured
    assert found.total == pytest.approx(found.compile + found.frame_seconds + found.steps * found.seconds)
    assert found.flops > js.cost(FIELD, SHAPE).flops  # two fields a step, and the rotation
    # more frames take more memory, and nothing else
    more = js.cost(js.simulate, FIELD, SHAPE, **settings | {"duration": 30.0, "save_every": 0.11})
    assert (more.steps, more.frames, more.flops, more.measured) == (273, 274, found.flops, False)
    frames = (more.frames - found.frames) * np.prod(SHAPE.shape) * 8
    assert more.memory - found.memory == pytest.approx(frames, rel=0.2)
    words = str(found).splitlines()
    assert words[0] == "simulate with Exchange and DepondtMertens"
    assert [line[:16].strip() for line in words[1:]] == [
        "operations",
        "bytes moved",
        "peak memory",
        "compile",
        "time",
        "steps, frames",
        "whole run",
    ]


def test_a_run_that_chooses_its_steps_and_stores_an_observable():
    found = js.cost(js.simulate, FIELD, SPINS, duration=1.0, step="adaptive", save=lambda t, s: s[0])
    assert (found.steps, found.frames, found.total, found.measured) == (None, 101, None, False)
    assert found.flops > 0
    assert "chosen on the way" in str(found)
    assert "whole run     not known" in str(found)


def test_nothing_is_allocated_for_shapes():
    lattice = js.square(40_000)
    found = js.cost(js.Exchange(lattice, 1.0).field, jax.ShapeDtypeStruct((*lattice.shape, 3), jnp.float32))
    assert found.memory > 2 * lattice.sites * 12
    assert found.fits is (found.memory <= found.available)


def test_any_function_with_its_arguments():
    found = js.cost(jax.grad(lambda x, power: jnp.sum(x**power)), np.ones(100), 3)
    assert found.measured
    assert 100 <= found.flops <= 1000
    assert js.cost(FIELD.energy, SPINS).flops > 0
    again = js.cost(FIELD, spins=SPINS, t=0.0)
    assert again.flops == js.cost(FIELD, SPINS).flops
    assert eqx.tree_equal(FIELD, js.Exchange(LATTICE, 1.0))


@pytest.mark.parametrize(
    ("arguments", "keywords", "words"),
    [
        ((3,), {}, "3 is no field, function or js.simulate; give one"),
        ((js.Zeeman((0.0, 0.0, 1.0)),), {}, r"Zeeman fits any lattice; give spins, or their shape, .*ShapeDtypeStruct"),
        ((js.relax, FIELD, SPINS), {}, r"not known beforehand; ask for the field, js\.cost\(field, spins\)"),
        ((lambda x: float(x[0]), np.ones(2)), {}, "needs the numbers in its arguments.* a function that jax.jit takes"),
        ((js.simulate, FIELD, SHAPE), {"duration": 1.0}, "no step follows; give step="),
        ((js.simulate, FIELD, SPINS), {"duration": 1.0, "step": 0.1, "store": "x"}, "ask without store= and resume="),
        ((js.simulate, FIELD, SPINS), {"duration": -1.0, "step": 0.1}, "duration = -1.0 must be positive"),
        ((FIELD, jnp.ones((3, 3, 1, 3))), {}, r"do not fit the square lattice"),
    ],
)
def test_what_has_no_cost_is_refused(arguments, keywords, words):
    with pytest.raises(ValueError, match=words):
        js.cost(*arguments, **keywords)


def test_numbers_are_plain_and_written_in_units_that_fit():
    found = js.cost(FIELD)
    for value in (found.flops, found.bytes, found.memory, found.available, found.compile, found.seconds):
        json.dumps(value)
    assert [duration(x) for x in (2e-5, 0.012, 3.0, 150.0, 7200.0, 2e5)] == [
        "20 us",
        "12 ms",
        "3 s",
        "2.5 min",
        "2 h",
        "2.31 days",
    ]
    unknown = Cost("x", None, None, None, 10**9, 1.0, None, False)
    assert (unknown.fits, unknown.total) == (None, None)
    assert str(unknown).count("not known") == 4
    large = Cost("x", 1e12, 2e9, 2 * 10**9, 10**9, 1.0, 60.0, False, ("loops",))
    assert "2 GB of 1 GB: DOES NOT FIT" in repr(large)
    assert "at least 1 Tflop (loops)" in repr(large)
