"""Arrays of a store as xarray reads them, a part at a time."""

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
from xarray.backends import BackendArray
from xarray.core import indexing

from jaxspin.files import undamaged


def explained(array: zarr.Array, path: Path, name: str, held: xr.Variable) -> xr.Variable:
    """`held`, an array of an open store, whose damage names the store."""
    lazy = indexing.LazilyIndexedArray(_Explained(array, path, name))
    return xr.Variable(held.dims, lazy, held.attrs, held.encoding)


class _Explained(BackendArray):
    def __init__(self, array: zarr.Array, path: Path, name: str):
        self._array, self._path, self._name = array, path, name
        self.shape, self.dtype = array.shape, array.dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._read)

    def _read(self, key: tuple) -> Any:
        with undamaged(self._path, self._name):
            return np.asarray(self._array.oindex[key] if key else self._array[()])
