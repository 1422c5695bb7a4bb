"""Importing is quick and asks for little: what only files, figures and command lines need is imported by those.

Each law looks at a process of its own, in which nothing is imported yet.
"""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import jax
import pytest

import jaxspin
from jaxspin.extras import needed_for

ROOT = Path(__file__).parent.parent
SELDOM = {"matplotlib", "orbax", "pandas", "scipy", "tyro", "xarray", "zarr"}
# What fields, dynamics and learning are made of; it may import of the above what it likes.
BELOW = "jax, jax.numpy, equinox, diffrax, optax, optimistix, lineax, flax.nnx, jaxtyping, tqdm"


def printed(code: str, *, missing: tuple[str, ...] = ()) -> str:
    """What some code prints in a new process, on a machine without the packages `missing`."""
    start = f"""
import importlib.abc, sys
class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
"""
    command = [sys.executable, "-c", start + code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# Prints which of the packages that are seldom needed are loaded, beside those that JAX and the others load themselves.
BEFORE = f"""
import {BELOW}
jax.numpy.linalg.eigh(jax.numpy.eye(2))  # for which JAX takes LAPACK from SciPy
below = set(sys.modules)
"""
LOADED = f"""
print(sorted({SELDOM!r} & (set(sys.modules) - below)))
"""


def test_an_import_alone_loads_no_room():
    found = printed(f"import jaxspin\nprint([m for m in sys.modules if 'jaxspin.' in m or m in {SELDOM | {'jax'}!r}])")
    assert found == "[]"


def test_no_room_and_no_name_loads_what_is_seldom_needed():
    names = "import jaxspin as js\nfor name in js.__all__: getattr(js, name)"
    told = printed(BEFORE + names + LOADED + "import jaxspin.io.on_disk" + LOADED).splitlines()
    assert told[0] == "[]"
    assert {"xarray", "zarr"} <= set(ast.literal_eval(told[1]))


WORK = """
import jaxspin as js

lattice, ring = js.square(4), js.chain(8)
spins = js.random_spins(lattice, key=jax.random.key(0))
solver = js.ExactDiagonalization(js.SDModel(lattice, coupling=2.0), filling=0.25, temperature=0.1)
assert solver.field(spins).shape == spins.shape
run = js.simulate(js.Exchange(lattice, 1.0), spins, duration=0.3, step=0.1)
assert run.spins.shape == (4, 4, 4, 1, 3) and run.magnetization().shape == (4, 3)

frames = js.training.random_configurations(ring, 8, key=jax.random.key(0))
data = js.sample(js.Exchange(ring, 1.0), frames)
features = js.Bispectrum(ring, radius=1.0, bond_radius=1.0, bispectrum=False)
config = js.TrainConfig(steps=2, batch=2, evaluate_every=1, validation=0.25)
learnt = js.train(js.BehlerParrinello(descriptor=features, hidden=(4,)), data, config)
assert learnt.history["step"].tolist() == [1, 2]
"""
REFUSED = """
import tempfile
from pathlib import Path

assert js.pretrained("triangular-120", js.triangular(8)).lattice.cells == (8, 8)

folder = Path(tempfile.mkdtemp())
stored = folder / "stored.zarr"
stored.mkdir()
(stored / "zarr.json").touch()
design = js.sweeps.grid(x=[1.0])
settings = {"duration": 0.3, "step": 0.1, "save_every": 0.1}
never = lambda *arguments, **settings: print("work that would be lost")
for call in (
    lambda: run.save(folder / "run.zarr"),
    lambda: data.save(folder / "data.zarr"),
    lambda: js.load(stored),
    lambda: js.io.load_trajectory(stored),
    lambda: js.io.TrajectoryWriter(folder / "frames.zarr", lattice),
    lambda: js.training.ShardWriter(folder / "shards"),
    lambda: js.simulate(js.Exchange(lattice, 1.0), spins, **settings, store=folder / "frames.zarr"),
    lambda: js.sweeps.sweep(never, design, store=folder / "sweep.zarr"),
    lambda: js.plot(run),
    lambda: js.plotting.new_figure(),
    lambda: js.plotting.plot_spins(lattice, spins),
):
    try:
        call()
    except ModuleNotFoundError as error:
        print(error)
assert [path.name for path in folder.iterdir()] == ["stored.zarr"]
"""


def test_work_in_memory_needs_no_stores_and_no_figures():
    """And what does need them says what to install, before there is work to lose."""
    told = printed(BEFORE + WORK + LOADED + REFUSED, missing=("matplotlib", "tyro", "zarr")).splitlines()
    stores = "stores on disk need the package zarr, which is not installed; pip install zarr."
    figures = "figures need the package matplotlib, which is not installed; pip install matplotlib."
    assert told == ["[]", *[stores] * 8, *[figures] * 3]


def test_benchmarks_are_imported_without_stores_and_command_lines():
    modules = sorted(f"experiments.benchmarks.{path.stem}" for path in (ROOT / "experiments/benchmarks").glob("*.py"))
    refused = """
import dataclasses
from experiments.stages.refusals import command_line
try:
    command_line(dataclasses.make_dataclass("Settings", []), "")
except ModuleNotFoundError as error:
    print(error)
"""
    code = f"from importlib import import_module\nfor name in {modules}: import_module(name)\n"
    told = printed(code + refused, missing=("tyro", "zarr"))
    assert told == "command lines need the package tyro, which is not installed; pip install tyro."


def test_a_copy_that_was_not_installed_says_so():
    code = """
import importlib.metadata

def version(name, installed=importlib.metadata.version):
    if name == "jaxspin":
        raise importlib.metadata.PackageNotFoundError(name)
    return installed(name)

importlib.metadata.version = version
import jaxspin as js
print(js.__version__, js.io.provenance()["versions"]["jaxspin"], js.io.provenance()["versions"]["jax"])
"""
    assert printed(code) == f"unknown unknown {jax.__version__}"


def test_only_a_package_that_is_missing_is_called_so():
    with pytest.raises(ModuleNotFoundError, match=r"^No module named 'json\.nothing'$"), needed_for("files"):
        import_module("json.nothing")
    with (
        pytest.raises(ModuleNotFoundError, match=r"^files need .* nothing_here, which .*; pip install nothing_here\.$"),
        needed_for("files"),
    ):
        import_module("nothing_here")


def test_rooms_may_be_named_first_while_a_function_is_traced():
    """What a module holds is made when it is imported, and must not belong to a trace."""
    code = """
import types, jax, jaxspin as js

@jax.jit
def traced(x):
    for name in js.__all__:
        getattr(js, name)
    return x

traced(1.0)
held = [value for m in list(sys.modules.values()) if isinstance(m, types.ModuleType) for value in vars(m).values()]
print(len(held) > 10000, [value for value in held if isinstance(value, jax.core.Tracer)])
"""
    assert printed(code) == "True []"


def test_every_name_is_there_and_listed():
    assert set(jaxspin.__all__) <= set(dir(jaxspin))
    for name in jaxspin.__all__:
        assert getattr(jaxspin, name) is not None
    everything = {}
    exec("from jaxspin import *", everything)
    assert set(jaxspin.__all__) <= set(everything)
    from jaxspin import Exchange, classical

    assert jaxspin.Exchange is Exchange is classical.Exchange is vars(jaxspin)["Exchange"]
    with pytest.raises(AttributeError, match=r"jaxspin has no 'nothing'; see dir\(jaxspin\)"):
        _ = jaxspin.nothing


def test_type_checkers_see_the_names_where_they_are():
    tree = ast.parse(Path(jaxspin.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.name: node.module for node in block.body for alias in node.names}
    assert set(seen) == set(jaxspin.__all__)
    for name, module in seen.items():
        value = getattr(jaxspin, name)
        assert value is getattr(sys.modules[module], name)
