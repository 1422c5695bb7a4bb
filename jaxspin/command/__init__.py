"""The command line `jaxspin`, also `python -m jaxspin`: see `jaxspin --help`. No arrays."""

import sys
from collections.abc import Sequence

import jaxspin
from jaxspin.command.refusals import refusals
from jaxspin.extras import needed_for

__all__ = ["main"]


def main(words: Sequence[str] | None = None) -> None:
    """Do what the command line says: `words`, by default those that the program was called with, none is `info`.

    `--version` prints the version.

    Raises `SystemExit` with status 2, and one line that says what to change, for what is refused.
    """
    given = list(sys.argv[1:] if words is None else words) or ["info"]
    with refusals():
        if given == ["--version"]:
            print(f"jaxspin {jaxspin.__version__}")
            return
        if given != ["info"]:
            with needed_for("command lines"):
                from jaxspin.command.commands import parsed

            parsed(given).run()
            return
        from jaxspin.command.info import report

        print(report())
