"""Gating vectors of OSNet: what its last block multiplies its streams with."""

import pytest
import torch

from tests.search_spaces.osnet_networks import published


def images() -> torch.Tensor:
    return torch.randn(3, 3, 64, 32, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("fusion", "length"), [("unified", 4 * 32), ("stream_wise", 4)])
def test_vectors_are_the_gates_of_the_last_block(fusion, length):
    trunk = published("plain", width=0.25, fusion=fusion).trunk.eval()
    gate, seen = trunk.conv4[-1].gate, []
    handle = gate.register_forward_hook(lambda module, inputs, output: seen.append((inputs[0], output)))
    vectors = trunk.gating_vectors(images())
    handle.remove()
    assert vectors.shape == (3, length) and 0 < vectors.min() and vectors.max() < 1
    (streams, fused), = seen
    gated = sum(each[..., None, None] * stream for each, stream in zip(vectors.chunk(4, dim=1), streams, strict=True))
    assert torch.allclose(gated, fused, atol=1e-6)
    assert not gate._forward_pre_hooks


@pytest.mark.parametrize("fusion", ["static", "addition", "concatenation"])
def test_gates_that_ignore_the_image_have_no_vectors(fusion):
    assert published("plain", width=0.25, fusion=fusion).trunk.eval().gating_vectors(images()) is None
