"""The page that leads a newcomer through the package is about the files that a quench enters."""

import re
import sys
from pathlib import Path

import jax

import jaxspin as js

PACKAGE = Path(js.__file__).parent
PAGE = Path(__file__).parent.parent / "experiments" / "CONTRIBUTING.md"


def test_the_walk_of_a_quench_is_that_of_the_page():
    section = PAGE.read_text().split("## The walk of a quench")[1].split("\n## ")[0]
    told = re.findall(r"^\| `(\S+\.py)` \|", section, re.MULTILINE)
    assert len(told) > 10
    for name in re.findall(r"`(\w+/\w+\.py)`", section):
        assert (PACKAGE / name).is_file(), name
    # of a size and step that no other test has compiled
    lattice = js.chain(14)
    electrons = js.SDModel(lattice, hopping=1.0, coupling=1.3)
    field = js.KernelPolynomial(
        electrons, probes=js.electrons.Coloring(colours=3), filling=0.5, temperature=0.2, order=24
    )
    spins = js.random_spins(lattice, key=jax.random.key(0))
    entered: list[str] = []

    def note(frame, event, _):
        file = frame.f_code.co_filename
        if event == "call" and file.startswith(str(PACKAGE)) and frame.f_code.co_name != "<module>":
            name = str(Path(file).relative_to(PACKAGE))
            if name not in entered:
                entered.append(name)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        js.simulate(field, spins, duration=0.7, step=0.35)
    finally:
        sys.setprofile(before)
    assert set(told) <= set(entered), sorted(set(told) - set(entered))
