"""Pages of the site: Markdown and notebooks as HTML, their links led to the pages made of them."""

import re
import string
from collections.abc import Callable
from pathlib import Path

import nbconvert
import nbformat
from latex2mathml.converter import convert
from markdown_it import MarkdownIt
from markdown_it.token import Token
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name

STYLE = """
:root { --ink: #1c2430; --soft: #5b6675; --line: #dde2ea; --link: #1f5fa8; --back: #ffffff; --code: #f5f7fa; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e3e8ef; --soft: #9aa6b5; --line: #333c48; --link: #8ab8f0; --back: #161b22; --code: #1f262f; }
  img { background: #fff; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
nav { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; padding: .7rem 1.2rem; border-bottom: 1px solid var(--line); }
nav a { color: var(--soft); text-decoration: none; } nav a:first-child { font-weight: 700; color: var(--ink); }
nav a[aria-current] { color: var(--link); }
main { max-width: 60rem; margin: 0 auto; padding: 1rem 1.2rem 4rem; overflow-wrap: break-word; }
a { color: var(--link); } h1, h2, h3 { line-height: 1.25; } h2 { margin-top: 2.2rem; }
img { max-width: 100%; height: auto; border-radius: 4px; }
pre, code { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: .86em; }
code { background: var(--code); padding: .1em .25em; border-radius: 3px; }
pre { background: var(--code); padding: .8rem 1rem; overflow-x: auto; border-radius: 6px; } pre code { padding: 0; }
.table { overflow-x: auto; } table { border-collapse: collapse; font-size: .93em; }
th, td { border: 1px solid var(--line); padding: .35rem .6rem; text-align: left; vertical-align: top; }
.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(16rem, 1fr)); gap: 1rem; }
figure { margin: 0; border: 1px solid var(--line); border-radius: 6px; padding: .6rem; }
figcaption { font-size: .86em; color: var(--soft); }
.prompt, .anchor-link { display: none; }
"""
_COLORS = HtmlFormatter(style="default").get_style_defs(".highlight")
_DARK = HtmlFormatter(style="github-dark").get_style_defs(".highlight")
STYLE += f"{_COLORS}\n.highlight {{ background: none; }}\n@media (prefers-color-scheme: dark) {{\n{_DARK}\n}}\n"


def framed(title: str, body: str, to_root: str, links: dict[str, str], here: str) -> str:
    """A whole page; `links` are those of the top, each from the root of the site, `here` is this page's place."""
    top = "\n".join(
        f'<a href="{to_root}{place}"{" aria-current=page" if place == here else ""}>{name}</a>'
        for name, place in links.items()
    )
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{title}</title>\n'
        f'<link rel="stylesheet" href="{to_root}style.css"></head>\n<body><nav>{top}</nav>\n<main>\n{body}\n</main>'
        "</body></html>\n"
    )


def anchor(heading: str) -> str:
    """The name that GitHub gives a heading: lower case, words joined by hyphens, other signs left out."""
    removed = str.maketrans("", "", re.sub("[-_]", "", string.punctuation))
    return heading.strip().lower().translate(removed).replace(" ", "-")


def from_markdown(text: str, led: Callable[[str], str]) -> str:
    """HTML of a page, every link and image as `led` says."""
    reader = MarkdownIt("commonmark", {"html": True, "highlight": _highlighted}).enable("table")
    tokens = reader.parse(text)
    for number, token in enumerate(tokens):
        if token.type == "heading_open":
            token.attrSet("id", anchor(tokens[number + 1].content))
        for child in token.children or ():
            _lead(child, led)
    html = reader.renderer.render(tokens, reader.options, {})
    return html.replace("<table>", '<div class="table"><table>').replace("</table>", "</table></div>")


def _highlighted(code: str, language: str, _: str) -> str:
    """A block of code in colours where its language is named, else as it is."""
    if not language:
        return ""
    return f'<pre class="highlight">{highlight(code, get_lexer_by_name(language), HtmlFormatter(nowrap=True))}</pre>'


def _lead(token: Token, led: Callable[[str], str]) -> None:
    for name in ("href", "src"):
        if name in token.attrs:
            token.attrSet(name, led(str(token.attrs[name])))


def from_notebook(path: Path, led: Callable[[str], str]) -> str:
    """HTML of a notebook with the outputs that it holds."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            led_to = re.sub(r"\]\(([^()\s]+)\)", lambda found: f"]({led(found[1])})", cell.source)
            cell.source = re.sub(r"\$([^$\n]+)\$", lambda found: convert(found[1]), led_to)
    body, _ = nbconvert.HTMLExporter(template_name="basic").from_notebook_node(notebook)
    return body


def title_of(text: str, otherwise: str) -> str:
    """The first heading of a page."""
    found = re.search(r"^# +(.*?) *$", text, re.MULTILINE)
    return found[1].replace("`", "") if found else otherwise
