"""Every notebook runs from top to bottom at the size of JAXSPIN_SMOKE=1."""

import re
from pathlib import Path

import nbformat
import pytest

from experiments import notebooks

FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
# Generous, as machines are shared; at smoke size a cell takes a minute at most.
CELL_SECONDS = 900


def test_notebooks_are_numbered_from_one_and_named():
    names = [path.name for path in NOTEBOOKS]
    assert names, "notebooks/ holds none"
    assert all(re.fullmatch(r"\d\d_[a-z0-9_]+\.ipynb", name) for name in names), names
    assert [int(name[:2]) for name in names] == list(range(1, len(names) + 1))


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
# the kernel's own libraries warn about event loops and sockets, which is not ours to mend
@pytest.mark.filterwarnings("ignore")
def test_notebook_runs(path, monkeypatch):
    monkeypatch.setenv("JAXSPIN_SMOKE", "1")
    notebook = notebooks.executed(path, CELL_SECONDS)
    assert any(cell.cell_type == "code" and cell.execution_count for cell in notebook.cells)
    notebooks.compare(nbformat.read(path, as_version=4), notebook)


def notebook_of(text, tags=("same",)):
    cell = nbformat.v4.new_code_cell("print()", metadata={"tags": list(tags)})
    cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=text)]
    return nbformat.v4.new_notebook(cells=[cell])


def test_what_may_not_change_is_compared():
    stored = notebook_of("energy -1.2345 t, 12 sites\n")
    notebooks.compare(stored, notebook_of("energy -1.2346 t, 12 sites\n"))
    notebooks.compare(notebook_of("time 3 s", tags=()), notebook_of("time 5 s", tags=()))
    for other in ("energy -1.24 t, 12 sites\n", "energy -1.2345 J, 12 sites\n", "energy -1.2345 t\n"):
        with pytest.raises(ValueError, match="should print what it printed when it was stored"):
            notebooks.compare(stored, notebook_of(other))


def test_what_is_kept_has_no_progress_and_a_size(tmp_path):
    made = notebook_of("1")
    made.cells[0].outputs.append(nbformat.v4.new_output("stream", name="stderr", text="100 %"))
    notebooks.keep(made, tmp_path / "a.ipynb")
    assert [out.name for out in nbformat.read(tmp_path / "a.ipynb", as_version=4).cells[0].outputs] == ["stdout"]
    with pytest.raises(ValueError, match=r"a.ipynb would have 1.0 MB; draw smaller figures"):
        notebooks.keep(notebook_of("x" * notebooks.LARGEST), tmp_path / "a.ipynb")
    with pytest.raises(ValueError, match="no notebook begins with 99"):
        notebooks.Config(names=("99",))
