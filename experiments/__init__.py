"""Experiments, one file each, a frozen config dataclass and `run(config)`: `python -m experiments.CHAPTER.NAME`."""
