"""Quench into the chiral tetrahedral order of the triangular s-d model at quarter filling, with a learnt field.

    python -m experiments.quenches.triangular_tetrahedral                        # samples, trains, quenches
    python -m experiments.quenches.triangular_tetrahedral --until sampling       # data only; go on with --resume
    python -m experiments.quenches.triangular_tetrahedral --forcefield FOLDER    # with a force field that is there

n = 0.25, J = 3, T = 0.05. The order: I. Martin and C. D. Batista, Phys. Rev. Lett. 101, 156402 (2008),
10.1103/PhysRevLett.101.156402; its quench with a learnt field: Y. Fan, S. Zhang and G.-W. Chern, Phys. Rev. B 110,
245105 (2024), 10.1103/PhysRevB.110.245105.
"""

from pathlib import Path

import jaxspin as js
from experiments.quenches import triangular
from experiments.stages import Electrons, Moments, Motion, Network, Quench, Sampling

DEFAULT = triangular.Config(
    output=Path("runs/triangular_tetrahedral"),
    order="tetrahedral",
    electrons=Electrons("triangular", coupling=3.0, filling=0.25, temperature=0.05),
    motion=Motion(damping=0.5, step=2.0, temperature=0.001),  # what `suggest_timestep` says, 1.85, rounded
    sampling=Sampling(
        quenches=12,
        quench_duration=200.0,
        quench_frames=80,
        textures=("tetrahedral", "one_hundred_twenty", "ferromagnet", "stripe", "double_q"),
        ordered=150,
        overlap=0.995,
    ),
    # a metal while it is disordered: larger clusters and more data than an insulator needs
    network=Network(Moments(hops=4, moments=36, surroundings=2)),
    training=js.TrainConfig(
        steps=12000, batch=8, learning_rate=4e-3, validation=0.06, balance=0.5, evaluate_every=1000, memory=9.0
    ),
    more_quenches=24,
    large=Quench(side=48, duration=300.0, frames=40),
)

if __name__ == "__main__":
    triangular.main(DEFAULT, __doc__)
