"""Data sets, labels and training of force fields."""

from jaxspin.training.choosing import choose, disagreement
from jaxspin.training.committee import LearntCommittee, train_committee
from jaxspin.training.dataset import ShardWriter, SpinData
from jaxspin.training.flat import until_flat
from jaxspin.training.losses import Errors, LossScales, evaluate, loss, loss_and_slope, predict
from jaxspin.training.rollout import RolloutConfig, train_rollout
from jaxspin.training.sampling import distinct, perturbed_configurations, random_configurations, sample
from jaxspin.training.trainer import Learnt, TrainConfig, train
from jaxspin.training.trajectories import RolloutData, rollout, rollout_errors, rollout_loss

__all__ = [
    "Errors",
    "Learnt",
    "LearntCommittee",
    "LossScales",
    "RolloutConfig",
    "RolloutData",
    "ShardWriter",
    "SpinData",
    "TrainConfig",
    "choose",
    "disagreement",
    "distinct",
    "evaluate",
    "loss",
    "loss_and_slope",
    "perturbed_configurations",
    "predict",
    "random_configurations",
    "rollout",
    "rollout_errors",
    "rollout_loss",
    "sample",
    "train",
    "train_committee",
    "train_rollout",
    "until_flat",
]
