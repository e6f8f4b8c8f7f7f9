"""Weights that a supernet starts from."""

from pathlib import Path

import pytest
import torch

from nas_reid.errors import CheckpointError
from nas_reid.network.weights import read_supernet_weights
from tests.toy_space import ToySpace


class Renaming(ToySpace):
    """A space that reads a file of others, whose names have no prefix."""

    def supernet_weights(self, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {f"trunk.{name}": value for name, value in state.items()}


def test_a_space_renames_what_it_reads(tmp_path: Path) -> None:
    trunk = ToySpace().supernet()
    torch.save(trunk.state_dict(), tmp_path / "weights.pth")
    state = read_supernet_weights(tmp_path / "weights.pth", Renaming(), trunk=trunk)
    assert torch.equal(state["trunk.stem.weight"], trunk.stem.weight)
    with pytest.raises(CheckpointError, match=r"does not fit this trunk: .* missing: trunk\.stem\.weight"):
        read_supernet_weights(tmp_path / "weights.pth", ToySpace(), trunk=trunk)
