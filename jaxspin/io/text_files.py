"""Text files of other programs: their lines, plain or in gzip, and errors that name the file and the line."""

import gzip
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from jaxspin.devices.hosts import by_first_process
from jaxspin.files import refuse_existing


class TextFile:
    """The lines of a file, counted from 1 in messages and from 0 here; a name that ends in .gz is unpacked.

    Raises `FileNotFoundError`, and `ValueError` for what is no text, or no whole gzip.
    """

    def __init__(self, path: Path):
        self.path = path
        try:
            content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            self.lines = content.decode().splitlines()
        except (gzip.BadGzipFile, EOFError, zlib.error, UnicodeDecodeError) as error:
            raise ValueError(
                f"{path} is no whole text file ({error}); copy it again, and let its name end in .gz only if it is "
                "compressed."
            ) from None

    def wrong(self, line: int, what: str, remedy: str) -> ValueError:
        """An error that names the file and the line, which counts from 0."""
        return ValueError(f"{self.path}, line {line + 1}: {what}; {remedy}.")

    def integer(self, line: int, what: str, remedy: str) -> int:
        """The only number of a line, positive."""
        text = self.lines[line].strip() if line < len(self.lines) else ""
        if not (text.isdecimal() and int(text) > 0):
            raise self.wrong(line, f"{text!r} is not {what}, a positive integer", remedy)
        return int(text)

    def table(self, first: int, rows: int, columns: int, remedy: str) -> np.ndarray:
        """`(rows, columns)` of the numbers in the lines from `first`, none of them blank."""
        lines = self.lines[first : first + rows]
        if len(lines) < rows:
            raise self.wrong(
                len(self.lines),
                f"the file ends here, {rows - len(lines)} lines before it should",
                f"it is cut short: {remedy}",
            )
        try:
            numbers = np.array(" ".join(lines).split(), np.float64)
        except ValueError:
            numbers = np.empty(0)
        right = numbers.size == rows * columns and bool(np.isfinite(numbers).all())
        if right and all(len(line.split()) == columns for line in lines):
            return numbers.reshape(rows, columns)
        line = next(n for n, line in enumerate(lines) if not _holds_numbers(line, columns))
        raise self.wrong(first + line, f"{lines[line].strip()!r} is not {columns} numbers", remedy)


def real(text: str) -> float:
    """A number as Fortran writes it, with d or e before its exponent; `ValueError` for anything else."""
    return float(text.lower().replace("d", "e"))


def save_text(path: Path, lines: Iterable[str], overwrite: bool) -> Path:
    """Write the lines under another name, then rename: a kill leaves the old file, or the new one whole.

    Raises `FileExistsError` where the file exists and `overwrite` is not given, `FileNotFoundError` where the folder
    does not exist.
    """
    text = "\n".join([*lines, ""])

    def write() -> None:
        refuse_existing(path, overwrite)
        partial = path.with_name(f".{path.name}.partial")
        partial.write_text(text)
        partial.replace(path)

    by_first_process(write)
    return path


def _holds_numbers(line: str, columns: int) -> bool:
    try:
        numbers = [float(word) for word in line.split()]
    except ValueError:
        return False
    return len(numbers) == columns and bool(np.isfinite(numbers).all())
