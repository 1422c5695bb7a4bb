"""Files and folders that are whole, or not there: replaced at once, never half; damage that names its path."""

import contextlib
import errno
import os
import shutil
from pathlib import Path

# Endings of single files, which no folder should have.
_OF_FILES = {
    *(".npz", ".npy", ".csv", ".txt", ".dat", ".json", ".toml", ".yaml", ".pkl", ".h5", ".hdf5", ".nc", ".zip"),
    *(".ovf", ".omf", ".vtk", ".vtu", ".vti", ".pvd", ".xyz", ".cif", ".png", ".pdf", ".svg", ".gif", ".mp4", ".py"),
}


def remove(path: Path) -> None:
    """Delete a file, a folder with its contents, or a link (never what the link points to)."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def check_folder(path: Path, ending: str = ".zarr") -> None:
    """Raise `ValueError` for the name of a file of another format, where a folder is to be written."""
    suffix = path.suffix.lower()
    if suffix in _OF_FILES:
        remedy = f"end its name in {ending}" if ending else "leave its ending out"
        note = f"np.savez({path.name!r}, ...) writes a file of NumPy" if suffix == ".npz" else ""
        raise ValueError(f"{path} would be a folder and no {suffix} file; {remedy}{f' ({note})' if note else ''}.")


def refuse_existing(path: Path, overwrite: bool) -> None:
    """Raise `FileExistsError` where `path` exists and may not be replaced."""
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists; choose another path or pass overwrite=True.")


def replace(new: Path, path: Path) -> None:
    """Give a complete folder the name `path`; what bore it goes after that.

    Folders cannot change places in one step: killed in between, the old one is beside its name, from where
    `undo_replacement` takes it back.
    """
    old = _replaced(path)
    if not path.exists():
        new.rename(path)
        return
    if old.exists():
        remove(old)
    path.rename(old)
    try:
        new.rename(path)
    except OSError:
        old.rename(path)
        raise
    remove(old)


def undo_replacement(path: Path) -> None:
    """Give the old folder its name back where a process was killed before the new one had it."""
    old = _replaced(path)
    if not path.exists() and old.is_dir():
        with contextlib.suppress(FileNotFoundError):  # another reader was faster
            old.rename(path)


def _replaced(path: Path) -> Path:
    return path.with_name(f".{path.name}.replaced")


@contextlib.contextmanager
def explained(path: Path):
    """An error of the file system says what it means for `path`."""
    remedies = {
        errno.ENOSPC: "free some space and go on, or choose a path on another disk",
        errno.EDQUOT: "free some space and go on, or choose a path on another disk",
        errno.EFBIG: "raise the limit of the file size (ulimit -f) and go on",
        errno.EROFS: "choose a path that can be written to",
        errno.EACCES: "choose a path that can be written to, or change its permissions",
        errno.EPERM: "choose a path that can be written to, or change its permissions",
    }
    try:
        yield
    except OSError as error:
        if error.errno not in remedies:
            raise
        raise type(error)(
            error.errno,
            f"{path} could not be written ({os.strerror(error.errno)}), what is stored is as it was; "
            f"{remedies[error.errno]}",
        ) from error


class DamagedFile(ValueError):
    """A file that cannot be read: which, why, and what to do."""


@contextlib.contextmanager
def undamaged(path: str | os.PathLike, name: str = ""):
    """What a damaged file makes of its reading becomes a `ValueError` that names the path and the remedy."""
    try:
        yield
    except Exception as error:  # each codec has its own
        if isinstance(error, MemoryError | DamagedFile) or getattr(error, "errno", None):
            raise  # of the machine and not of the file, or told already
        which = f"its array {name!r}" if name else "its description"
        raise DamagedFile(
            f"{path} is damaged: {which} cannot be read ({type(error).__name__}: {error}); "
            "restore it from a copy, or move it away and make it again."
        ) from error
