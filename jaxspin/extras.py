"""Packages that only files, figures and command lines need, imported where they are used. No arrays."""

import contextlib
from collections.abc import Iterator

# What pip calls a package, where that is another name than Python's.
_PIP = {"orbax": "orbax-checkpoint"}


@contextlib.contextmanager
def needed_for(purpose: str) -> Iterator[None]:
    """Around imports of such packages: where one is missing, `ModuleNotFoundError` says for what, and what to install.

    `purpose` is a plural, such as "figures". What a package that is there does not find in itself stays as it is.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package, _, inside = (error.name or "").partition(".")
        if not package or inside:
            raise
        package = _PIP.get(package, package)
        raise ModuleNotFoundError(
            f"{purpose} need the package {package}, which is not installed; pip install {package}.", name=error.name
        ) from error


def check_stores() -> None:
    """Raise `ModuleNotFoundError` where no store can be written: called before the work that would be lost."""
    with needed_for("stores on disk"):
        import xarray  # noqa: F401
        import zarr  # noqa: F401
