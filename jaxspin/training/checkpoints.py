"""What a killed training needs to go on exactly: its state as arrays, its history and whose it is, kept by Orbax."""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxspin.devices.hosts import to_host
from jaxspin.extras import needed_for

if TYPE_CHECKING:
    import orbax.checkpoint

_FORMAT = 1


def manager(folder: str | Path | None) -> "orbax.checkpoint.CheckpointManager | None":
    """The keeper of the checkpoints in `folder`, which need not exist; None for no folder."""
    if folder is None:
        return None
    with needed_for("checkpoints"):
        import orbax.checkpoint as ocp

    options = ocp.CheckpointManagerOptions(max_to_keep=2, enable_async_checkpointing=False)
    return ocp.CheckpointManager(Path(folder).absolute(), options=options, item_names=("state", "story"))


def store(
    manager: "orbax.checkpoint.CheckpointManager", step: int, state: Any, history: dict, identity: dict[str, Any]
) -> None:
    """Keep a pytree of arrays and numbers, the history, and what tells this training from another."""
    import orbax.checkpoint as ocp

    story = {"format": _FORMAT, "history": history, "identity": identity}
    items = ocp.args.Composite(state=ocp.args.StandardSave(_leaves(state)), story=ocp.args.JsonSave(story))
    manager.save(step, args=items)


def restore(manager: "orbax.checkpoint.CheckpointManager", state: Any, identity: dict[str, Any]) -> tuple[Any, dict]:
    """The last state, in the form of `state`, and its history.

    Raises `ValueError` where it belongs to another training or version, or is damaged.
    """
    import orbax.checkpoint as ocp

    step = manager.latest_step()
    story = _read(manager, step, story=ocp.args.JsonRestore())
    # the first ones did not name their format
    found = story.get("format", _FORMAT)
    if found != _FORMAT:
        raise ValueError(
            f"the checkpoint in {manager.directory} has format {found}, this version reads {_FORMAT}; "
            "use the jaxspin that wrote it, or choose another checkpoint folder."
        )
    known = story.get("identity", {})
    other = " and ".join(name for name, value in identity.items() if known.get(name) != json.loads(json.dumps(value)))
    if other:
        raise ValueError(
            f"the checkpoint belongs to a run with another {other}; "
            f"choose another checkpoint folder, or the same {other}."
        )
    stored = _read(manager, step, state=ocp.args.StandardRestore(_leaves(state)))
    leaves = [stored[name] for name in sorted(stored)]
    leaves = [
        type(old)(new) if isinstance(old, int) else new for old, new in zip(jax.tree.leaves(state), leaves, strict=True)
    ]
    return jax.tree.unflatten(jax.tree.structure(state), leaves), story["history"]


def _read(manager: "orbax.checkpoint.CheckpointManager", step: int | None, **item: Any) -> Any:
    """One item of the checkpoint of a step; `ValueError` where its files are damaged."""
    import orbax.checkpoint as ocp

    (name,) = item
    try:
        return manager.restore(step, args=ocp.args.Composite(**item))[name]
    except Exception as error:  # each of the formats inside has its own
        raise ValueError(
            f"the checkpoint {manager.directory / str(step)} cannot be read ({type(error).__name__}: {error}); "
            "delete this folder to go on from the checkpoint before it."
        ) from error


def digest(arrays: Any) -> str:
    """A fingerprint of arrays (random keys among them): their types, shapes and bits, on any number of processes."""
    found = hashlib.sha256()
    for leaf in jax.tree.leaves(arrays):
        keys = isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        x = to_host(jax.random.key_data(leaf) if keys else leaf)
        found.update(f"{x.dtype}{x.shape}".encode())
        found.update(np.ascontiguousarray(x).data if x.size else b"")
    return found.hexdigest()


def _leaves(state: Any) -> dict[str, Any]:
    leaves = [jnp.asarray(x) for x in jax.tree.leaves(state)]
    if jax.process_count() > 1:
        # what every process has alike, the first one writes
        leaves = [to_host(x) if x.is_fully_replicated else x for x in leaves]
    return {f"{n:04d}": x for n, x in enumerate(leaves)}
