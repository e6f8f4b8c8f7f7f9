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
