"""What the pages, notebooks and docstrings point at is there: files, headings, modules of the experiments."""

import ast
import json
import re
import string
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("experiments/**/*.md"), *ROOT.glob("notebooks/*.ipynb")])
SOURCES = sorted([*ROOT.glob("jaxspin/**/*.py"), *ROOT.glob("experiments/**/*.py"), *ROOT.glob("tests/**/*.py")])
_LINK = re.compile(r"\]\(([^()\s]+)\)")
_CODE = re.compile(r"^```.*?^```[ \t]*$", re.MULTILINE | re.DOTALL)
_MODULE = re.compile(r"\bexperiments(?:\.[a-z_][a-z_0-9]*)+")


def text_of(path: Path) -> str:
    """A page as Markdown; of a notebook the cells of that kind."""
    if path.suffix != ".ipynb":
        return path.read_text()
    cells = json.loads(path.read_text())["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def anchors(text: str) -> set[str]:
    """What GitHub names the headings: lower case, words joined by hyphens, other signs left out."""
    removed = str.maketrans("", "", re.sub("[-_]", "", string.punctuation))
    headings = re.findall(r"^#+ +(.*?) *$", _CODE.sub("", text), re.MULTILINE)
    return {heading.lower().translate(removed).replace(" ", "-") for heading in headings}


def broken_links(path: Path, text: str) -> list[str]:
    """The links of a page to no file, or to no heading of a page."""
    found = []
    for link in _LINK.findall(_CODE.sub("", text)):
        place, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", link):
            continue
        target = path if not place else path.parent / place
        if not target.exists() or (anchor and anchor not in anchors(text if not place else text_of(target))):
            found.append(link)
    return found


def missing_modules(text: str) -> list[str]:
    """The names `experiments.A.B` in a text that are no module, nor a name in one."""
    return [name for name in sorted(set(_MODULE.findall(text))) if not is_there(ROOT.joinpath(*name.split(".")))]


def is_there(place: Path) -> bool:
    if place.is_dir() or place.with_suffix(".py").exists():
        return True
    inside = place.parent / "__init__.py" if place.parent.is_dir() else place.parent.with_suffix(".py")
    return inside.exists() and defines(inside, place.name)


def defines(path: Path, name: str) -> bool:
    """Whether a module holds a name at its top."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            return True
        if isinstance(node, ast.Import | ast.ImportFrom) and name in {a.asname or a.name for a in node.names}:
            return True
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            return True
    return False


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path):
    assert broken_links(path, text_of(path)) == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_pages_name_modules_that_are_there(path):
    assert missing_modules(path.read_text()) == []


def test_sources_name_modules_that_are_there():
    found = {
        str(path.relative_to(ROOT)): missing_modules(path.read_text()) for path in SOURCES if path != Path(__file__)
    }
    assert {name: names for name, names in found.items() if names} == {}


def test_every_chapter_has_a_page_that_names_its_scripts():
    index = (ROOT / "experiments" / "README.md").read_text()
    for path in sorted(ROOT.glob("experiments/*/*.py")):
        if '__name__ == "__main__"' not in path.read_text():
            continue
        chapter = path.parent
        assert f"]({chapter.name}/README.md)" in index
        for page in (index, (chapter / "README.md").read_text()):
            assert f"`{path.stem}`" in page, path


def test_what_leads_nowhere_is_found(tmp_path):
    page, other = tmp_path / "a.md", tmp_path / "b.md"
    other.write_text("# One: `two`, three\n")
    page.write_text(
        "[x](b.md) [x](b.md#one-two-three) [x](b.md#four) [x](c.md) [x](https://a.org/b)\n"
        "[x](#here) [x](#gone)\n## here\n```\n[x](none.md)\n# gone\n```\n"
    )
    assert broken_links(page, page.read_text()) == ["b.md#four", "c.md", "#gone"]
    text = "`experiments.fit`, experiments.accuracy.fit.run and experiments.accuracy"
    assert missing_modules(text) == ["experiments.fit"]
