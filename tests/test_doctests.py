"""The examples of the docstrings: every public name has one, and they print what they say, as a user runs them."""

import ast
import doctest
import os
import subprocess
import sys
import tempfile
from inspect import getdoc, isclass, isfunction, ismodule
from operator import attrgetter
from pathlib import Path

import pytest

ROOMS = [
    "classical",
    "costs",
    "descriptors",
    "devices",
    "dynamics",
    "electrons",
    "electrons.negf",
    "forcefield",
    "io",
    "observables",
    "plotting",
    "problems",
    "spins",
    "sweeps",
    "symmetry",
    "testing",
    "textures",
    "torques",
    "training",
    "units",
]

# Processes that divide the examples, one for each core of a small machine.
SHARES = 2

# Names without an example, and why.
WITHOUT = {
    "forcefield.Learnable": "a type variable, whose docstring is that of `typing.TypeVar`",
    "spins.check_methods": "what the base classes of fields call for their subclasses",
}


def public_names():
    """Every public name of the package and its rooms but modules."""
    import jaxspin as js

    found = {}
    for room in ("", *ROOMS):
        owner = attrgetter(room)(js) if room else js
        names = getattr(owner, "__all__", None)
        if names is None:
            # a room that is a folder has what it imports as public; one that is a file says what it has
            assert hasattr(owner, "__path__"), f"give jaxspin.{room} an __all__"
            names = [
                name
                for name, value in vars(owner).items()
                if not name.startswith("_")
                and (isclass(value) or isfunction(value) or hasattr(value, "__wrapped__"))
                and str(value.__module__).startswith("jaxspin.")
            ]
        for name in names:
            value = getattr(owner, name)
            if not ismodule(value):
                found[f"{room}.{name}".lstrip(".")] = value
    return found


@pytest.mark.parametrize("room", ["testing", "torques"])
def test_a_room_that_is_a_file_shows_its_own_names_alone(room):
    """What it imports for itself is not offered."""
    import jaxspin as js

    owner = getattr(js, room)
    assert dir(owner) == sorted(owner.__all__)
    assert all(getattr(owner, name).__module__ == owner.__name__ for name in owner.__all__)
    own = {name for name, value in vars(owner).items() if getattr(value, "__module__", None) == owner.__name__}
    assert {name for name in own if not name.startswith("_")} == set(owner.__all__)


def test_every_public_name_has_an_example():
    names = public_names()
    assert len(names) > 200
    missing = [
        name
        for name, value in names.items()
        if name not in WITHOUT and "Example:\n    >>> " not in (getdoc(value) or "")
    ]
    assert not missing, f"give these an example in their docstring: {', '.join(missing)}"


def docstrings():
    """Name and text of all docstrings of the package, and of those that are made when it is imported."""
    import jaxspin as js

    found = {}
    root = Path(js.__file__).parent
    for file in sorted(root.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                name = f"{file.relative_to(root)}::{getattr(node, 'name', '')}"
                found.setdefault(ast.get_docstring(node) or "", name)
    for name, value in public_names().items():
        found.setdefault(getdoc(value) or "", name)
    return [(name, text) for text, name in found.items() if ">>> " in text]


def namespace(folder):
    import jax
    import jax.numpy as jnp
    import numpy as np

    import jaxspin as js

    lattice = js.square(4)
    spins = js.random_spins(lattice, key=jax.random.key(0))
    field = js.Exchange(lattice, 1.0)
    return {
        "jax": jax,
        "jnp": jnp,
        "np": np,
        "js": js,
        "lattice": lattice,
        "spins": spins,
        "field": field,
        "tmp_path": Path(folder),
    }


def run(share):
    """The number of examples that fail in one of `SHARES` parts, with what they print."""
    runner, parser, failed = doctest.DocTestRunner(verbose=False), doctest.DocTestParser(), 0
    for name, text in docstrings()[share::SHARES]:
        with tempfile.TemporaryDirectory() as folder:
            failed += runner.run(parser.get_doctest(text, namespace(folder), name, name, 0)).failed
    return failed


@pytest.mark.slow
@pytest.mark.parametrize("share", range(SHARES))
def test_examples_print_what_they_say(share):
    """In a process of its own, as a user has it: single precision, optimized programs."""
    environment = {k: v for k, v in os.environ.items() if k not in ("JAX_ENABLE_X64", "JAX_DISABLE_MOST_OPTIMIZATIONS")}
    command = [sys.executable, "-W", "error", __file__, str(share)]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


if __name__ == "__main__":
    sys.exit(run(int(sys.argv[1])) > 0)
