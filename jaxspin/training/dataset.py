"""Spin configurations with their exact fields and energies: what a force field is trained on and judged by.

Shapes, n configurations: spins and field `(n, *cells, sublattices, 3)`, energy, electrons and every label `(n,)`.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from jaxspin.arguments import check_lattice, told
from jaxspin.couplings import real
from jaxspin.devices.hosts import looked_at, to_host
from jaxspin.extras import check_stores
from jaxspin.files import check_folder
from jaxspin.io.records import to_json
from jaxspin.io.store import (
    Numbers,
    lattice_of,
    loaded,
    open_store,
    site_coordinates,
    site_dimensions,
    store_attributes,
    write_store,
)
from jaxspin.lattice import Lattice
from jaxspin.spins import tangent
from jaxspin.training.electrons import electrons_of_each
from jaxspin.training.splitting import rows_of_parts

# Integrators in single precision keep |S| = 1 to 1e-6; a spin further off than this was never normalized.
_LENGTH_TOLERANCE = 1e-4
_SHARDS = "shard_*.zarr"


class SpinData(eqx.Module):
    """Configurations with labels; a pytree, so that it can be handed to jitted functions.

    `field` is the full B, as the solver gave it: compare its tangent part only. `energy` is the total energy
    in units of the hopping, NaN where `has_energy` is False. `source` says how a configuration arose
    ("random", "hot", "quench", "ordered", ..) by its index in `source_names`; configurations of one
    simulation share the number `run` and come in the order of time. `filling` (electrons a spin-orbital) and
    `temperature` (units of the hopping) are those of the electrons that made a label, NaN where unknown: with
    `LearntLevels` one training learns from several.

    Args: `energy` `(n,)` or None; `has_energy` `(n,)` where only some are known; `source` one name, or n
    names; `run` n integers (default: all different); `attributes` anything worth keeping, such as the config;
    `filling`, `temperature` one number, or n, or None.

    Raises `ValueError`, naming the configuration, for wrong shapes, complex numbers, spins that are neither unit
    vectors nor zero (vacancies), fields or energies that are not finite, fillings outside 0 to 1 and negative
    temperatures; `TypeError` for energies without fields. `jaxspin.sample` makes it from a field.

    Example:
        >>> frames = js.training.random_configurations(lattice, 4, key=jax.random.key(0))
        >>> data = js.SpinData(lattice, frames, jax.vmap(field.field)(frames), source="random")
        >>> len(data), data.field.shape, data.has_energy.tolist()
        (4, (4, 4, 4, 1, 3), [False, False, False, False])
    """

    spins: Float[Array, "n *cells sublattices 3"]
    field: Float[Array, "n *cells sublattices 3"]
    energy: Float[Array, " n"]
    has_energy: Bool[Array, " n"]
    source: Int[Array, " n"]
    run: Int[Array, " n"]
    filling: Float[Array, " n"]
    temperature: Float[Array, " n"]
    lattice: Lattice
    source_names: tuple[str, ...] = eqx.field(static=True)
    attributes_json: str = eqx.field(static=True)

    def __init__(
        self,
        lattice: Lattice,
        spins: Numbers,
        field: Numbers,
        energy: Numbers | None = None,
        *,
        has_energy: Numbers | None = None,
        source: str | Sequence[str] = "unknown",
        run: Numbers | None = None,
        attributes: Mapping[str, Any] | None = None,
        filling: Numbers | None = None,
        temperature: Numbers | None = None,
    ):
        check_lattice(lattice, "js.SpinData(lattice, spins, field, energy)")
        if field is None:
            raise TypeError(
                "field = None, and energies alone teach no field; give B = -dE/dS of every spin, or label the spins "
                "with js.sample(potential, spins)."
            )
        self.lattice = lattice
        self.spins, self.field = real(spins, "spins"), real(field, "field")
        if self.spins.shape[1:] != (*lattice.shape, 3) or len(self.spins) == 0:
            raise ValueError(
                f"spins of shape {self.spins.shape} are no configurations on the {lattice.name} lattice; "
                f"give (n, {', '.join(map(str, lattice.shape))}, 3) with n at least 1."
            )
        n = len(self.spins)
        known = np.full(n, energy is not None) if has_energy is None else np.asarray(has_energy, bool)
        energies = np.full(n, np.nan, self.spins.dtype) if energy is None else np.asarray(energy)
        names = (source,) * n if isinstance(source, str) else tuple(source)
        runs = np.arange(n) if run is None else np.asarray(run)
        if self.field.shape != self.spins.shape:
            raise ValueError(f"field {self.field.shape} and spins {self.spins.shape} differ; give one B per spin.")
        for name, value in (("energy", energies), ("has_energy", known), ("source", names), ("run", runs)):
            if np.shape(value) != (n,):
                raise ValueError(f"{name} has shape {np.shape(value)}; give {n} values, one per configuration.")
        self.energy, self.has_energy = jax.device_put((np.where(known, energies, np.nan), known))
        self.source_names = tuple(sorted(set(names)))
        self.source = jax.device_put(np.array([self.source_names.index(name) for name in names], np.int32))
        self.run = jax.device_put(runs.astype(np.int32))
        self.filling, self.temperature = electrons_of_each(n, self.spins.dtype, filling, temperature)
        self.attributes_json = to_json(attributes or {})
        self._refuse_bad_labels()

    def _refuse_bad_labels(self) -> None:
        # where the data lie, which may be more than one process
        spins, field = looked_at(self.spins), looked_at(self.field)
        known = isinstance(spins, np.ndarray) and isinstance(field, np.ndarray)
        unit, finite_fields = _check(np, spins, field) if known else _check_in_place(self.spins, self.field)
        if not bool(unit):
            length = to_host(jnp.linalg.norm(self.spins, axis=-1))
            which = tuple(map(int, np.argwhere(~_is_unit_or_vacant(length))[0]))
            raise ValueError(
                f"configuration {which[0]} has a spin of length {length[which]:.6g} at site {which[1:]}; "
                "spins are unit vectors, or zero at vacancies: pass jaxspin.spins.normalize(spins)."
            )
        for name, finite in (
            ("field", to_host(finite_fields)),
            ("energy", np.isfinite(np.asarray(self.energy)) | ~np.asarray(self.has_energy)),
        ):
            if not finite.all():
                raise ValueError(
                    f"the {name} of configuration {int(np.argmin(finite))} is not finite; leave it out, or "
                    "compute it again with other solver settings (spectral bounds, temperature)."
                )

    def __len__(self) -> int:
        return self.spins.shape[0]

    def __getitem__(self, index) -> "SpinData":
        """The configurations at a slice, a list of indices, a mask `(n,)`, or one index: data again."""
        rows = np.atleast_1d(np.arange(len(self))[np.asarray(index) if not isinstance(index, slice) else index])
        if len(rows) == 0:
            raise ValueError(f"no configuration of {len(self)} is selected; choose at least one.")
        leaves, structure = jax.tree.flatten(self)
        return jax.tree.unflatten(structure, rows_of(leaves, rows))

    @property
    def sources(self) -> tuple[str, ...]:
        """The name of the source of each configuration, n of them."""
        return tuple(self.source_names[code] for code in np.asarray(self.source))

    @property
    def attributes(self) -> dict[str, Any]:
        """What was kept beside the data (as JSON keeps it: tuples are lists)."""
        return json.loads(self.attributes_json)

    @property
    def torque_scale(self) -> Float[Array, ""]:
        """The rms torque sqrt(<|B - S (S . B)|^2>), vacancies left out: the unit of a relative error."""
        return _rms_torque(self.spins, self.field)

    def with_electrons(self, *, filling: Numbers | None = None, temperature: Numbers | None = None) -> "SpinData":
        """The same with other words on whose electrons made the labels: one number, or n; None: unknown.

        For older stores, which do not know it; and `data.with_electrons()` forgets it, which trains a network without a
        filling on an average over electrons on purpose. Raises `ValueError` as the constructor does.
        """
        known = electrons_of_each(len(self), self.spins.dtype, filling, temperature)
        return eqx.tree_at(lambda data: (data.filling, data.temperature), self, known)

    def split(
        self,
        parts: Sequence[int] | Sequence[float],
        *,
        key: PRNGKeyArray,
        by: str = "block",
        gap: float = 0.1,
    ) -> tuple["SpinData", ...]:
        """Disjoint random parts, by counts (integers) or fractions (up to 1 together).

        Neighbouring frames of a simulation are alike, and an error held out among them flatters. So, by `by`:

        - "block": each run, its configurations in the order of time, is cut into few blocks, and where it is cut the
          part named later goes without the configurations within `gap`, a fraction of the run's number of them.
          Configurations that are alone in their run are drawn one by one. Late in a run even far frames are alike;
        - "run": each run stays in one part, which then has about the size asked for: what to quote first;
        - "configuration": one by one, whatever their runs.

        Raises `ValueError` where a part is empty, for parts that do not fit, and another `by`.
        """
        rows = rows_of_parts(np.asarray(self.run), parts, key=key, by=by, gap=gap)
        return tuple(self[row] for row in rows)

    @staticmethod
    def concatenate(parts: Sequence["SpinData"]) -> "SpinData":
        """One set of all parts, in order; runs of different parts stay different, attributes are the first's.

        Of `attributes["params"]`, what made the labels, None stands where the parts do not say the same.

        Raises `ValueError` for parts on different lattices or in different precision.
        """
        if len({part.lattice for part in parts}) != 1 or len({part.spins.dtype for part in parts}) != 1:
            raise ValueError("the parts need one lattice and one precision; give at least one part, all alike.")
        offsets = np.cumsum([0, *(int(np.asarray(part.run).max()) + 1 for part in parts)])
        return SpinData(
            parts[0].lattice,
            jnp.concatenate([part.spins for part in parts]),
            jnp.concatenate([part.field for part in parts]),
            np.concatenate([np.asarray(part.energy) for part in parts]),
            has_energy=np.concatenate([np.asarray(part.has_energy) for part in parts]),
            source=[name for part in parts for name in part.sources],
            run=np.concatenate([np.asarray(p.run) + o for p, o in zip(parts, offsets, strict=False)]),
            attributes=_common_attributes([part.attributes for part in parts]),
            filling=np.concatenate([np.asarray(part.filling) for part in parts]),
            temperature=np.concatenate([np.asarray(part.temperature) for part in parts]),
        )

    def save(self, path: str | os.PathLike, *, overwrite: bool = False) -> Path:
        """Write a Zarr store, a folder, that plain xarray reads: dimensions (configuration, cell_1, .., component).

        Raises `FileExistsError` where something is in the way and `overwrite` is not given, `ValueError` for the name
        of a file, such as one that ends in .npz.
        """
        check_stores()
        import xarray as xr

        vector = ("configuration", *site_dimensions(self.lattice), "component")
        about_source = {
            "long_name": "how the configuration arose",
            "flag_values": list(range(len(self.source_names))),
            "flag_meanings": " ".join(name.replace(" ", "_") for name in self.source_names),
            "names": to_json(self.source_names),
        }
        about = {
            "spins": (vector, {"units": "1", "long_name": "unit spin", "components": "x y z"}),
            "field": (vector, {"units": "t", "long_name": "field B = -dE/dS", "components": "x y z"}),
            "energy": ("configuration", {"units": "t", "long_name": "total energy, NaN where not computed"}),
            "has_energy": ("configuration", {"long_name": "whether the energy was computed"}),
            "source": ("configuration", about_source),
            "run": ("configuration", {"long_name": "number of the simulation it comes from"}),
            "filling": ("configuration", {"units": "1", "long_name": "electrons a spin-orbital, NaN where unknown"}),
            "temperature": ("configuration", {"units": "t", "long_name": "of the electrons, NaN where unknown"}),
        }
        dataset = xr.Dataset(
            {name: (axes, to_host(getattr(self, name)), notes) for name, (axes, notes) in about.items()},
            coords=site_coordinates(self.lattice),
        )
        attributes = self.attributes
        dataset.attrs.update(store_attributes(self.lattice, attributes.pop("config", None), attributes))
        dataset.attrs["attributes"] = self.attributes_json
        return write_store(dataset, path, overwrite=overwrite)

    @staticmethod
    def load(path: str | os.PathLike) -> "SpinData":
        """Read what `save` wrote, or every whole shard in a folder that `ShardWriter` filled."""
        shards = sorted(Path(path).glob(_SHARDS))
        if shards:
            return SpinData.concatenate([SpinData.load(shard) for shard in shards])
        with open_store(path) as stored:
            if "field" not in stored:
                raise ValueError(f"{path} holds no fields to learn from; a trajectory is read with load_trajectory.")
            stored = loaded(stored, path)
            names = json.loads(stored.source.attrs["names"])
            return SpinData(
                lattice_of(stored),
                stored.spins.values,
                stored.field.values,
                stored.energy.values,
                has_energy=stored.has_energy.values,
                source=[names[code] for code in stored.source.values],
                run=stored.run.values,
                attributes=json.loads(stored.attrs["attributes"]),
                # older stores do not know
                **{name: stored[name].values for name in ("filling", "temperature") if name in stored},
            )


def check_data(data: Any) -> None:
    """Refuse what is no `SpinData`, such as a tuple of arrays: raises `TypeError`."""
    if not isinstance(data, SpinData):
        raise TypeError(f"data = {told(data)} is no SpinData; give js.SpinData(lattice, spins, field, energy).")


class ShardWriter:
    """Writes a data set piece by piece into a folder; a kill loses the piece being written and no other.

    Each `write` is one whole Zarr store, `shard_00000.zarr` and so on; `SpinData.load(folder)` reads them
    all. Give each simulation to one call, since runs of different shards count as different.

    Raises `FileExistsError` for a folder with shards in it, unless `append`, which goes on after the last. Data that
    fit in memory are written at once by `data.save(path)`.

    Example:
        >>> data = js.sample(field, js.training.random_configurations(lattice, 2, key=jax.random.key(0)))
        >>> writer = js.training.ShardWriter(tmp_path / "data")
        >>> writer.write(data).name, writer.write(data).name, len(js.SpinData.load(tmp_path / "data"))
        ('shard_00000.zarr', 'shard_00001.zarr', 4)
    """

    def __init__(self, folder: str | os.PathLike, *, append: bool = False):
        check_stores()
        self.folder = Path(folder)
        check_folder(self.folder, ending="")
        present = sorted(self.folder.glob(_SHARDS))
        if present and not append:
            raise FileExistsError(f"{folder} holds {len(present)} shards; choose another folder or pass append=True.")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.shards = int(present[-1].stem.removeprefix("shard_")) + 1 if present else 0

    def write(self, data: SpinData) -> Path:
        """Store `data` as the next shard and return its path."""
        path = data.save(self.folder / f"shard_{self.shards:05d}.zarr")
        self.shards += 1
        return path


def _common_attributes(each: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Those of the first, less what others say otherwise of the electrons."""
    params = [attributes.get("params") for attributes in each]
    if all(p == params[0] for p in params):
        return each[0]
    told = [p if isinstance(p, dict) else {} for p in params]
    names = sorted(set().union(*told))
    same = {name: told[0].get(name) if all(p.get(name) == told[0].get(name) for p in told) else None for name in names}
    return {**each[0], "params": same}


def _check(xp: Any, spins: Any, field: Any) -> tuple[Any, Any]:
    """Whether all spins are unit vectors or vacancies, and which configurations have finite fields."""
    unit = xp.all(_is_unit_or_vacant(xp.linalg.norm(spins, axis=-1)))
    return unit, xp.all(xp.isfinite(field), axis=tuple(range(1, field.ndim)))


@jax.jit
def _check_in_place(spins: Array, field: Array) -> tuple[Array, Array]:
    return _check(jnp, spins, field)


@jax.jit
def rows_of(arrays: list[Array], rows: Array) -> list[Array]:
    return [x[rows] for x in arrays]


@jax.jit
def _rms_torque(spins: Array, field: Array) -> Array:
    square = jnp.sum(tangent(spins, field) ** 2, axis=-1)
    occupied = jnp.any(spins != 0, axis=-1)
    return jnp.sqrt(jnp.sum(jnp.where(occupied, square, 0)) / jnp.sum(occupied).astype(square.dtype))


def _is_unit_or_vacant(length):
    return (abs(length - 1) <= _LENGTH_TOLERANCE) | (length == 0)
