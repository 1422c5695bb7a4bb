"""Quench into the 120 degree order of the triangular s-d model at half filling, with a learnt field.

    python -m experiments.quenches.triangular_120                        # samples, trains, quenches
    python -m experiments.quenches.triangular_120 --until sampling       # data only; go on with --resume
    python -m experiments.quenches.triangular_120 --forcefield FOLDER    # with a force field that is there

n = 0.5, J = 4, T = 0.05: an insulator, whose field reaches less far than a metal's. Its order is that of classical
spins with antiferromagnetic bonds: H. Kawamura and S. Miyashita, J. Phys. Soc. Jpn. 53, 4138 (1984),
10.1143/JPSJ.53.4138.
"""

from pathlib import Path

from experiments.quenches import triangular
from experiments.stages import Electrons, Quench, Sampling

DEFAULT = triangular.Config(
    output=Path("runs/triangular_120"),
    order="one_hundred_twenty",
    electrons=Electrons("triangular", coupling=4.0, filling=0.5, temperature=0.05),
    sampling=Sampling(
        quenches=12,
        quench_duration=150.0,
        quench_frames=60,
        hot_textures=("one_hundred_twenty",),
        textures=("one_hundred_twenty", "ferromagnet", "stripe", "tetrahedral", "double_q"),
        ordered=150,
        overlap=0.995,
    ),
    large=Quench(side=96, duration=300.0, frames=40),
)

if __name__ == "__main__":
    triangular.main(DEFAULT, __doc__)
