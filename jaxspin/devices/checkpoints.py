"""The state of a run on many processes, written by all of them and read by any number of them."""

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
from jaxtyping import Array, PyTree

from jaxspin.devices.hosts import by_first_process
from jaxspin.extras import needed_for
from jaxspin.files import check_folder, refuse_existing, replace, undamaged, undo_replacement

if TYPE_CHECKING:
    import orbax.checkpoint


def save(path: str | os.PathLike, tree: PyTree[Array], *, overwrite: bool = False) -> Path:
    """Write a pytree of arrays to the folder `path`, each process its own part: call it on all processes.

    The folder must be on a file system that all processes see. Raises `FileExistsError` where it exists and
    `overwrite` is not given; that replaces what `save` wrote and nothing else, once the new one is complete.
    `ValueError` for the name of a file, such as one that ends in .npz.

    Example:
        >>> js.devices.save(tmp_path / "state", {"spins": spins}).name
        'state'
    """
    with needed_for("checkpoints"):
        import orbax.checkpoint as ocp

    check_folder(Path(path), ending="")
    path = Path(path).absolute()

    def check():
        undo_replacement(path)
        refuse_existing(path, overwrite)
        if path.exists() and not _saved_here(path):
            raise FileExistsError(
                f"{path} is no checkpoint of jaxspin.devices.save and will not be replaced; choose another path."
            )

    by_first_process(check)
    partial = path.with_name(f".{path.name}.partial")
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(partial, _named(tree), force=True)  # over what a killed process left
    by_first_process(lambda: replace(partial, path))
    return path


def load(path: str | os.PathLike, like: PyTree[Array]) -> PyTree[Array]:
    """What `save` wrote, as a tree like `like`, on its mesh: on any mesh, by any number of processes.

    `like` holds arrays, or `jax.ShapeDtypeStruct` with a sharding (`jaxspin.devices.sharding(mesh)`). Raises
    `FileNotFoundError` where nothing is, `ValueError` where `like` has other shapes.

    Example:
        >>> path = js.devices.save(tmp_path / "state", {"spins": spins})
        >>> bool(jnp.array_equal(js.devices.load(path, {"spins": spins})["spins"], spins))
        True
    """
    with needed_for("checkpoints"):
        import orbax.checkpoint as ocp

    path = Path(path).absolute()
    by_first_process(lambda: undo_replacement(path))
    if not path.exists():
        raise FileNotFoundError(f"there is no checkpoint at {path}; give the folder that jaxspin.devices.save wrote.")
    with ocp.StandardCheckpointer() as checkpointer:
        _check_like(path, checkpointer, like)
        with undamaged(path):
            stored = checkpointer.restore(path, jax.tree.map(ocp.utils.to_shape_dtype_struct, _named(like)))
    return jax.tree.unflatten(jax.tree.structure(like), [stored[name] for name in sorted(stored)])


def _saved_here(path: Path) -> bool:
    """Whether a folder is a checkpoint whose arrays have the names that `save` gives."""
    try:
        names = json.loads((path / "_METADATA").read_text())["tree_metadata"]
        return all(re.fullmatch(r"\('\d{4,}',\)", name) for name in names)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _check_like(path: Path, checkpointer: "orbax.checkpoint.StandardCheckpointer", like: PyTree[Array]) -> None:
    with undamaged(path):
        metadata: Any = checkpointer.metadata(path)
        # older versions of orbax have the metadata of the arrays themselves here
        metadata = getattr(metadata, "item_metadata", metadata)
        stored = {name: tuple(x.shape) for name, x in metadata.tree.items()}
    wanted = {name: tuple(x.shape) for name, x in _named(like).items()}
    if stored != wanted:
        raise ValueError(
            f"{path} holds arrays of the shapes {list(stored.values())}, not {list(wanted.values())}; "
            "pass a `like` of the form that was saved."
        )


def _named(tree: PyTree[Array]) -> dict[str, Array]:
    return {f"{n:04d}": leaf for n, leaf in enumerate(jax.tree.leaves(tree))}
