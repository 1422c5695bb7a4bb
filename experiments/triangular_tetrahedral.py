"""Quench into the chiral tetrahedral order of the triangular s-d model at quarter filling, with a learnt field.

    python -m experiments.triangular_tetrahedral                        # samples, trains, quenches
    python -m experiments.triangular_tetrahedral --until sampling       # data only; go on with --resume
    python -m experiments.triangular_tetrahedral --forcefield FOLDER    # with a force field that is there

n = 0.25, J = 3, T = 0.05. The order: I. Martin and C. D. Batista, Phys. Rev. Lett. 101, 156402 (2008),
10.1103/PhysRevLett.101.156402; its quench with a learnt field: Y. Fan, S. Zhang and G.-W. Chern, Phys. Rev. B 110,
245105 (2024), 10.1103/PhysRevB.110.245105.
"""

from pathlib import Path

from experiments import triangular
from experiments.stages import Electrons, Sampling

DEFAULT = triangular.Config(
    output=Path("runs/triangular_tetrahedral"),
    order="tetrahedral",
    electrons=Electrons("triangular", coupling=3.0, filling=0.25, temperature=0.05),
    sampling=Sampling(
        quenches=12,
        textures=("tetrahedral", "one_hundred_twenty", "ferromagnet", "stripe", "double_q"),
        ordered=150,
        overlap=0.995,
    ),
)

if __name__ == "__main__":
    triangular.main(DEFAULT, __doc__)
