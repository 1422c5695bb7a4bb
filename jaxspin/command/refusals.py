"""What a command line refuses is one line and exit status 2. No arrays."""

import contextlib
import re
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

# What our checks raise.
KINDS = (ValueError, TypeError, FileExistsError, FileNotFoundError, NotADirectoryError, MemoryError)
_PACKAGE = Path(__file__).parent.parent


@contextlib.contextmanager
def refusals(name: str = "jaxspin", roots: Sequence[Path] = (_PACKAGE,)) -> Iterator[None]:
    """A refusal raised by the code below `roots`, not by a library beneath it, ends with one line and status 2."""
    try:
        yield
    except (PermissionError, NotADirectoryError, IsADirectoryError) as error:
        told = error.strerror or str(error)
        if error.filename is not None:  # of the system, and not told by us
            told = f"{error.filename}: {told}; choose another path, or change its permissions."
        print(f"{name}: {' '.join(told.split())}", file=sys.stderr)
        raise SystemExit(2) from None
    except KINDS as error:
        last = Path(traceback.extract_tb(error.__traceback__)[-1].filename)
        if not any(last.is_relative_to(root) for root in roots):
            raise
        print(f"{name}: {' '.join(str(error).split())}", file=sys.stderr)
        raise SystemExit(2) from None


def one_line(box: str) -> str:
    """What tyro says in the first part of its box, below the title."""
    rows = [row.strip("│| ") for row in re.sub(r"\x1b\[[0-9;]*m", "", box).strip().splitlines()]
    lines = [n for n, row in enumerate(rows) if not row.strip("─-╰╯+")]  # between parts, without UTF-8 below the title
    begin = 2 if 1 in lines else 1
    words = " ".join(rows[begin : next((n for n in lines if n > begin), len(rows))])
    return words.rstrip(". ") + ("." if "--help" in words else "; see --help.")
