"""The site is made of the pages as they are, and no link of it leads nowhere."""

import json
from pathlib import Path

import pytest

from experiments import site, site_pages
from tests.test_links import anchors


def test_the_site_has_every_page_and_figure_and_no_broken_link(tmp_path):
    made = site.run(site.Config(output=tmp_path / "site", names=False))
    written = {path.relative_to(tmp_path / "site").as_posix() for path in (tmp_path / "site").glob("**/*.html")}
    assert written >= {place for name, place in site.TOP.items() if name != "Names"}
    assert len(written) == made["pages"] + made["notebooks"] + 2
    assert all(">Names</a>" not in page.read_text() for page in (tmp_path / "site").glob("**/*.html"))
    assert made["figures"] == (tmp_path / "site" / "gallery.html").read_text().count("<figure>") > 50
    with pytest.raises(FileExistsError):
        site.run(site.Config(output=tmp_path / "site", names=False))


def test_links_to_nowhere_are_refused(tmp_path, monkeypatch):
    root = tmp_path / "root"
    root.mkdir()
    page = root / "README.md"
    page.write_text("# Title\n\n[a](#title) [b](other.md) [c](#gone)\n")
    for name, value in (("ROOT", root), ("PAGES", [page]), ("NOTEBOOKS", []), ("TOP", {})):
        monkeypatch.setattr(site, name, value)
    with pytest.raises(ValueError, match=r"mend them in the pages:\nindex.html: other.md\nindex.html: #gone$"):
        site.run(site.Config(output=tmp_path / "site", names=False))


def test_anchors_are_those_of_the_pages():
    for page in site.PAGES:
        text = page.read_text()
        html = site_pages.from_markdown(text, str)
        assert all(f'id="{name}"' in html for name in anchors(text)), page


def test_code_tables_and_formulas(tmp_path):
    html = site_pages.from_markdown("| a |\n| - |\n| b |\n\n```python\nx = 1\n```\n", str)
    assert '<div class="table"><table>' in html
    assert '<pre class="highlight"><span' in html
    notebook = Path(tmp_path) / "a.ipynb"
    cell = {"cell_type": "markdown", "id": "a", "metadata": {}, "source": "spins $S_i$, [more](b.md)"}
    notebook.write_text(json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    html = site_pages.from_notebook(notebook, lambda link: link + "!")
    assert "<msub><mi>S</mi><mi>i</mi></msub>" in html
    assert 'href="b.md!"' in html
