"""The benchmark of an accelerator: it runs with little around it, counts right, and loses nothing."""

import functools
import json
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.benchmarks import accelerator_fields, programs
from experiments.benchmarks.accelerator_bench import Bench, Case
from experiments.benchmarks.accelerator_settings import NAMES, Config, smoke_size
from experiments.benchmarks.kinds import MAKERS, drawn, field_of, spins_on
from experiments.benchmarks.ledger import NO_TIME, Enough, Ledger, OutOfTime, Section
from experiments.benchmarks.programs import Ceilings, Growth, Program, Programs, measured
from experiments.benchmarks.timing import timed
from experiments.stages.options import documented, parsed
from experiments.stages.refusals import command_line
from jaxspin.costs import operations
from tests.test_imports import printed

SMOKE = """
import importlib.metadata, runpy, sys
installed = importlib.metadata.version

def version(name):
    if name == "jaxspin":  # a copy of the sources
        raise importlib.metadata.PackageNotFoundError(name)
    return installed(name)

importlib.metadata.version = version
sys.argv = ["accelerator", "--smoke", "--output", {output!r}]
runpy.run_module("experiments.benchmarks.accelerator", run_name="__main__")
"""


@pytest.mark.slow
def test_it_measures_everything_on_a_machine_with_little(tmp_path):
    """In a copy that is not installed, without stores, figures and a parser; every part is there, and right."""
    output = tmp_path / "new" / "out.json"
    told = printed(SMOKE.format(output=str(output)), missing=("matplotlib", "tyro", "zarr"))
    found = json.loads(output.read_text())
    assert {name.partition(":")[0] for name in found["sections"]} == set(NAMES)
    rows = {(s, p): row for s, held in found["sections"].items() for p, row in held["parts"].items()}
    assert [row for row in rows.values() if "error" in row or "left out" in row] == []
    assert all(row["agrees"] for (section, _), row in rows.items() if section == "agreement")
    for (section, _), row in rows.items():
        if section != "agreement":
            assert 0 < row["fastest"] <= row["median"] <= row["slowest"]
            assert row["compile"] > 0
    (field,) = found["sections"]["fields: exchange-dmi-anisotropy"]["parts"].values()
    assert field["sites"] == 64
    assert field["operations a site"] > 50
    assert min(field[key] for key in ("xla bytes a site", "memory a site", "share of arithmetic")) > 0
    (origin,) = found["runs"]
    assert origin["versions"]["jaxspin"] == "unknown"
    assert origin["versions"]["jax"] == jax.__version__
    assert origin["config"]["smoke"]
    assert f"0 of {len(rows)} parts failed" in told


# --- operations -------------------------------------------------------------------------------------------------------


def count(function, *arguments, platform="cpu"):
    return operations(jax.make_jaxpr(function)(*arguments), platform)


def test_operations_are_those_of_the_compiler_where_there_are_no_loops():
    a, b = jnp.ones((8, 16), jnp.float32), jnp.ones((16, 4), jnp.float32)

    def function(a, b):
        return jnp.sum(jax.nn.relu(a @ b) * 2.0)

    found = jax.jit(function).lower(a, b).compile().cost_analysis()["flops"]
    assert count(function, a, b) == 2 * 8 * 16 * 4 + 3 * 32
    assert count(function, a, b) == pytest.approx(found, rel=0.05)


def test_operations_in_loops_and_branches():
    x = jnp.ones((8, 8), jnp.float32)
    product = 2 * 8**3

    def loop(x):
        return jax.lax.scan(lambda c, _: (c @ x, None), x, None, length=10)[0]

    assert count(loop, x) == 10 * product
    assert count(jax.grad(lambda x: jnp.sum(loop(x))), x) > 25 * product  # there and twice back

    def anywhere(x):
        return jax.lax.platform_dependent(x, cpu=lambda x: x, cuda=lambda x: x @ x, default=loop)

    counts = [count(anywhere, x, platform=platform) for platform in ("cpu", "gpu", "tpu")]
    assert counts == [0, product, 10 * product]
    assert count(lambda x: jax.lax.cond(x[0, 0] > 0, loop, jnp.sin, x), x) == 10 * product
    assert count(lambda x: jnp.matmul(x, x), x.astype(jnp.complex64)) == 4 * product
    assert count(lambda x: x.at[jnp.array([0, 0])].add(x[:2]), x) == 16
    assert count(jax.checkpoint(loop), x) == 10 * product
    assert count(lambda x: x.astype(jnp.int32) + 1, x) == 0


# --- what is kept -----------------------------------------------------------------------------------------------------


def failing():
    raise RuntimeError("RESOURCE_EXHAUSTED\n" + 3000 * "x")


def refusing():
    raise Enough("needs 200 GB")


def later():
    return time.monotonic() + 60


def test_parts_fail_alone_and_are_kept_as_they_come(tmp_path):
    path = tmp_path / "out.json"
    ledger = Ledger(path, {"seed": 0})

    def interrupted():
        assert json.loads(path.read_text()) == ledger.found  # all before it
        raise KeyboardInterrupt

    parts = {"fails": failing, "too large": refusing, "good": lambda: {"median": 1.0}, "interrupted": interrupted}
    with pytest.raises(KeyboardInterrupt):
        ledger.measure([Section("some", 1.0, parts)], later())
    rows = json.loads(path.read_text())["sections"]["some"]["parts"]
    assert rows["fails"]["error"].startswith("RuntimeError: RESOURCE_EXHAUSTED")
    assert len(rows["fails"]["error"]) == 2000
    assert rows["too large"] == {"left out": "needs 200 GB"}
    assert rows["good"] == {"median": 1.0}
    assert "interrupted" not in rows


def test_a_resumed_run_measures_what_there_was_no_time_for(tmp_path):
    path = tmp_path / "out.json"
    parts = {"first": lambda: {"median": 1.0}, "second": lambda: {"median": 2.0}}
    section = Section("some", 1.0, parts)
    Ledger(path, {"seed": 0}).measure([section], time.monotonic())
    assert json.loads(path.read_text())["sections"]["some"]["parts"] == {name: {"left out": NO_TIME} for name in parts}
    with pytest.raises(FileExistsError, match="exists; choose another --output, or give --resume or --overwrite"):
        Ledger(path, {"seed": 0})
    with pytest.raises(ValueError, match=r"holds other settings \(seed\); give those, or another --output"):
        Ledger(path, {"seed": 1}, resume=True)
    with pytest.raises(ValueError, match="give one of them"):
        Ledger(path, {"seed": 0}, resume=True, overwrite=True)
    with pytest.raises(ValueError, match="give its --output"):
        Ledger(None, {"seed": 0}, resume=True)
    Ledger(path, {"seed": 0}, resume=True).measure([section], later())
    assert json.loads(path.read_text())["sections"]["some"]["parts"]["second"] == {"median": 2.0}
    resumed = Ledger(path, {"seed": 0}, resume=True)
    resumed.measure([Section("some", 1.0, dict.fromkeys(parts, failing))], later())  # nothing is done again
    assert resumed.part("some", "second") == {"median": 2.0}
    resumed.measure([Section("other", 1.0, {"part": failing})], later())
    resumed.measure([Section("other", 1.0, {"part": lambda: {"median": 3.0}})], later())  # what failed is
    assert resumed.part("other", "part") == {"median": 3.0}
    assert resumed.part("some", "third") == resumed.part("none", "first") == {}
    assert Ledger(path, {"seed": 1}, overwrite=True).found["sections"] == {}
    path.write_text("[1]")
    with pytest.raises(ValueError, match="is no such benchmark; choose another --output"):
        Ledger(path, {"seed": 0}, resume=True)


def test_a_section_takes_no_more_than_its_share_and_leaves_the_rest():
    """The first asks for all the time there is: the second has its half nevertheless."""
    ledger = Ledger(None, {})
    told = []

    def slow():
        time.sleep(0.1)
        return {}

    begin = time.monotonic()
    greedy = Section("greedy", 1.0, {str(n): slow for n in range(20)}, lambda names, until: told.append(until - begin))
    ledger.measure([greedy, Section("modest", 1.0, {"only": lambda: {"median": 1.0}})], begin + 1.0)
    rows = ledger.found["sections"]["greedy"]["parts"]
    done = [name for name, row in rows.items() if not row]
    assert 1 <= len(done) <= 7
    assert len(rows) == 20
    assert told[0] == pytest.approx(0.35, abs=0.05)
    assert ledger.part("modest", "only") == {"median": 1.0}

    compiling = Section("compiling", 1.0, {"compiled": lambda: {"median": 1.0}}, lambda names, until: time.sleep(0.6))
    ledger.measure([compiling, Section("rest", 2.0, {})], time.monotonic() + 1.5)
    assert ledger.part("compiling", "compiled") == {"median": 1.0}  # past its share of half a second, with all compiled

    def broken(names, until):
        raise RuntimeError("no compiler")

    ledger.measure([Section("broken", 1.0, {"part": lambda: {"median": 1.0}}, broken)], later())
    assert ledger.part("broken", "part") == {"error": "RuntimeError: no compiler"}


# --- programs ---------------------------------------------------------------------------------------------------------


def test_programs_fail_alone_and_wait_for_nobody():
    x = jnp.ones(4, jnp.float32)
    made = {"good": lambda: Program.of(lambda x: x + x, (x,)), "bad": failing}
    held = Programs(made)
    held.prepare(["good", "bad", "unknown"], later())
    np.testing.assert_array_equal(held.take("good")(), 2)
    with pytest.raises(RuntimeError, match="RESOURCE_EXHAUSTED"):
        held.take("bad")
    with pytest.raises(OutOfTime):
        held.take("good")  # handed out once
    many = Programs({n: lambda: time.sleep(0.2) for n in range(40)})  # type: ignore[arg-type]
    many.prepare(range(40), time.monotonic() + 0.1)
    with pytest.raises(OutOfTime):
        many.take(39)


def test_larger_cases_are_tried_while_they_are_expected_to_be_short():
    growth = Growth(20.0)
    assert growth.run(64, lambda: {"median": 1.0}) == {"median": 1.0}
    assert growth.run(640, lambda: {"median": 9.0}) == {"median": 9.0}
    with pytest.raises(Enough, match="about 90 s a call, more than --longest 20"):
        growth.run(6400, failing)
    with pytest.raises(Enough):
        Growth(20.0, (2, 3.0)).run(4, failing, power=3)


def test_shares_and_memory(monkeypatch):
    n = 128
    a = jnp.ones((n, n), jnp.float32)
    program = Program.of(lambda a: a @ a, (a,))
    row = measured(program, 3, n * n, Ceilings(bandwidth=1e9, rate=1e12))
    assert row["operations a site"] == 2 * n
    assert row["share of arithmetic"] == pytest.approx(2e-12 * n**3 / row["median"])
    assert row["share of bandwidth"] >= 8e-9 * n * n / row["median"]
    assert row["memory a site"] >= 8
    assert row["calls"] == 3
    assert measured(program, 3, n * n, Ceilings())["share of arithmetic"] is None
    monkeypatch.setattr(programs, "device_memory", lambda device: 1000)
    with pytest.raises(Enough, match=r"needs 0\.000\d+ GB of memory, the device has 1e-06"):
        measured(program, 3, n * n, Ceilings())


def test_a_section_of_cases_begins_where_an_earlier_run_stopped():
    """The second is not tried, by the time of the first, which another run measured."""
    config = smoke_size(Config(longest=1.0))
    ledger = Ledger(None, {})
    ledger.found["sections"]["some"] = {"parts": {"1": {"median": 0.9}, "2": {"left out": NO_TIME}}, "seconds": 0.0}
    bench = Bench(config, ledger, jax.devices()[0])
    program = functools.partial(Program.of, lambda x: x + x, (jnp.ones(4),))
    cases = {str(n): Case("all", n, program, lambda p: {"median": 1.0}) for n in (1, 2)}
    ledger.measure([bench.section("some", 1.0, cases)], later())
    assert ledger.part("some", "2") == {"left out": "about 1.8 s a call, more than --longest 1"}


def test_ceilings_are_those_measured():
    bench = Bench(Config(matrices=(4, 8)), Ledger(None, {}), jax.devices()[0])
    assert bench.ceilings() == Ceilings(None, None)
    parts = {f"matrix product, float32, exact, {n}": {"Tflop a second": n / 4} for n in (4, 8)}
    bench.ledger.found["sections"]["machine"] = {"parts": {"triad": {"GB a second": 3.0}, **parts}}
    assert bench.ceilings() == Ceilings(3e9, 2e12)


def test_targets():
    def reached(nanoseconds, *shares):
        row = {"ns a site": nanoseconds, "share of arithmetic": shares[0], "share of bandwidth": shares[1]}
        return list(accelerator_fields.target(row).items())

    assert reached(40.0, 0.2, 0.9) == [("50 ns a site", True), ("80% of a ceiling", True)]
    assert reached(60.0, 0.2, None) == [("50 ns a site", False), ("80% of a ceiling", False)]
    assert reached(50.0, None, None) == [("50 ns a site", True), ("80% of a ceiling", None)]


# --- kinds and settings -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MAKERS)
def test_every_kind_lives_on_any_size(kind):
    field = field_of(kind, 16)
    assert field.lattice.sites == 256
    assert field_of(kind, 32).lattice.sites == 1024
    if kind in ("exchange", "bispectrum-of-bonds"):
        spins = spins_on(field.lattice, 0)
        assert float(jnp.max(jnp.abs(field.field(spins)))) > 0.1


def test_drawn_weights_make_sums_of_order_one_and_no_others_change():
    shapes = {"kernel": jax.ShapeDtypeStruct((4, 100, 50), jnp.float32), "bias": jnp.zeros(50), "count": jnp.arange(3)}
    network = drawn(shapes)
    assert float(jnp.std(network["kernel"])) == pytest.approx(1 / 20, rel=0.05)
    assert float(jnp.std(network["bias"])) == pytest.approx(0.1, rel=0.3)
    np.testing.assert_array_equal(network["count"], jnp.arange(3))


WORDS = [
    "",
    "--minutes 3 --sizes 8 16 --kinds exchange --output somewhere.json --smoke",
    "--no-smoke --spin-steps 1e3 --commit abc --widths",
]


@pytest.mark.parametrize("words", WORDS)
def test_both_parsers_read_the_same(words, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["accelerator", *words.split()])
    assert parsed(Config, None) == command_line(Config, None)


def test_the_parser_knows_the_settings_and_what_they_mean(capsys):
    told = documented(Config)
    assert set(told) == set(Config.__dataclass_fields__)
    assert told["output"] == "Where to write the JSON; an existing file is refused."
    with pytest.raises(SystemExit):
        parsed(Config, "About.", ["--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "About." in shown
    assert "--minutes FLOAT For everything;" in shown
    assert "(default: 64 256 1024 4096)" in shown
    for words, match in (
        (["--sizes", "x"], "invalid int value: 'x'; see --help"),
        (["--longest", "inf"], "longest must be positive, got inf; see --help"),
        (["--sizes", "2"], "lattices need sides of at least 4, got 2"),
        (["--kinds", "all"], "kinds all are unknown; choose from exchange, "),
    ):
        with pytest.raises(ValueError, match=match):
            parsed(Config, None, words)
    with pytest.raises(TypeError, match=r"config is of the kind .*Config.*, which no word gives; use a number"):
        parsed(Bench, None, [])


# --- the clock --------------------------------------------------------------------------------------------------------


def test_the_clock_stops_when_the_calls_have_taken_long():
    calls = []

    def call():
        calls.append(time.sleep(0.05))

    row = timed(call, (), 50, within=0.12)
    assert 1 <= row["calls"] == len(calls) - 1 <= 3
    assert timed(call, (), 2)["calls"] == 2
    assert timed(call, (), 5, within=0.0)["calls"] == 1  # one there is
