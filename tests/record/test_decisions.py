"""What pictures call the rows of a space, and what they mark."""

import pytest
import torch

from nas_reid.record.decisions import drawn_decisions
from nas_reid.record.pictures import draw_genotype
from nas_reid.registry import create_space, load_genotype
from nas_reid.search_space import Choice, Decision


@pytest.mark.parametrize(("primitives", "excluded"), [("reid", ["none"]), ("reid_without_none", [])])
def test_edges_of_a_cell_have_names_and_none_is_excluded(primitives, excluded):
    genotype = load_genotype("auto_reid/retrieval")
    space = create_space("auto_reid", {**genotype.arguments, "primitives": primitives})
    cell = drawn_decisions(space, genotype)["normal"]
    assert cell.rows[:3] == ("input0 → node2", "input1 → node2", "input0 → node3")
    assert [cell.choices[column] for column in cell.excluded] == excluded
    taken = {row: cell.choices[column] for row, column in zip(cell.rows, cell.chosen, strict=True) if column >= 0}
    expected = {f"{entry['source']} → {node['node']}": entry["op"] for node in genotype.body["normal"]
                for entry in node["inputs"]}
    assert taken == expected and len(taken) == 8


def test_norm_sites_are_drawn_by_name(tmp_path):
    space = create_space("norm_sites", {"depth": 18, "width": 0.0625, "last_stride": 1})
    genotype = space.derive({"sites": torch.tensor([[1.0, 0.0]] * space.decisions()[0].rows)})
    (decision,) = drawn_decisions(space, genotype).values()
    assert decision.rows[:2] == ("bn1", "layer1.0.bn1") and not decision.excluded and set(decision.chosen) == {0}
    assert draw_genotype(space, genotype, tmp_path / "cells.png").stat().st_size > 1000


def test_names_that_do_not_fit_the_rows():
    with pytest.raises(ValueError, match=r"'a' has 3 rows and 2 row_names"):
        Decision("a", 3, (Choice("x"),), row_names=("r", "s"))
