"""The benchmark of first results: what it asks for, and that a second process compiles nothing."""

import json

import pytest

from experiments.benchmarks import first_results


def test_names_that_are_no_results_are_refused():
    with pytest.raises(ValueError, match="no results are named attic; choose of exact field, kernel-polynomial field"):
        first_results.run(first_results.Config(cases=("attic",)))


@pytest.mark.slow
def test_a_second_process_reads_what_the_first_has_compiled(tmp_path):
    path = tmp_path / "out.json"
    rows = first_results.run(first_results.Config(output=path, cases=("exact field",)))
    assert json.loads(path.read_text())["rows"] == rows
    new, again = (rows["exact field"][which] for which in ("compiling", "with the cache"))
    assert new["from the cache"] == 0
    assert again["from the cache"] == again["programs"] == new["programs"] > 0
    assert first_results.compiling(again, ", processor") < first_results.compiling(new, ", processor")
