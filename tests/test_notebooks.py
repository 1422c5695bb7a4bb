"""Every notebook runs from top to bottom at the size of JAXSPIN_SMOKE=1."""

import re
from pathlib import Path

import pytest

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
def test_notebook_runs(path, tmp_path, monkeypatch):
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("JAXSPIN_SMOKE", "1")
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=CELL_SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    )
    client.execute()
    assert any(cell.cell_type == "code" and cell.execution_count for cell in notebook.cells)
