"""A module may import from its own floor or those below, and no module imports itself in a circle.

The experiments use what the package makes public, no name of it with an underscore.
"""

import ast
import inspect
from pathlib import Path

import pytest

import jaxspin

ROOT = Path(jaxspin.__file__).parent

FLOORS = {
    "arguments": 1,
    "arrays": 1,
    "devices": 1,
    "callables": 1,
    "extras": 1,
    "renamed": 1,
    "files": 1,
    "lattice": 1,
    "couplings": 1,
    "spins": 1,
    "textures": 1,
    "units": 1,
    "warned": 1,
    "symmetry": 1,
    "field": 2,
    "io": 2,
    "classical": 3,
    "torques": 3,
    "electrons": 3,
    "descriptors": 3,
    "forcefield": 4,
    "dynamics": 4,
    "observables": 4,
    "costs": 5,
    "training": 5,
    "sweeps": 5,
    "plotting": 6,
    "problems": 6,
    "testing": 6,
    "loading": 6,
    "command": 8,
    "__main__": 8,
    "jaxspin": 7,
}


def module_name(path: Path, root: Path) -> str:
    parts = (root.name, *path.relative_to(root).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(name: str, is_package: bool, source: str, known: set[str]) -> set[str]:
    """The modules of the package that `source` imports anywhere, a submodule rather than its package."""
    package = name.split(".")[0]
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = name.split(".") if is_package else name.split(".")[:-1]
            parent = base[: len(base) - node.level + 1] if node.level else []
            start = ".".join([*parent, *([node.module] if node.module else [])])
            for alias in node.names:
                whole = f"{start}.{alias.name}"
                found.add(whole if whole in known else start)
    return {m for m in found if m == package or m.startswith(package + ".")}


def floor(name: str) -> int:
    parts = name.split(".")
    room = parts[1] if len(parts) > 1 else parts[0]
    if room not in FLOORS:
        raise LookupError(f"{name} stands on no floor; add {room!r} to the table FLOORS in tests/test_floors.py.")
    return FLOORS[room]


def broken_rules(graph: dict[str, set[str]]) -> list[str]:
    return [
        f"{name} (floor {floor(name)}) imports {other} (floor {floor(other)})"
        for name, others in graph.items()
        for other in others
        if floor(other) > floor(name)
    ]


def cycle(graph: dict[str, set[str]]) -> list[str]:
    """The modules left when those that import none of the others are taken away again and again."""
    left = {name: others - {name} for name, others in graph.items()}
    while free := {name for name, others in left.items() if not others & left.keys()}:
        left = {name: others for name, others in left.items() if name not in free}
    return sorted(left)


def package_graph() -> dict[str, set[str]]:
    files = {module_name(path, ROOT): path for path in ROOT.rglob("*.py")}
    return {
        name: imports(name, path.name == "__init__.py", path.read_text(), set(files)) - {name}
        for name, path in files.items()
    }


def test_the_front_door_is_narrow():
    """A few names, and the rooms; a name that has moved says where, and still works."""
    names = [name for name in jaxspin.__all__ if not inspect.ismodule(getattr(jaxspin, name))]
    assert len(names) <= 41
    with pytest.warns(DeprecationWarning, match=r"jaxspin\.tetrahedral is now jaxspin\.textures\.tetrahedral"):
        assert jaxspin.tetrahedral is jaxspin.textures.tetrahedral
    with pytest.raises(AttributeError, match=r"jaxspin\.devices .* and jaxspin\.sweeps"):
        _ = jaxspin.scale


def test_files_stay_short():
    lengths = {str(path.relative_to(ROOT)): path.read_text().count("\n") for path in ROOT.rglob("*.py")}
    assert {name: lines for name, lines in lengths.items() if lines >= 400} == {}


def test_every_module_has_a_floor():
    for name in package_graph():
        floor(name)


def test_imports_go_down():
    assert broken_rules(package_graph()) == []


def with_packages(graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """The same, and the packages whose `__init__` runs before a module of theirs; that of all loads nothing."""

    def packages(name: str) -> set[str]:
        parts = name.split(".")
        return {".".join(parts[:n]) for n in range(1, len(parts))}

    found = {}
    for name, others in graph.items():
        others = others.union(*map(packages, others)) - packages(name) - {name, "jaxspin"}
        found[name] = others
    return found


def test_no_import_cycle():
    """Neither among modules, nor with the `__init__` of their rooms: any of them may be the first to be imported."""
    assert cycle(package_graph()) == []
    assert cycle(with_packages(package_graph())) == []


def test_the_rule_sees_what_it_should():
    known = {"jaxspin", "jaxspin.lattice", "jaxspin.dynamics", "jaxspin.dynamics.llg", "jaxspin.training"}
    assert imports("jaxspin.lattice", False, "import numpy\nfrom jaxspin.dynamics import llg", known) == {
        "jaxspin.dynamics.llg"
    }
    assert imports("jaxspin.dynamics.llg", False, "from . import solvers\nfrom ..lattice import x", known) == {
        "jaxspin.dynamics",
        "jaxspin.lattice",
    }
    assert imports("jaxspin.dynamics", True, "def f():\n    from .llg import LLG", known) == {"jaxspin.dynamics.llg"}
    assert broken_rules({"jaxspin.lattice": {"jaxspin.field"}}) == [
        "jaxspin.lattice (floor 1) imports jaxspin.field (floor 2)"
    ]
    assert broken_rules({"jaxspin.dynamics.llg": {"jaxspin.observables", "jaxspin.lattice"}}) == []
    assert cycle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": set()}) == ["a", "b", "c"]
    crossed = {"jaxspin.io.a": {"jaxspin.spins.b"}, "jaxspin.spins": {"jaxspin.io.a"}, "jaxspin.spins.b": set()}
    assert cycle(crossed) == []
    assert cycle(with_packages(crossed)) == ["jaxspin.io.a", "jaxspin.spins"]
    with pytest.raises(LookupError, match=r"attic stands on no floor; add 'attic' to the table"):
        floor("jaxspin.attic")


# --- the experiments take public names only ---------------------------------------------------------------------------

EXPERIMENTS = ROOT.parent / "experiments"


def is_private(name: str) -> bool:
    return name.startswith("_") and name.isidentifier() and name != "_" and not name.endswith("__")


def private_names(source: str) -> list[str]:
    """The private names that `source` reaches in modules of the package or in objects that are not its own `self`.

    Also those that it gives as text, to `getattr` or to patch.
    """
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if any(map(is_private, alias.name.split(".")))]
        elif isinstance(node, ast.ImportFrom):
            names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
            found += [name for name in names if is_private(name)]
        elif isinstance(node, ast.Attribute) and is_private(node.attr):
            if not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")):
                found.append(node.attr)
        elif isinstance(node, ast.Call):
            given = [argument.value for argument in node.args[1:2] if isinstance(argument, ast.Constant)]
            found += [name for name in given if isinstance(name, str) and is_private(name)]
    return found


def test_experiments_take_public_names_only():
    found = {str(path.relative_to(EXPERIMENTS)): private_names(path.read_text()) for path in EXPERIMENTS.rglob("*.py")}
    assert len(found) > 50
    assert {path: names for path, names in found.items() if names} == {}


def test_the_rule_of_public_names_sees_what_it_should():
    assert private_names("from jaxspin.training.linearized import _readers, readers") == ["_readers"]
    assert private_names("import jaxspin.io._hidden\nfrom jaxspin._hidden import x") == [
        "jaxspin.io._hidden",
        "_hidden",
    ]
    assert private_names("model.descriptor._places()\nself._own()\nx.__name__\ncls._made") == ["_places"]
    assert private_names('mock.patch.object(kpm, "_probes")\ngetattr(x, "_y")\nprint("a", "_ b")') == ["_probes", "_y"]
