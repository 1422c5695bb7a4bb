"""What the experiments share: electrons, sampling, quenches that survive a kill, errors by kind, folders."""

from experiments.stages.folder import Timer, open_folder, settings_of
from experiments.stages.model import Electrons, Motion, Texture, textures_on
from experiments.stages.motion import compare, frame_steps, quench, spins_of
from experiments.stages.sampling import Sampling, hold_out, judge, sample

__all__ = [
    "Electrons",
    "Motion",
    "Sampling",
    "Texture",
    "Timer",
    "compare",
    "frame_steps",
    "hold_out",
    "judge",
    "open_folder",
    "quench",
    "sample",
    "settings_of",
    "spins_of",
    "textures_on",
]
