"""The experiments on real magnets, at a tiny size."""

import jax
import numpy as np
import pytest

from experiments.real import bcc_iron


@pytest.mark.slow
def test_bcc_iron(tmp_path):
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        found = bcc_iron.run(bcc_iron.Config(smoke=True, output=tmp_path / "iron"))
    for row in found["rows"].values():
        assert 2 < row["moment"] < 2.5
        assert 0 < row["random phase"] < row["mean field"]
        assert row["J"][0] > row["J"][1] > 1
    for row in found["gradients"].values():
        np.testing.assert_allclose(row["gradient"], row["difference"], rtol=1e-3)
    assert found["largest deviation from the reference"] is None
    assert (tmp_path / "iron" / "bcc_iron.png").exists()
