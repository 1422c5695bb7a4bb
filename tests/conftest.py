import gc
import os
import subprocess
import sys
from pathlib import Path

# Two test processes whose LAPACK calls each take all cores wait for one another.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import jax
import pytest

# small programs compile three times as fast, where XLA still has it
_OLDER_EMITTERS = "--xla_cpu_use_fusion_emitters=false"

# what only repeats, or takes long and is seldom broken
_SLOW = Path(__file__).parent / "slow.txt"


def _known(flag):
    """XLA ends the process that gives a flag it does not know, so that another one tries it."""
    command = [sys.executable, "-c", "import jax; jax.devices()"]
    environment = {**os.environ, "XLA_FLAGS": flag, "JAX_PLATFORMS": "cpu"}
    return subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0


def pytest_addoption(parser):
    parser.addoption(
        "--as-users",
        action="store_true",
        help="run the tests marked `users` with JAX's own settings: single precision, optimized programs",
    )


def pytest_sessionstart():
    """Garbage is looked for seldom: JAX alone is a million objects that stay, and each look goes through all."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)


def pytest_configure(config):
    """Strict and in double precision, or as a user has it.

    The tests compile thousands of programs and run each on something small: compile fast rather than well.  The slow
    ones by themselves run long: ten times as long without the optimizations.
    """
    if config.option.as_users:
        config.option.markexpr = "users and not double and not slow"
        return
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_numpy_dtype_promotion", "strict")
    jax.config.update("jax_numpy_rank_promotion", "raise")
    if config.option.markexpr != "slow":
        # the Python processes that tests start inherit it
        fast = os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
        jax.config.update("jax_disable_most_optimizations", fast.lower() not in ("", "0", "false"))
        # the workers of xdist have it from the process that starts them
        if "XLA_FLAGS" not in os.environ:
            os.environ["XLA_FLAGS"] = _OLDER_EMITTERS if _known(_OLDER_EMITTERS) else ""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Mark those of slow.txt `slow`, before `-m` chooses; a name there that is no test is an error."""
    # an address in a name differs between the processes of xdist, which then run nothing
    if addresses := [item.nodeid for item in items if " at 0x" in item.nodeid]:
        raise pytest.UsageError(f"give these tests ids of their own: {', '.join(addresses)}")
    names = {line for line in _SLOW.read_text().splitlines() if line and not line.startswith("#")}
    found = {item.nodeid for item in items}
    for item in items:
        if item.nodeid in names:
            item.add_marker(pytest.mark.slow)
    option = config.option
    if (
        any("::" in argument for argument in config.args)
        or option.keyword
        or option.deselect
        or option.__dict__.get("lf")
    ):
        return
    files = {name.partition("::")[0] for name in found}
    if lost := sorted(name for name in names - found if name.partition("::")[0] in files):
        raise pytest.UsageError(f"tests/slow.txt names what is no test; correct it: {', '.join(lost)}")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """With `-n`, each process takes neighbours: tests of one file share what they compile and their fixtures.

    xdist's own choice deals them out in turn, so that every process compiles everything.
    """
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log) if config.option.dist == "load" else None


@pytest.fixture
def key():
    return jax.random.key(20260)


@pytest.fixture
def optax_mixes_types():
    with jax.numpy_dtype_promotion("standard"):
        yield


# jaxspin is imported late: its shapes are checked only where pytest's plugin was there first


@pytest.fixture(scope="module")
def ring():
    """A small descriptor whose model compiles fast."""
    from jaxspin.descriptors import Bispectrum
    from jaxspin.lattice import chain

    return Bispectrum(chain(8), radius=1.0, bond_radius=1.0, bispectrum=False)


@pytest.fixture(scope="module")
def ring_data(ring):
    from jaxspin.classical import Exchange
    from jaxspin.training import random_configurations, sample

    spins = random_configurations(ring.lattice, 12, key=jax.random.key(3))
    return sample(Exchange(ring.lattice, 1.0), spins)


@pytest.fixture(autouse=True, scope="module")
def _few_maps():
    """Every compiled program keeps memory maps, of which a process may have 65530: beyond, compiling crashes."""
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_text().count("\n") > 50000:
        jax.clear_caches()
