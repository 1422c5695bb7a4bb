"""A static site: README, chapters, notebooks, a gallery of all figures, and every public name.

    pip install -e ".[docs]" && python -m experiments.site --output runs/site

Reads the pages of the repository as they are. Every link within the site is followed in the end, and one that leads
nowhere is an error; links to other files of the repository get a copy of the file. Nothing is run: notebooks are shown
with the outputs that they hold.
"""

import dataclasses
import html
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from tqdm import tqdm

from experiments.stages import Output, main
from jaxspin.extras import needed_for
from jaxspin.io import new_folder

with needed_for("docs"):
    import pdoc

    from experiments.site_pages import STYLE, framed, from_markdown, from_notebook, title_of

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *ROOT.glob("experiments/**/*.md")])
NOTEBOOKS = sorted(ROOT.glob("notebooks/*.ipynb"))
TOP = {
    "jaxspin": "index.html",
    "How to": "experiments/HOWTO.html",
    "Answers": "experiments/ANSWERS.html",
    "Experiments": "experiments/index.html",
    "Notebooks": "notebooks/index.html",
    "Gallery": "gallery.html",
    "Names": "api/jaxspin.html",
    "Changes": "CHANGELOG.html",
}
_FIGURE = re.compile(r"(!?)\[([^\]]*)\]\(([^()\s]+\.png)\)")


@dataclasses.dataclass(frozen=True)
class Config(Output):
    """Where the site goes."""

    output: Path = Path("runs/site")
    """Folder for the pages; an existing one is refused."""
    names: bool = True
    """Whether to make the pages of the public names, which takes most of the time."""


def run(config: Config) -> dict[str, Any]:
    """Writes the site; `ValueError` naming the links that lead nowhere."""
    top = TOP if config.names else {name: place for name, place in TOP.items() if not place.startswith("api/")}
    folder = new_folder(config.output, overwrite=config.overwrite)
    (folder / "style.css").write_text(STYLE)
    for page in tqdm([*PAGES, *NOTEBOOKS], desc="pages", unit="page"):
        write(folder, page, top)
    list_notebooks(folder, top)
    figures = gallery(folder, top)
    if config.names:
        pdoc.pdoc("jaxspin", output_directory=folder / "api")
    if lost := list(broken(folder)):
        told = "\n".join(f"{page}: {link}" for page, link in lost)
        raise ValueError(f"links of the site lead nowhere; mend them in the pages:\n{told}")
    return {"pages": len(PAGES), "notebooks": len(NOTEBOOKS), "figures": figures}


def place_of(page: Path) -> Path:
    """Where a page, a notebook, a folder or any other file of the repository is found in the site."""
    place = page.relative_to(ROOT)
    if page.is_dir():
        has_page = (page / "README.md").exists() or page.name == "notebooks"
        return place / "index.html" if has_page else place
    if page.name == "README.md":
        return place.with_name("index.html")
    return place.with_suffix(".html") if page.suffix in (".md", ".ipynb") else place


def write(folder: Path, page: Path, top: dict[str, str]) -> None:
    """One page of the site, with the links `top` above it."""
    place = place_of(page)

    def led(link: str) -> str:
        target, mark, anchor = link.partition("#")
        if re.match(r"[a-z]+:", link) or not target:
            return link
        source = (page.parent / unquote(target)).resolve()
        if not source.is_relative_to(ROOT) or not source.exists():
            return link  # found broken in the end
        if source.is_file() and source.suffix not in (".md", ".ipynb"):
            copied = folder / source.relative_to(ROOT)
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copied)
        return os.path.relpath(place_of(source), place.parent) + mark + anchor

    text = page.read_text()
    body = from_notebook(page, led) if page.suffix == ".ipynb" else from_markdown(text, led)
    named = page.stem[3:].replace("_", " ").capitalize() + "?" if page.suffix == ".ipynb" else title_of(text, page.stem)
    put(folder, place, named, body, top)


def put(folder: Path, place: Path, title: str, body: str, top: dict[str, str]) -> None:
    """A page in the frame of the site."""
    (folder / place).parent.mkdir(parents=True, exist_ok=True)
    to_root = "../" * (len(place.parts) - 1)
    (folder / place).write_text(framed(html.escape(title), body, to_root, top, place.as_posix()))


def list_notebooks(folder: Path, top: dict[str, str]) -> None:
    """The page that lists the notebooks."""
    rows = "\n".join(
        f'<li><a href="{path.stem}.html">{path.stem[3:].replace("_", " ").capitalize()}?</a></li>' for path in NOTEBOOKS
    )
    put(folder, Path("notebooks/index.html"), "Notebooks", f"<h1>Notebooks</h1>\n<ul>{rows}</ul>", top)


def gallery(folder: Path, top: dict[str, str]) -> int:
    """All figures of results, by chapter, with the words of the page that shows them; how many there are."""
    words: dict[Path, tuple[str, Path]] = {}
    # the words under a picture, then those of a link; those of a chapter before those of the table of all
    for wanted in ("!", ""):
        for page in sorted(PAGES, key=lambda page: -len(page.parts)):
            for shown, text, link in _FIGURE.findall(page.read_text()):
                if shown == wanted:
                    words.setdefault((page.parent / link).resolve(), (text, page))
    groups: dict[Path, list[Path]] = {}
    for figure in sorted(ROOT.glob("experiments/**/*.png")):
        if "results" in figure.as_posix():
            page = words[figure][1] if figure in words else figure.relative_to(ROOT).parts[1]
            chapter = page.parent if isinstance(page, Path) else ROOT / "experiments" / page
            groups.setdefault(chapter, []).append(figure)
    body = ["<h1>Gallery</h1>"]
    for chapter, figures in groups.items():
        body.append(f"<h2>{chapter.name}</h2>\n<div class=figures>")
        for figure in figures:
            place = figure.relative_to(ROOT)
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(figure, folder / place)
            said, page = words.get(figure, (place.stem.replace("_", " "), None))
            run_name = place.parent.name.replace("_", " ")
            more = "" if page is None else f' <a href="{place_of(page).as_posix()}">{run_name}</a>'
            text = f"{html.escape(said)}{more or ' ' + html.escape(run_name)}"
            shown = f'<img src="{place.as_posix()}" alt="{html.escape(said)}" loading="lazy">'
            body.append(f'<figure><a href="{place.as_posix()}">{shown}</a>\n<figcaption>{text}</figcaption></figure>')
        body.append("</div>")
    put(folder, Path("gallery.html"), "Gallery", "\n".join(body), top)
    return sum(map(len, groups.values()))


def broken(folder: Path) -> Iterator[tuple[str, str]]:
    """The links of our pages to no file of the site, or to no anchor in one."""
    texts = {path.resolve(): path.read_text() for path in folder.glob("**/*.html")}
    for path, text in texts.items():
        if path.is_relative_to(folder.resolve() / "api"):
            continue  # what pdoc has made
        for link in re.findall(r'(?:href|src)="([^"]+)"', text):
            target, _, anchor = link.partition("#")
            if re.match(r"[a-z]+:", link):
                continue
            place = (path.parent / unquote(target)).resolve() if target else path
            there = texts.get(place)
            if not place.is_file() or (anchor and there is not None and f'id="{anchor}"' not in there):
                yield path.relative_to(folder.resolve()).as_posix(), link


if __name__ == "__main__":
    main(Config, run, __doc__, lambda found, _: found)
