"""The numbers of README.md and of the pages of the experiments, made from the committed results.

    python -m experiments.tables            # writes them anew
    python -m experiments.tables --check    # says what differs, and fails if anything does

A table stands between `<!-- table: NAME -->` and `<!-- end table -->` and is made by the function of that name in
`experiments.stages.tables`. A sentence with numbers is a template in `experiments.stages.claims`: what it must say is
looked for in the text, and where only its numbers differ these are replaced.
"""

import dataclasses
import re
from pathlib import Path

from experiments.stages import main_without_folder
from experiments.stages.claims import SENTENCES, claims
from experiments.stages.tables import TABLES

ROOT = Path(__file__).parent.parent
DOCUMENTS = tuple(SENTENCES)
_TABLE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end table -->)", re.DOTALL)
_NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?(?![\w])")


@dataclasses.dataclass(frozen=True)
class Config:
    """What to do."""

    check: bool = False
    """Change nothing, and fail where a document does not say what the results do."""


def run(config: Config) -> list[str]:
    """Every difference found; the documents are brought into agreement unless `check`."""
    found = []
    for name in DOCUMENTS:
        path = ROOT / name
        old = path.read_text()
        new, differences = renewed(old, claims(name))
        found += [f"{name}: {difference}" for difference in differences]
        if new != old and not config.check:
            path.write_text(new)
    for line in found:
        print(line)
    if config.check and found:
        raise ValueError(f"{len(found)} numbers differ from the results; run python -m experiments.tables.")
    return found


def renewed(text: str, sentences: list[str]) -> tuple[str, list[str]]:
    """A document with its tables and sentences as the results have them, and what was different.

    Raises `ValueError` for a table that nothing makes, and a sentence whose words are not in the text once.
    """
    found: list[str] = []

    def table(match: re.Match) -> str:
        name = match[2]
        if name not in TABLES:
            raise ValueError(f"nothing makes the table {name!r}; add it to experiments.stages.tables.")
        made = match[1] + TABLES[name]() + match[3]
        if made != match[0]:
            found.append(f"the table {name} is\n{made}")
        return made

    text = _TABLE.sub(table, text)
    for sentence in sentences:
        text, difference = said(text, sentence)
        found += difference
    return text, found


def said(text: str, sentence: str) -> tuple[str, list[str]]:
    """The text with the numbers of `sentence`, wherever its lines are broken, and the sentence where they differed."""
    parts = re.split(f"({_NUMBER.pattern})", sentence)
    words = [r"\s+".join(map(re.escape, re.split(r"\s+", part))) for part in parts[::2]]
    pattern = f"({_NUMBER.pattern})".join(f"({word})" for word in words)
    matches = list(re.finditer(pattern, text))
    if len(matches) != 1:
        raise ValueError(f"{len(matches)} places say {sentence!r}; write the sentence, or change the template.")
    (match,) = matches
    made = "".join(parts[n] if n % 2 else match[n + 1] for n in range(len(parts)))
    return text[: match.start()] + made + text[match.end() :], [] if made == match[0] else [f"it is {sentence!r}"]


if __name__ == "__main__":
    main_without_folder(Config, run, __doc__)
