"""The state of a run on many processes, written by all of them and read by any number of them."""

import os
from pathlib import Path

import jax
import orbax.checkpoint as ocp
from jaxtyping import Array, PyTree

from jaxspin.hosts import by_first_process


def save(path: str | os.PathLike, tree: PyTree[Array], *, overwrite: bool = False) -> Path:
    """Write a pytree of arrays to the folder `path`, each process its own part: call it on all processes.

    The folder must be on a file system that all processes see. Raises `FileExistsError` where it exists and
    `overwrite` is not given.
    """
    path = Path(path).absolute()

    def check():
        if path.exists() and not overwrite:
            raise FileExistsError(f"{path} exists; choose another path or pass overwrite=True.")

    by_first_process(check)
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(path, _named(tree), force=overwrite)
    return path


def load(path: str | os.PathLike, like: PyTree[Array]) -> PyTree[Array]:
    """What `save` wrote, in the form, types and places of `like`: on whatever mesh, of any number of processes.

    `like` holds arrays, or `jax.ShapeDtypeStruct` with a sharding (`jaxspin.scale.sharding(mesh)`). Raises
    `FileNotFoundError` where nothing is, `ValueError` where `like` has other shapes.
    """
    path = Path(path).absolute()
    if not path.exists():
        raise FileNotFoundError(f"there is no checkpoint at {path}; give the folder that jaxspin.scale.save wrote.")
    with ocp.StandardCheckpointer() as checkpointer:
        stored = checkpointer.restore(path, jax.tree.map(ocp.utils.to_shape_dtype_struct, _named(like)))
    return jax.tree.unflatten(jax.tree.structure(like), [stored[name] for name in sorted(stored)])


def _named(tree: PyTree[Array]) -> dict[str, Array]:
    return {f"{n:04d}": leaf for n, leaf in enumerate(jax.tree.leaves(tree))}
