"""torch.compile takes a fused supernet as one graph, and the same graph for other mixing weights."""

import pytest
import torch

from tests.search_spaces.auto_reid_spaces import make_alphas, make_images, make_space, softmax_mixes


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # torch looks whether mixing weights have one
def test_a_fused_supernet_is_one_graph_whatever_the_weights() -> None:
    space = make_space(nodes=1)
    torch.manual_seed(0)
    supernet = space.supernet()
    images = make_images(batch=4, height=32, width=16, dtype=torch.float32)
    compiled = torch.compile(supernet, backend="eager", fullgraph=True)  # which refuses to break
    mixes = [softmax_mixes(make_alphas(space, seed=seed, dtype=torch.float32)) for seed in range(2)]
    compiled(images, mixes[0])
    with torch.compiler.set_stance("fail_on_recompile"):
        output = compiled(images, mixes[1])
    torch.testing.assert_close(output, supernet(images, mixes[1]))
