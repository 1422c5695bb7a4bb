"""What the experiments share: electrons, sampling, quenches that survive a kill, errors by kind, folders."""

from experiments.stages.descriptors import Bispectrum, FilledClusters, Messages, Moments
from experiments.stages.folder import (
    Output,
    Resumable,
    Timer,
    main,
    main_without_folder,
    open_folder,
    settings_of,
    stored_table,
)
from experiments.stages.learning import Network, learn, parameters, stored_forcefield
from experiments.stages.learnt_quenches import beside_exact, large_quench
from experiments.stages.model import Dynamics, Electrons, Motion, Quench, Texture, textures_on
from experiments.stages.motion import compare, frame_steps, frames_of, quench, spins_of
from experiments.stages.sampling import Sampling, hold_out, judge, sample, sample_quenches, sample_random

__all__ = [
    "Bispectrum",
    "Dynamics",
    "Electrons",
    "FilledClusters",
    "Messages",
    "Moments",
    "Motion",
    "Network",
    "Output",
    "Quench",
    "Resumable",
    "Sampling",
    "Texture",
    "Timer",
    "beside_exact",
    "compare",
    "frame_steps",
    "frames_of",
    "hold_out",
    "judge",
    "large_quench",
    "learn",
    "main",
    "main_without_folder",
    "open_folder",
    "parameters",
    "quench",
    "sample",
    "sample_quenches",
    "sample_random",
    "settings_of",
    "spins_of",
    "stored_forcefield",
    "stored_table",
    "textures_on",
]
