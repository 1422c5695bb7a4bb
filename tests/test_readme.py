"""The Python of README.md and of the pages on how to do things runs as it stands, as a user would run it.

That of a page in order, in one namespace.

Before a block, `<!-- no-test -->` leaves it out, and `<!-- smoke: 24, 24 -> 6, 6; 200.0 -> 2.0 -->` makes it
smaller: each text on the left, which must occur, is replaced by the one on the right.
"""

import ast
import os
import re
import subprocess
import sys
import types
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
PAGES = ("README.md", "experiments/HOWTO.md", "experiments/ANSWERS.md", "experiments/CONTRIBUTING.md")
_BLOCK = re.compile(
    r"(?P<comments>(?:^<!--[^\n]*-->[ \t]*\n\s*)*)^```python[^\n]*\n(?P<code>.*?)^```[ \t]*$",
    re.MULTILINE | re.DOTALL,
)


class Block(NamedTuple):
    line: int
    code: str


def python_blocks(text: str) -> list[Block]:
    """The blocks to run, at their reduced size, each with the line of the README that it starts on."""
    found = []
    for match in _BLOCK.finditer(text):
        comments, code = match["comments"], match["code"]
        if "<!-- no-test -->" in comments:
            continue
        for changes in re.findall(r"<!-- smoke: (.*?) -->", comments):
            for change in changes.split("; "):
                old, new = change.split(" -> ")
                if old not in code:
                    raise ValueError(f"the page has no {old!r} in the block after its smoke comment; correct it.")
                code = code.replace(old, new)
        found.append(Block(text.count("\n", 0, match.start("code")) + 1, code))
    return found


def not_finite(namespace: dict) -> list[str]:
    """Names whose numbers, or arrays anywhere inside, are not all finite."""
    import jax

    bad = []
    for name, value in namespace.items():
        if name.startswith("__") or isinstance(value, types.ModuleType | types.FunctionType | type):
            continue
        leaves = [value] if np.isscalar(value) else jax.tree.leaves(value)
        for leaf in leaves:
            # scalars inside a result may be NaN by design, such as the time step of an adaptive run
            counts = isinstance(leaf, np.ndarray | jax.Array) and (leaf.ndim > 0 or leaf is value)
            if counts and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
                continue
            if (counts or isinstance(leaf, float | complex)) and not np.all(np.isfinite(leaf)):
                bad.append(name)
                break
    return bad


def run(path: Path) -> None:
    """Execute the blocks; tracebacks point at the lines of the README."""
    namespace: dict = {"__name__": "__readme__"}
    for line, code in python_blocks(path.read_text()):
        exec(compile("\n" * (line - 1) + code, str(path), "exec"), namespace)
        bad = not_finite(namespace)
        if bad:
            raise SystemExit(f"{path}:{line}: not finite after this block: {', '.join(bad)}")


def class_of(page: str, name: str) -> type:
    """A class that a page defines, without running the rest of its block."""
    import jax
    import jax.numpy as jnp

    import jaxspin as js

    (code,) = (code for _, code in python_blocks((ROOT / page).read_text()) if f"class {name}(" in code)
    parts: list[ast.stmt] = [node for node in ast.parse(code).body if isinstance(node, ast.ImportFrom | ast.ClassDef)]
    held: dict = {"__name__": "__readme__", "js": js, "jax": jax, "jnp": jnp}
    exec(compile(ast.Module(parts, []), page, "exec"), held)
    return held[name]


@pytest.mark.parametrize("page", ["experiments/HOWTO.md", "experiments/CONTRIBUTING.md"])
def test_the_energy_of_ones_own_is_right_on_lattices_with_a_basis(page, key):
    """That of the page against the sum over all pairs at the nearest distance."""
    import equinox as eqx

    import jaxspin as js

    for lattice in (js.kagome(4), js.honeycomb(3, 4, periodic=(True, False)), js.square(4)):
        term = class_of(page, "Biquadratic")(lattice, 0.3)
        spins = js.random_spins(lattice, key=key)
        points, flat = lattice.positions().reshape(-1, 2), np.asarray(spins).reshape(-1, 3)
        steps = np.array(list(np.ndindex(3, 3))) - 1
        steps = steps[~np.any((steps != 0) & ~np.array(lattice.periodic), axis=1)]
        images = (steps * lattice.cells) @ np.array(lattice.vectors)
        apart = np.linalg.norm(points[:, None, None] - points[None, :, None] - images, axis=-1)
        near = np.sum(np.abs(apart - lattice.shell(1)[0].length) < 1e-6, axis=-1)
        expected = -0.3 * np.sum(near * (flat @ flat.T) ** 2) / 2
        assert np.isclose(eqx.filter_jit(term.energy)(spins), expected, rtol=1e-12)
        js.testing.assert_field_is_gradient(term, spins, key=key)
        if page == "experiments/CONTRIBUTING.md":
            assert term.on(lattice.resize(8)).lattice == lattice.resize(8)
            continue
        with pytest.raises(ValueError, match="Biquadratic does not move to another lattice; build it anew there"):
            term.on(lattice.resize(8))


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_every_python_block_runs_and_gives_finite_results(page, tmp_path):
    assert python_blocks((ROOT / page).read_text()), f"{page} shows no Python"
    # a process of its own has JAX's default settings, as a user has
    result = subprocess.run(
        [sys.executable, __file__, str(ROOT / page)],
        cwd=tmp_path,
        env={**os.environ, "MPLBACKEND": "Agg", "JAXSPIN_SMOKE": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert result.returncode == 0, result.stdout + result.stderr


SAMPLE = """# Title
<!-- smoke: 24, 24 -> 6, 6; n=8 -> n=2 -->
```python
x = (24, 24)
y = dict(n=8)
```
<!-- no-test -->
```python
raise RuntimeError
```
```bash
false
```

```python
z = x[0] * y["n"]
```
"""


def test_the_front_page_is_short():
    assert (ROOT / "README.md").read_text().count("\n") <= 150


def test_blocks_are_found_reduced_or_left_out(tmp_path):
    blocks = python_blocks(SAMPLE)
    assert [line for line, _ in blocks] == [4, 16]
    namespace: dict = {}
    for _, code in blocks:
        exec(code, namespace)
    assert namespace["z"] == 12
    with pytest.raises(ValueError, match="has no 'n=9' in the block after its smoke comment; correct it"):
        python_blocks(SAMPLE.replace("n=8 ->", "n=9 ->"))


def test_a_block_that_fails_or_is_not_finite_is_caught(tmp_path):
    path = tmp_path / "R.md"
    code = "import numpy as np\nok = np.ones(3)\nbad = [ok, ok / np.array([1, np.inf, np.nan])]\n"
    path.write_text(f"\n```python\n{code}```\n")
    with pytest.raises(SystemExit, match=r"R\.md:3: not finite after this block: bad$"):
        run(path)
    path.write_text("\n```python\nx = 1\n1 / 0\n```\n")
    with pytest.raises(ZeroDivisionError) as caught:
        run(path)
    assert caught.traceback[-1].lineno + 1 == 4


if __name__ == "__main__":
    run(Path(sys.argv[1]))
