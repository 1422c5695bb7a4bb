"""Lattices spread over devices and processes: the same numbers, and no more communication than edges.

The number of devices is fixed when JAX starts, so every check runs in processes of its own.
"""

import os
import socket
import subprocess
import sys

import jax
import numpy as np
import pytest

import jaxspin as js
from jaxspin import io
from tests import distributed


def start(module: str, *arguments: str, devices: int) -> subprocess.Popen:
    flags = f"--xla_force_host_platform_device_count={devices} {os.environ.get('XLA_FLAGS', '')}"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-W", "error", "-m", module, *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen, timeout: float = 300) -> str:
    try:
        out, errors = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    assert process.returncode == 0, errors[-5000:]
    assert "passed" in out
    return out


_SLOW = ("quench", "more_fields", "measured_elsewhere", "electrons", "orbitals", "training")
SLOW = [pytest.param((name,), marks=pytest.mark.slow, id=name) for name in _SLOW]


# one process for all that is fast: starting it takes longer than most of them
@pytest.mark.parametrize("names", [("placement", "cores", "refusals", "fields", "measured"), *SLOW], ids="-".join)
def test_on_eight_devices(names):
    finish(start("tests.sharded", *names, devices=8), timeout=600)


def test_cores_are_counted_before_anything_is_computed():
    text = "import jaxspin as js; assert js.devices.use_cores(3) == 3; import jax; print(jax.device_count(), 'passed')"
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": ""}
    command = [sys.executable, "-W", "error", "-c", text]
    assert subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout == "3 passed\n"
    assert jax.device_count() > 0
    with pytest.raises(RuntimeError, match=r"call js.devices.use_cores\(\) before anything is computed"):
        js.devices.use_cores()
    with pytest.raises(ValueError, match="cannot be cut in 0 blocks; leave blocks out"):
        js.devices.use_cores(0)


def free_port() -> str:
    with socket.socket() as found:
        found.bind(("localhost", 0))
        return str(found.getsockname()[1])


@pytest.mark.slow
def test_many_processes_make_the_run_of_one(tmp_path):
    """Two processes make the first half and four go on: spins, weights and files are those of one process."""
    for processes in (2, 4):
        port = free_port()
        arguments = [(port, str(processes), str(n), str(tmp_path)) for n in range(processes)]
        running = [start("tests.distributed", *a, devices=4 // processes) for a in arguments]
        for process in running:
            finish(process, timeout=600)
    first = distributed.quench(distributed.start(), 0.0)
    second = distributed.quench(first.final, 2.0)
    with io.load_trajectory(tmp_path / "motion.zarr") as stored:
        np.testing.assert_allclose(stored.time, np.concatenate([first.times[1:], second.times[1:]]))
        expected = np.concatenate([first.spins[1:], second.spins[1:]])
        np.testing.assert_allclose(stored.spins, expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(io.load_ovf(tmp_path / "final.ovf")[0], first.final, rtol=0, atol=1e-12)
    assert (tmp_path / "made" / "who").read_text() == "0"
    weights = jax.tree.leaves(distributed.trained(distributed.examples()).model)
    for name in ("forcefield_0", "forcefield_2"):
        found = jax.tree.leaves(js.forcefield.load(tmp_path / name))
        for a, b in zip(weights, found, strict=True):
            np.testing.assert_allclose(b, a, rtol=0, atol=1e-9)
    # nothing half written is left
    assert not list(tmp_path.glob("**/.*.partial"))
