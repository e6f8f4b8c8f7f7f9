"""Genotype files: plain data in, plain data out, and a clear word about everything else."""

import json
import string
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_reid.errors import GenotypeError
from nas_reid.genotype import FORMAT_VERSION, Genotype
from nas_reid.registry import space_of

MINIMAL = {"format_version": FORMAT_VERSION, "space": "auto_reid", "space_version": 1, "body": {}}
names = st.text(string.ascii_letters + string.digits + "_ é", max_size=8)
values = st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | names,
                      lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
                      max_leaves=8)
bodies = st.dictionaries(names, values, max_size=3)
rows = st.lists(st.lists(st.floats(0, 1), min_size=1, max_size=4), min_size=1, max_size=3)
genotypes = st.builds(Genotype, names, st.integers(1, 99), bodies, arguments=bodies,
                      probabilities=st.dictionaries(names, rows, max_size=2), provenance=bodies)


@given(genotypes)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_json_gives_back_what_it_was_given(genotype: Genotype) -> None:
    text = genotype.to_json()
    assert Genotype.from_json(text) == genotype
    assert Genotype.from_json(text).to_json() == text


@given(st.text(max_size=30) | values.map(json.dumps))
@settings(max_examples=80, deadline=None, derandomize=True)
def test_any_other_text_is_refused_politely(text: str) -> None:
    with pytest.raises(GenotypeError, match="genotype"):
        Genotype.from_json(text)


def test_file_round_trip_and_provenance(tmp_path: Path) -> None:
    genotype = Genotype("auto_reid", 1, {"normal": ["é"]}).with_provenance(seed=3)
    genotype.with_provenance(epochs=20).save(tmp_path / "run" / "genotype.json")
    assert Genotype.load(str(tmp_path / "run" / "genotype.json")).provenance == {"seed": 3, "epochs": 20}
    assert genotype.provenance == {"seed": 3}


def test_optional_fields_may_be_missing() -> None:
    assert Genotype.from_json(json.dumps(MINIMAL)) == Genotype("auto_reid", 1, {})


@pytest.mark.parametrize("field", ["format_version", "space", "space_version", "body"])
def test_required_fields_are_named(field: str) -> None:
    content = {key: value for key, value in MINIMAL.items() if key != field}
    with pytest.raises(GenotypeError, match=f"file.json: field '{field}' is None; expected a (int|str|dict)"):
        Genotype.from_json(json.dumps(content), origin="file.json")


@pytest.mark.parametrize(("field", "value"), [
    ("format_version", "1"), ("format_version", True), ("format_version", 1.0), ("space", 3), ("space", None),
    ("space_version", "new"), ("space_version", True), ("body", []), ("body", "cell"), ("arguments", []),
    ("probabilities", [[0.5]]), ("provenance", "me"), ("arguments", None)])
def test_mistyped_fields_are_named_with_their_value(field: str, value: object) -> None:
    with pytest.raises(GenotypeError) as error:
        Genotype.from_json(json.dumps({**MINIMAL, field: value}))
    assert f"field {field!r} is {value!r}; expected a" in str(error.value)


def test_unknown_fields_are_refused() -> None:
    with pytest.raises(GenotypeError, match=r"unknown fields \['_target_', 'weights'\]; known are .*'body'"):
        Genotype.from_json(json.dumps({**MINIMAL, "weights": 1, "_target_": "os.system"}))


def test_a_newer_format_asks_for_an_update_whatever_else_it_holds() -> None:
    with pytest.raises(GenotypeError, match=r"format_version 2, newer than 1, .*: update nas_reid"):
        Genotype.from_json(json.dumps({"format_version": 2, "cells": []}))


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"body": 1' + "0" * 5000 + "}", "\ufeff{}"])
def test_what_is_not_json_is_said_not_to_be(text: str) -> None:
    with pytest.raises(GenotypeError, match="is not JSON"):
        Genotype.from_json(text)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", None])
def test_unreadable_files_are_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "genotype.json"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(GenotypeError, match=f"cannot read genotype {path}"):
        Genotype.load(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(GenotypeError, match=r"cannot read genotype .*none\.json: .*No such file"):
        Genotype.load(tmp_path / "none.json")


def test_a_file_is_data_and_never_code(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    bait = {"_target_": "os.system", "_args_": [f"touch {trace}"], "command": f"touch {trace}"}
    content = {**MINIMAL, "body": bait, "arguments": bait, "provenance": bait}
    genotype = Genotype.from_json(json.dumps(content))
    assert dict(genotype.body) == bait
    with pytest.raises(ValueError, match="auto_reid"):  # the arguments are none of that space's
        space_of(genotype)
    for space in ("os", "os.path", "nas_reid.search", "/tmp/x", "search_spaces.auto_reid"):
        with pytest.raises(GenotypeError, match="not installed"):
            space_of(Genotype.from_json(json.dumps({**content, "space": space})))
    assert not trace.exists()
