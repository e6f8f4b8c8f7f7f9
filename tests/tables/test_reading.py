"""Tables that other systems have touched."""

import json
from pathlib import Path

import pytest

from nas_reid.tables import Table
from nas_reid.tables.table import TableError

LINE = {"format_version": 1, "genotype": {"path": ["skip", "conv"]}, "origin": "random 0", "seed": 0,
        "curve": {"1": 0.5}, "test": {"synthetic": {"mAP": 0.25, "rank1": 0.5}}, "params": 1, "macs": 2, "seconds": 3.0,
        "recipe": "r", "versions": {}, "path": None}


def test_a_byte_order_mark_and_other_line_ends_are_read_over(tmp_path: Path) -> None:
    file = tmp_path / "table.jsonl"
    file.write_bytes(b"\xef\xbb\xbf" + json.dumps(LINE).encode() + b"\r\n")
    assert [line.mAP for line in Table(file).lines] == [0.25]


def test_a_damaged_byte_in_a_name_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "table.jsonl"
    file.write_bytes(json.dumps(LINE).encode().replace(b"skip", b"sk\xb2p") + b"\n")
    with pytest.raises(TableError, match="cannot read the table"):
        Table(file)


def test_of_several_test_sets_those_that_are_asked_for_count(tmp_path: Path) -> None:
    file, test = tmp_path / "table.jsonl", {name: {"mAP": mAP, "rank1": 0.5} for name, mAP in
                                            (("home", 0.75), ("b", 0.25), ("c", 0.5))}
    file.write_text(json.dumps({**LINE, "test": test}) + "\n")
    assert [Table(file, on).lines[0].mAP for on in ((), ["b", "c"], ["c"])] == [0.5, 0.375, 0.5]
    with pytest.raises(TableError, match=r"'random 0' was not tested on d, e; it was on: home, b, c"):
        Table(file, ["b", "d", "e"])
