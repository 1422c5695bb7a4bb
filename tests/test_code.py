"""A function is told from another by what it does: resumed sweeps notice that it has changed."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxspin.io.code import fingerprint
from jaxspin.sweeps import Stepwise, grid, load_sweep
from tests.sweeps import run

ONE_POINT = grid(scale=[1.0])


def compiled(source: str, **names):
    """The function `f` of some source, as a module read anew has it."""
    held = {"__name__": __name__, "jnp": jnp, **names}
    exec(compile(source, "elsewhere.py", "exec"), held)
    return held["f"]


BASE = """
def g(x):
    return 2 * x
limit = 3
def f(scale, power=2):
    'Something.'
    return {'x': limit * g(scale) ** power}
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("** power", "** (power + 1)"),
        ("power=2", "power=3"),
        ("2 * x", "2 + x"),  # what it calls
        ("limit = 3", "limit = 4"),  # what it finds outside
        ("{'x'", "{'y'"),
        ("g(scale)", "jnp.sin(scale)"),
    ],
)
def test_a_changed_function_has_another_fingerprint(old, new):
    assert old in BASE
    assert fingerprint(compiled(BASE)) != fingerprint(compiled(BASE.replace(old, new)))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("def f", "\n\n# why\ndef f"),
        ("Something.", "Says what it does."),
        ("limit = 3", "limit = 3\nunused = 4"),
        ("x):", "x) :"),
    ],
)
def test_what_does_not_change_it_does_not_count(old, new):
    assert fingerprint(compiled(BASE)) == fingerprint(compiled(BASE.replace(old, new)))


def test_what_a_function_holds_counts_by_its_values():
    def holding(value):
        return lambda scale: {"x": scale * value}

    same = [2.0, np.arange(3), [1, {"a": {2, 3}}], holding(1), functools.partial(max, 1), ONE_POINT]
    for value in same:
        assert fingerprint(holding(value)) == fingerprint(holding(value))
    assert len({fingerprint(holding(value)) for value in same}) == len(same)
    assert fingerprint(holding(np.arange(3))) != fingerprint(holding(np.arange(3) + 1e-9))
    assert (
        fingerprint(jax.jit(holding(1.0))) == fingerprint(jax.jit(holding(1.0))) != fingerprint(jax.jit(holding(2.0)))
    )
    assert fingerprint(jax.random.key(1)) == fingerprint(jax.random.key(1)) != fingerprint(jax.random.key(2))

    def recursive(n):
        return recursive(n - 1) if n else 0

    assert fingerprint(recursive)


def stepping(factor):
    return Stepwise(
        start=lambda scale: {"x": scale, "k": jnp.zeros((), int)},
        advance=lambda s: {"x": factor * s["x"], "k": s["k"] + 1},
        done=lambda s: s["k"] >= 1,
        result=lambda s: {"x": s["x"]},
        limit=9,
    )


def test_a_sweep_is_not_resumed_with_another_function(tmp_path):
    def make(factor):
        return lambda scale: {"x": factor * scale}

    for number, kind in enumerate((make, stepping)):
        path = tmp_path / f"{number}.zarr"
        assert run(kind(2.0), ONE_POINT, path).x.values == [2]
        assert run(kind(2.0), ONE_POINT, path, resume=True).x.values == [2]
        with pytest.raises(ValueError, match="its code has changed; resume with the function as it was, choose"):
            run(kind(3.0), ONE_POINT, path, resume=True)
        assert run(kind(3.0), ONE_POINT, path, overwrite=True).x.values == [3]


def test_another_python_is_told_and_older_stores_are_resumed(tmp_path, monkeypatch):
    path = tmp_path / "s.zarr"
    run(lambda scale: {"x": scale}, ONE_POINT, path)
    monkeypatch.setattr("jaxspin.io.code._python", lambda: "4.0")
    with pytest.warns(
        UserWarning, match=r"was begun by Python 3\.\d+, this is 4\.0, .*; resume with the former to be sure"
    ):
        run(lambda scale: {"x": 2 * scale}, ONE_POINT, path, resume=True)
    assert "4.0" not in load_sweep(path).attrs["sweep"]


def test_a_config_that_holds_a_function_is_resumed_by_its_code(tmp_path):
    import dataclasses

    @dataclasses.dataclass(frozen=True)
    class Config:
        scale: float = 1.0
        rule: object = None

    def doubled(config):
        return {"x": config.rule(config.scale)}

    def ruled(factor):
        return Config(rule=lambda x: factor * x)

    run(doubled, ONE_POINT, tmp_path / "s.zarr", config=ruled(2.0))
    run(doubled, ONE_POINT, tmp_path / "s.zarr", config=ruled(2.0), resume=True)
    with pytest.raises(ValueError, match="belongs to a sweep with another config; give the same config"):
        run(doubled, ONE_POINT, tmp_path / "s.zarr", config=ruled(3.0), resume=True)


def test_points_that_are_one_number_on_the_device_are_refused(tmp_path):
    close = grid(scale=[1.0, 1.0 + 1e-9])
    with (
        jax.enable_x64(False),
        pytest.raises(ValueError, match="scale holds values that are one number in float32; set"),
    ):
        run(lambda scale: {"x": scale}, close, tmp_path / "s.zarr")
    assert len(run(lambda scale: {"x": scale}, close, tmp_path / "s.zarr").x) == 2
