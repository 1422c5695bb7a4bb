"""Files that are what they say: JSON that every reader takes, and no other."""

import dataclasses
import functools
import json
import math
import subprocess
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxspin.io import load_json, save_json, to_json

ROOT = Path(__file__).parent.parent


def strictly(text: str):
    """What JSON text says; `ValueError` where only Python would read it."""

    def refuse(word: str):
        raise ValueError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


@dataclasses.dataclass(frozen=True)
class Config:
    rule: object = None
    limit: float = math.inf


def test_what_is_not_finite_is_null_however_it_is_held():
    held = {
        "a": math.nan,
        "b": (np.float32(np.inf), np.array([1.0, np.nan])),
        "c": Config(),
        3: jax.numpy.full(2, np.nan),
    }
    assert strictly(to_json(held)) == {
        "a": None,
        "b": [None, [1.0, None]],
        "c": {"rule": None, "limit": None},
        "3": [None, None],
    }


def test_functions_and_objects_are_the_same_text_in_every_process():
    def closing(power):
        return lambda x: x**power

    assert to_json(Config(closing(2))) == to_json(Config(closing(2)))
    assert to_json(Config(closing(2))) != to_json(Config(closing(3)))
    assert to_json(Config(functools.partial(max, 2))) != to_json(Config(functools.partial(max, 3)))

    class Plain:
        def __init__(self, power):
            self.rule = closing(power)

    assert to_json(Plain(2)) == to_json(Plain(2)) != to_json(Plain(3))
    assert " at 0x" not in to_json([Plain(2), closing, print, Plain, object()])


def test_a_file_cut_short_names_itself_and_the_old_one_outlives_a_kill(tmp_path, monkeypatch):
    path = save_json(tmp_path / "a.json", {"x": [1.5, math.nan]})
    assert strictly(path.read_text()) == load_json(path) == {"x": [1.5, None]}
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            save_json(path, {"x": 2})
    assert load_json(path) == {"x": [1.5, None]}
    path.write_text(path.read_text()[:9])
    with pytest.raises(ValueError, match=r"a\.json is damaged: it is no whole JSON .*; restore it from a copy, or"):
        load_json(path)


def test_every_committed_file_is_json():
    listed = subprocess.run(["git", "ls-files", "*.json", "*.ipynb"], cwd=ROOT, capture_output=True, text=True).stdout
    paths = [ROOT / name for name in listed.split()] or [*ROOT.glob("experiments/**/*.json")]
    assert len(paths) > 30
    for path in paths:
        try:
            strictly(path.read_text())
        except ValueError as error:
            raise AssertionError(f"{path}: {error}") from error


def test_json_is_written_by_one_function():
    """Python's own writes NaN, which is no JSON, and leaves half a file where it is killed."""
    allowed = {"jaxspin/io/records.py"}
    for path in [*ROOT.glob("jaxspin/**/*.py"), *ROOT.glob("experiments/**/*.py")]:
        text = path.read_text()
        if str(path.relative_to(ROOT)) not in allowed:
            assert "json.dump(" not in text, path
            assert "write_text(to_json" not in text, path
            assert "write_text(json.dumps" not in text, path
