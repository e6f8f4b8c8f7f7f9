"""Fused candidates are the plain ones, in fewer launches."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_reid.nas.relaxation import get_relaxation
from search_spaces.osnet_ain.block import BlockSettings
from search_spaces.osnet_ain.candidates import SeparateCandidates
from search_spaces.osnet_ain.fused_candidates import FusedCandidates
from search_spaces.osnet_ain.fusion import FUSIONS
from search_spaces.osnet_ain.trunk import BLOCKS
from tests.search_spaces.osnet_networks import make_space, random_images

TOLERANCE = 1e-12


def normal(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def make_blocks(in_channels, out_channels, **changes):
    """A block of plain and one of fused candidates with the same state, in float64."""
    torch.manual_seed(0)
    shared = {"streams": 3, "stream_depth": 0, "convolution": "lite", "fusion": "unified", "affine": False}
    block_settings = BlockSettings(**{**shared, **changes})
    plain, fused = (kind(in_channels, out_channels, settings=block_settings).double()
                    for kind in (SeparateCandidates, FusedCandidates))
    fused.load_state_dict(plain.state_dict())
    return plain, fused


def make_supernets():
    torch.manual_seed(0)
    plain, fused = (make_space(execution=execution).supernet().double() for execution in ("plain", "fused"))
    fused.load_state_dict(plain.state_dict())
    return plain, fused


def make_alphas():
    return {block: normal(1, 4, seed=index).requires_grad_() for index, block in enumerate(BLOCKS)}


def mixes_of(alphas, relaxation):
    return get_relaxation(relaxation)(alphas, temperature=1.0, generator=torch.Generator().manual_seed(0))


def gradients_of(output, inputs, module, *, create_graph=False):
    """Of some inputs, and of all parameters as one vector: some biases have a gradient of rounding errors only."""
    total, parameters = (output * normal(*output.shape)).sum(), list(module.parameters())
    gradients = torch.autograd.grad(total, [*inputs, *parameters], create_graph=create_graph)
    return [*gradients[:len(inputs)], torch.cat([gradient.flatten() for gradient in gradients[len(inputs):]])]


def check_close(expected, got, tolerance=TOLERANCE):
    for first, second in zip(expected, got, strict=True):
        assert (first - second).double().norm() <= tolerance * first.double().norm()


def check_blocks(plain, fused, x):
    results = []
    for block in (plain, fused):
        inputs = [x.clone().requires_grad_(), normal(4).requires_grad_()]
        output = block(*inputs, None, False)
        results.append([output, *gradients_of(output, inputs, block), *block.buffers()])
    check_close(*results)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(in_channels=st.sampled_from([24, 64, 100]), out_channels=st.sampled_from([64, 70, 100]), batch=st.integers(1, 3),
       height=st.integers(4, 12), width=st.integers(3, 9), streams=st.integers(1, 4),
       stream_depth=st.sampled_from([0, 0, 2]), fusion=st.sampled_from(sorted(FUSIONS)),
       convolution=st.sampled_from(["lite", "lite", "full"]))
def test_a_fused_block_equals_the_plain_one(in_channels, out_channels, batch, height, width, **changes):
    check_blocks(*make_blocks(in_channels, out_channels, **changes), normal(batch, in_channels, height, width))


def test_evaluation_reads_the_running_statistics_and_leaves_them():
    plain, fused = make_blocks(24, 64)
    x, weights = normal(2, 24, 8, 4), normal(4)
    for block in (plain, fused):
        block(x + 3, weights, None, False)
    before = {name: value.clone() for name, value in fused.state_dict().items()}
    check_blocks(plain.eval(), fused.eval(), x)
    assert all(torch.equal(value, before[name]) for name, value in fused.state_dict().items())


def test_second_derivatives_agree():
    products = []
    for block in make_blocks(64, 64, streams=2):
        x, weights = normal(2, 64, 6, 4).requires_grad_(), normal(4).requires_grad_()
        gradients = gradients_of(block(x, weights, None, False), [], block, create_graph=True)[-1]
        products.append(torch.autograd.grad(gradients.square().sum(), [x, weights]))
    check_close(*products, 1e-9)


def test_one_step_of_the_supernets_agrees():
    results = []
    for supernet in make_supernets():
        alphas = make_alphas()
        weight_optimiser = torch.optim.SGD(supernet.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
        alpha_optimiser = torch.optim.Adam(alphas.values(), lr=0.02, weight_decay=5e-4)
        output = supernet(random_images(dtype=torch.float64), mixes_of(alphas, "gumbel"))
        output.square().mean().backward()
        gradients = [alpha.grad.clone() for alpha in alphas.values()]
        weight_optimiser.step()
        alpha_optimiser.step()
        results.append([output, *gradients, *supernet.state_dict().values(), *alphas.values()])
    check_close(*results)


def test_under_hard_weights_all_alphas_get_the_same_gradients():
    results = []
    for supernet in make_supernets():
        alphas = make_alphas()
        output = supernet(random_images(dtype=torch.float64), mixes_of(alphas, "gumbel_hard"))
        results.append([output, *gradients_of(output, list(alphas.values()), supernet)])
    check_close(*results)


def test_a_sampled_step_does_not_depend_on_the_switch():
    results = []
    for supernet in make_supernets():
        output = supernet(random_images(dtype=torch.float64), mixes_of(make_alphas(), "gumbel_sampled_exact"))
        results.append([output, *supernet.buffers()])
    assert all(map(torch.equal, *results))


def test_shared_candidates_are_one_block_as_they_are():
    supernet = make_space(candidates="shared", execution="fused").supernet()
    assert not any(isinstance(module, FusedCandidates) for module in supernet.modules())
