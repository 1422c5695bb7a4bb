"""Time to the first result of a new process: importing, compiling and running, without and with a filled cache.

    python -m experiments.benchmarks.first_results --output FILE.json

Every result comes from a process of its own, in single precision. The first finds JAX's cache of compiled programs
empty and fills it, the second finds it full. "compile" is tracing, lowering and XLA's work, or reading the cache; "run"
is a second call. The processor's seconds stand beside those of the wall, for machines that others use too.
"""

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from experiments.benchmarks.report import Report
from experiments.stages import main_without_folder

# What a user types, with `js` and `jax` at hand: what is built, and the result that is asked for, two times.
CASES = {
    "exact field": (
        "lattice = js.triangular(12)\n"
        "spins = js.random_spins(lattice, key=jax.random.key(0))\n"
        "field = js.ExactDiagonalization(js.SDModel(lattice, coupling=3.0), filling=0.25, temperature=0.05)",
        "field.field(spins)",
    ),
    "kernel-polynomial field": (
        "lattice = js.triangular(12)\n"
        "spins = js.random_spins(lattice, key=jax.random.key(0))\n"
        "field = js.KernelPolynomial(js.SDModel(lattice, coupling=3.0), filling=0.25, temperature=0.05)",
        "field.field(spins)",
    ),
    "learnt field": (
        "lattice = js.triangular(12)\n"
        "spins = js.random_spins(lattice, key=jax.random.key(0))\n"
        "field = js.BehlerParrinello(lattice)",
        "field.field(spins)",
    ),
    "shipped learnt field": (
        "lattice = js.triangular(12)\n"
        "spins = js.random_spins(lattice, key=jax.random.key(0))\n"
        "field = js.pretrained('triangular-tetrahedral', lattice)",
        "field.field(spins)",
    ),
    "run": (
        "lattice = js.triangular(12)\n"
        "spins = js.random_spins(lattice, key=jax.random.key(0))\n"
        "field = js.ExactDiagonalization(js.SDModel(lattice, coupling=3.0), filling=0.25, temperature=0.05)",
        "js.simulate(field, spins, duration=2.0, step=0.5, temperature=0.001, key=jax.random.key(1)).final",
    ),
    "gradient of a run": (
        "lattice = js.triangular(4)\n"
        "spins = js.random_spins(lattice, key=jax.random.key(0))\n"
        "def chirality(coupling):\n"
        "    model = js.SDModel(lattice, 1.0, coupling)\n"
        "    field = js.ExactDiagonalization(model, filling=0.25, temperature=0.05)\n"
        "    return js.simulate(field, spins, duration=5.0, step=0.25, damping=0.5).final_chirality()\n"
        "slope = jax.grad(chirality)",
        "slope(3.0)",
    ),
    "driven field": (
        "lattice = js.square(8, 4, periodic=(False, True))\n"
        "spins = js.random_spins(lattice, key=jax.random.key(0))\n"
        "leads = (js.WideBand('left'), js.WideBand('right'))\n"
        "model = js.SDModel(lattice, coupling=3.8)\n"
        "field = js.GreensFunction(model, leads=leads, voltage=0.5, mu=-3.2, temperature=0.05)",
        "field.field(spins)",
    ),
}

# Run by a new process: prints its times as JSON.
_PROCESS = """
import json, sys, time
now, worked = time.perf_counter, time.process_time
found, began, busy = {}, now(), worked()
def told(name):
    global began, busy
    found[name], found[name + ", processor"] = now() - began, worked() - busy
    began, busy = now(), worked()
import jax
told("import jax")
import jaxspin as js
build, ask = json.loads(sys.argv[1])
spent, programs, read = {}, [], []
def heard(event, seconds, **about):
    part = event.rpartition("/")[2]
    spent[part] = spent.get(part, 0.0) + seconds
    if part == "backend_compile_duration":
        programs.append(about.get("fun_name", ""))
def heard_of(event, **about):
    if event.endswith("cache_hits"):
        read.append(event)
jax.monitoring.register_event_duration_secs_listener(heard)
jax.monitoring.register_event_listener(heard_of)
space = {"jax": jax, "js": js}
exec(build, space)
jax.block_until_ready(jax.tree.leaves(space.get("spins")))
told("build")
jax.block_until_ready(eval(ask, space))
told("first")
counted = {"programs": len(programs), "from the cache": len(read), "parts": dict(spent)}
jax.block_until_ready(eval(ask, space))
told("run")
print(json.dumps({**found, **counted, "jax": jax.__version__}))
"""


@dataclasses.dataclass(frozen=True)
class Config(Report):
    """What to time."""

    cases: tuple[str, ...] = tuple(CASES)
    """Names of results."""


def run(config: Config) -> dict[str, Any]:
    """For each case the times of a process that compiles, and of one that finds the cache."""
    config.check_output()
    if unknown := set(config.cases) - set(CASES):
        raise ValueError(f"no results are named {', '.join(sorted(unknown))}; choose of {', '.join(CASES)}.")
    rows: dict[str, Any] = {}
    for name in config.cases:
        with tempfile.TemporaryDirectory() as cache:
            rows[name] = {"compiling": _process(name, cache), "with the cache": _process(name, cache)}
            rows[name]["bytes in the cache"] = sum(path.stat().st_size for path in Path(cache).iterdir())
        for which in ("compiling", "with the cache"):
            row = rows[name][which]
            print(
                f"{name:24s} {which:15s} import {row['import jax'] + row['build']:.2f} s, "
                f"compile {compiling(row):.2f} s (processor {compiling(row, ', processor'):.2f}), "
                f"run {1e3 * row['run']:.1f} ms, {row['programs']} programs, {row['from the cache']} read",
                flush=True,
            )
        config.write({"rows": rows})
    return rows


def compiling(row: dict[str, Any], which: str = "") -> float:
    """Seconds from asking to the result, less those of a second call."""
    return row["first" + which] - row["run" + which]


def _process(name: str, cache: str) -> dict[str, Any]:
    """The times of one new process, which keeps every program that it compiles."""
    environment = {
        **os.environ,
        "JAX_COMPILATION_CACHE_DIR": cache,
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        "JAX_ENABLE_COMPILATION_CACHE": "1",
        "JAX_ENABLE_X64": "0",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "0",
    }
    command = [sys.executable, "-c", _PROCESS, json.dumps(CASES[name])]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"the process of {name!r} failed: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main_without_folder(Config, run, __doc__)
