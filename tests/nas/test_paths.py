"""Path training: one derivable genotype a step, the same for the same noise, whatever the alphas say."""

import pytest
import torch
from torch import Generator, nn

from nas_reid.errors import ConfigError
from nas_reid.nas.paths import Paths
from nas_reid.nas.selection.norm_statistics import norms_with_statistics, reestimate
from tests.toy_space import ToySpace

ALPHAS = {"path": torch.tensor([[9.0, 0.0, 0.0], [0.0, 0.0, 9.0]])}


def test_paths_are_uniform_over_what_the_space_derives_and_ignore_the_alphas() -> None:
    relaxation, counts = Paths(ToySpace()), torch.zeros(3, 3)
    for seed in range(800):
        mix = relaxation(ALPHAS, temperature=1.0, generator=Generator().manual_seed(seed))["path"]
        assert mix.sampled_only and torch.equal(mix.weights, torch.eye(3)[mix.index])
        counts[tuple(mix.index)] += 1
    assert counts[0].sum() == counts[:, 0].sum() == 0  # `none` is never derived
    assert (counts[1:, 1:] - 200).abs().max() < 60


def test_equal_noise_gives_the_equal_path_and_evaluation_one_path() -> None:
    relaxation = Paths(ToySpace())
    first, second = (relaxation(ALPHAS, temperature=1.0, generator=Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first["path"].index, second["path"].index)
    once, again = (relaxation.evaluation_mixes({"path": alpha}) for alpha in (ALPHAS["path"], -ALPHAS["path"]))
    assert torch.equal(once["path"].index, again["path"].index)
    assert torch.equal(relaxation.probabilities(ALPHAS)["path"], ALPHAS["path"].softmax(-1))
    with pytest.raises(ConfigError, match="no generator"):
        relaxation(ALPHAS, temperature=1.0, generator=None)


def test_reestimated_statistics_are_plain_means_over_the_batches() -> None:
    network = nn.Sequential(nn.BatchNorm2d(3, momentum=0.1), nn.BatchNorm2d(3, track_running_stats=False)).eval()
    network[0].running_mean.fill_(7.0)
    batches = [torch.randn(4, 3, 5, 2, generator=Generator().manual_seed(seed)) for seed in range(3)]
    assert norms_with_statistics(network) == [network[0]]
    reestimate(network, network, batches)
    expected = torch.stack([batch.mean((0, 2, 3)) for batch in batches]).mean(0)
    assert torch.allclose(network[0].running_mean, expected, atol=1e-6)
    expected = torch.stack([batch.transpose(0, 1).flatten(1).var(1) for batch in batches]).mean(0)
    assert torch.allclose(network[0].running_var, expected, atol=1e-6)
    assert network[0].momentum == 0.1 and not any(module.training for module in network.modules())
