"""Trained force fields on disk: an Orbax checkpoint that needs no settings to be read back."""

import json
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from jaxspin.devices.hosts import by_first_process, to_host
from jaxspin.extras import needed_for
from jaxspin.files import check_folder, replace, undamaged, undo_replacement
from jaxspin.forcefield.behler_parrinello import BehlerParrinello
from jaxspin.forcefield.committee import Committee
from jaxspin.forcefield.generalized import GeneralizedPotential

_FORMAT = 1
_ForceField = BehlerParrinello | Committee | GeneralizedPotential
_KINDS: dict[str, type[_ForceField]] = {
    kind.__name__: kind for kind in (BehlerParrinello, Committee, GeneralizedPotential)
}


def save(
    path: str | Path,
    model: _ForceField,
    *,
    metadata: dict[str, Any] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write weights, descriptor settings and `metadata` (plain data: config, errors, provenance) to the folder `path`.

    Raises `FileExistsError` if the folder exists, unless `overwrite`, which replaces a force field and nothing else,
    and only once the new one is complete; `TypeError` for metadata that are not plain data, or what is no potential;
    `ValueError` for the name of a file, such as one that ends in .npz.

    Example:
        >>> features = js.LocalMoments(js.chain(8), coupling=2.0, hops=2, moments=4)
        >>> model = js.BehlerParrinello(descriptor=features, hidden=(4,), key=jax.random.key(0))
        >>> js.forcefield.save(tmp_path / "model", model).name
        'model'
    """
    with needed_for("stored force fields"):
        import orbax.checkpoint as ocp

    _check_model(model)
    check_folder(Path(path), ending="")
    path = Path(path).absolute()
    undo_replacement(path)
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists; choose another path, or pass overwrite=True to replace it.")
    if path.exists():
        try:
            _settings(path)
        except ValueError as error:
            raise FileExistsError(
                f"{path} is not a force field that this version reads and is not replaced; choose another path."
            ) from error
    arrays = _arrays(model)
    settings = {"format": _FORMAT, "model": model.settings(), "metadata": metadata or {}}
    _check_plain(settings)
    partial = path.with_name(f".{path.name}.partial")
    with ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as checkpointer:
        checkpointer.save(
            partial,
            args=ocp.args.Composite(weights=ocp.args.StandardSave(arrays), settings=ocp.args.JsonSave(settings)),
            force=True,  # of what a killed process left
        )
    by_first_process(lambda: replace(partial, path))
    return path


def load(path: str | Path, *, like: _ForceField | None = None) -> _ForceField:
    """The force field stored at `path`, or the committee of them, on the lattice of training; `.on(lattice)` moves it.

    A force field with a descriptor or a network of your own cannot be made from the file: `like` is one made in the
    same way, whose weights are replaced by those stored.

    Raises `FileNotFoundError` if there is none, `ValueError` if it is not a force field of this version, or not `like`.

    Example:
        >>> features = js.LocalMoments(js.chain(8), coupling=2.0, hops=2, moments=4)
        >>> model = js.BehlerParrinello(descriptor=features, hidden=(4,), key=jax.random.key(0))
        >>> path = js.forcefield.save(tmp_path / "model", model)
        >>> js.forcefield.load(path).hidden
        (4,)
    """
    with needed_for("stored force fields"):
        import orbax.checkpoint as ocp

    stored = _settings(path)["model"]
    model = _untrained(path, stored) if like is None else _with_room(like, stored)
    if like is not None and json.loads(json.dumps(model.settings())) != json.loads(json.dumps(stored)):
        raise ValueError(f"{path} holds a force field of other settings than `like`; make that as the stored one was.")
    arrays = _arrays(model)
    with ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as checkpointer, undamaged(path):
        restored = checkpointer.restore(
            Path(path).absolute(), args=ocp.args.Composite(weights=ocp.args.StandardRestore(arrays))
        )["weights"]
    leaves, structure = jax.tree.flatten(model)
    weights = iter(restored[k] for k in sorted(restored))
    return jax.tree.unflatten(structure, [next(weights) if eqx.is_inexact_array(x) else x for x in leaves])


def _with_room(like: _ForceField, stored: dict[str, Any]) -> _ForceField:
    """A model of one's own, with a familiarity and an origin to be replaced where the stored one has them."""
    part = {Committee: ("members", "member"), GeneralizedPotential: ("conservative", "conservative")}.get(type(like))
    inner: Any
    inner, settings = (like, stored) if part is None else (getattr(like, part[0]), stored.get(part[1], {}))
    filled = inner.with_room(settings)
    # of all members of a committee
    lead = inner.mean.shape[:-1]
    rooms = jax.tree.map(lambda x: jnp.broadcast_to(x, (*lead, *x.shape)), (filled.familiarity, filled.origin))
    filled = eqx.tree_at(lambda m: (m.familiarity, m.origin), filled, rooms, is_leaf=lambda x: x is None)
    return filled if part is None else eqx.tree_at(lambda m: getattr(m, part[0]), like, filled)


def _untrained(path: str | Path, stored: dict[str, Any]) -> _ForceField:
    kind = stored.get("kind", BehlerParrinello.__name__)  # a single force field names none
    if kind not in _KINDS:
        raise ValueError(
            f"{path} holds a {kind!r}, this version reads {' and '.join(_KINDS)}; use the one that wrote it."
        )
    return _KINDS[kind].from_settings(stored)


def load_metadata(path: str | Path) -> dict[str, Any]:
    """What was stored beside the weights: config, errors, provenance; the `metadata` of `save`, as plain data.

    Raises `FileNotFoundError` if there is no force field at `path`, `ValueError` if it is not one of this version.

    Example:
        >>> features = js.LocalMoments(js.chain(8), coupling=2.0, hops=2, moments=4)
        >>> model = js.BehlerParrinello(descriptor=features, hidden=(4,), key=jax.random.key(0))
        >>> path = js.forcefield.save(tmp_path / "model", model, metadata={"J": 2.0})
        >>> js.forcefield.load_metadata(path)
        {'J': 2.0}
    """
    return _settings(path)["metadata"]


def _check_model(model: Any) -> None:
    if isinstance(model, _ForceField):
        return
    remedy = "pass its .model" if hasattr(model, "model") else "pass a BehlerParrinello, such as learnt.model"
    raise TypeError(f"a {type(model).__name__} is not a force field; {remedy}.")


def _check_plain(settings: dict[str, Any]) -> None:
    try:
        json.dumps(settings)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"the metadata cannot be stored ({error}); give plain data: dictionaries, lists, numbers and text."
        ) from error


def _arrays(model: _ForceField) -> dict[str, Any]:
    leaves = [x for x in jax.tree.leaves(model) if eqx.is_inexact_array(x)]
    if jax.process_count() > 1:
        # the weights, which every process has alike, are written by the first one
        leaves = [to_host(x) for x in leaves]
    return {f"{number:04d}": leaf for number, leaf in enumerate(leaves)}


def _settings(path: str | Path) -> dict[str, Any]:
    path = Path(path).absolute()
    undo_replacement(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no force field at {path}; give the folder that forcefield.save wrote.")
    with needed_for("stored force fields"):
        import orbax.checkpoint as ocp

    try:
        with ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as checkpointer:
            settings = checkpointer.restore(path, args=ocp.args.Composite(settings=ocp.args.JsonRestore()))["settings"]
        known = settings["format"]
    except (KeyError, TypeError, ValueError, FileNotFoundError) as error:
        raise ValueError(
            f"{path} is not a force field of jaxspin; give the folder that forcefield.save wrote."
        ) from error
    if known != _FORMAT:
        raise ValueError(f"{path} has format {known}, this version reads {_FORMAT}; use the jaxspin that wrote it.")
    return settings
