"""Counts that are remembered are those that PyTorch's own counter gives, whatever was counted before."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from nas_reid.network.complexity import count_macs
from nas_reid.network.mac_counter import MacCounter


class Mixture(nn.Module):
    """Convolutions, norms that write to their buffers, views, products that are not counted, in-place ops."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, channels, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(channels)
        self.dilated = nn.Conv2d(channels, channels, 3, padding=2, dilation=2, groups=channels)
        self.linear = nn.Linear(channels, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.dilated(F.relu(self.norm(self.stem(x)), inplace=True))
        halves = torch.cat(x.chunk(2, dim=2), dim=3)
        vectors = self.linear(halves.flatten(2).mT.contiguous())
        return vectors.add_(1) @ vectors.mT


def by_pytorch(network: nn.Module, image_size: tuple[int, int]) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 3, *image_size))
    counts = counter.get_flop_counts()["Global"]
    return sum(count for op, count in counts.items() if op is not torch.ops.aten.bmm) // 2


def test_remembered_counts_are_right() -> None:
    for channels, size in ((4, (16, 8)), (4, (16, 8)), (6, (16, 8)), (4, (16, 12)), (4, (16, 8))):
        network = Mixture(channels)
        assert count_macs(network, size) == by_pytorch(network, size)


def test_remembered_outputs_are_as_computed() -> None:
    def run() -> list[Tensor]:
        x = torch.empty(2, 4, 6, 8, device="meta").to(memory_format=torch.channels_last)
        pooled, indices = F.max_pool2d(x, 3, 2, return_indices=True)
        return [x.permute(0, 2, 3, 1)[:, ::2], pooled, indices, (x > 0) + 1, (x > 0) + 1.0, *x.unbind(1)]

    expected = run()
    with MacCounter():
        for _ in range(2):
            for ours, theirs in zip(run(), expected, strict=True):
                assert (ours.shape, ours.stride(), ours.dtype) == (theirs.shape, theirs.stride(), theirs.dtype)


def test_what_lies_on_another_device_is_computed_each_time() -> None:
    with MacCounter():
        assert [int((torch.tensor(number) + 1).item()) for number in (1, 2)] == [2, 3]


def test_inference_mode_counts_the_same() -> None:
    network = Mixture(4)
    with torch.inference_mode():
        assert count_macs(network, (16, 8)) == by_pytorch(network, (16, 8))
