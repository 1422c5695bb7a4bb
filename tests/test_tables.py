"""Every number of the documents that a committed result holds is what the result says."""

import json
import re

import pytest

from experiments import tables
from experiments.stages import results
from experiments.stages.claims import claims

TEXTS = {name: (tables.ROOT / name).read_text() for name in tables.DOCUMENTS}


@pytest.mark.parametrize("name", TEXTS)
def test_the_documents_say_what_the_results_do(name):
    new, differences = tables.renewed(TEXTS[name], claims(name))
    assert not differences, "run python -m experiments.tables\n" + "\n".join(differences)
    assert new == TEXTS[name]


def test_every_table_that_is_made_stands_somewhere():
    found = re.findall(r"<!-- table: (\w+) -->", "".join(TEXTS.values()))
    assert sorted(found) == sorted(tables.TABLES)
    assert len(re.findall("<!-- end table -->", "".join(TEXTS.values()))) == len(found)


@pytest.mark.parametrize(
    "result", ["checks/results/integrators", "gradients/results/switch_chirality", "quickstart_results"]
)
def test_a_result_that_changes_changes_the_documents(result, monkeypatch, tmp_path):
    """A number in the JSON that is another is found in a table or a sentence."""
    for path in results.FOLDER.rglob("*.json"):
        place = tmp_path / path.relative_to(results.FOLDER)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(path.read_text())
    path = tmp_path / result / "summary.json"

    def half(value):
        if isinstance(value, dict):
            return {key: half(part) for key, part in value.items()}
        return (
            [half(part) for part in value] if isinstance(value, list) else value / 2 if type(value) is float else value
        )

    path.write_text(json.dumps(half(json.loads(path.read_text()))))
    results.result.cache_clear()
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    try:
        differences = [d for name, text in TEXTS.items() for d in tables.renewed(text, claims(name))[1]]
    finally:
        results.result.cache_clear()
    assert differences


def test_numbers_in_a_sentence_are_replaced_wherever_its_lines_are_broken():
    text = "It falls by 12 to\n13 % at\nJ = 3.5, by -1.2e-3 and that is all."
    new, told = tables.said(text, "by 11 to 14 % at J = 3.5, by 2.5e-4 and")
    assert new == "It falls by 11 to\n14 % at\nJ = 3.5, by 2.5e-4 and that is all."
    assert len(told) == 1
    assert tables.said(new, "by 11 to 14 % at J = 3.5, by 2.5e-4 and") == (new, [])
    with pytest.raises(ValueError, match="0 places say 'rises by 3'; write the sentence, or change the template"):
        tables.said(text, "rises by 3")
    with pytest.raises(ValueError, match="nothing makes the table 'none'"):
        tables.renewed("<!-- table: none -->\n<!-- end table -->\n", [])


def test_numbers_are_written_with_the_digits_they_have():
    assert [results.digits(x) for x in (0.0123, 9.96, 123.4, 1.0, -0.55, 0.0)] == [
        "0.012",
        "10",
        "120",
        "1.0",
        "-0.55",
        "0",
    ]
    assert [results.seconds(x) for x in (0.0017, 0.19, 25.03, 0.0996)] == ["1.7 ms", "0.19 s", "25 s", "0.10 s"]
    assert [results.error(x) for x in (0.0741, 0.2609, 0.0996)] == ["7.4 %", "26 %", "10 %"]
    assert results.power(1.5e-8) == "1.5e-8"
    assert results.between([1.01, 0.99]) == "0.99 to 1.0"
