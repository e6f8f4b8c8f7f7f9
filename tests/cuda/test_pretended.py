"""The pretended GPU refuses what a GPU refuses, counts what one would be waited for, and computes the same numbers."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from tests.cuda.pretended import DEVICE, WrongDevice, pretended_cuda


def mask(x: Tensor) -> Tensor:
    return x > 2


WAITS: dict[str, Callable[[Tensor], object]] = {
    "item": lambda x: x[0].item(), "float": lambda x: float(x[1]), "truth": lambda x: bool(x[0] > 0),
    "tolist": lambda x: x.tolist(), "cpu": lambda x: x.cpu(), "to": lambda x: x.to("cpu", torch.float64),
    "to_unpinned": lambda x: x.to("cpu", non_blocking=True), "nonzero": lambda x: x.nonzero(),
    "mask": lambda x: x[mask(x)], "masked_select": lambda x: x.masked_select(mask(x)), "unique": lambda x: x.unique(),
    "equal": lambda x: torch.equal(x, x), "host_indices": lambda x: x[torch.tensor([0, 2])],
    "from_host": lambda x: torch.ones(3).to(x.device),
    "from_numbers": lambda x: torch.tensor([1.0, 2.0], device=x.device), "copy": lambda x: x.copy_(torch.ones(4)),
    "repeats": lambda x: x.repeat_interleave(torch.arange(4, device=x.device))}
WAITS_NOT: dict[str, Callable[[Tensor], object]] = {
    "arithmetic": lambda x: (x * 2 + x.sum()).softmax(0), "number_of_the_host": lambda x: x * torch.tensor(2.0),
    "indices": lambda x: x[torch.arange(2, device=x.device)], "fill_by_mask": lambda x: x.masked_fill(mask(x), 0.0),
    "new": lambda x: torch.zeros(3, device=x.device), "sort": lambda x: x.sort(),
    "asynchronous": lambda x: torch.ones(3).to(x.device, non_blocking=True),
    "into_pinned": lambda x: torch.empty(4, pin_memory=True).copy_(x, non_blocking=True),
    "draw": lambda x: torch.rand(3, device=x.device, generator=torch.Generator(x.device).manual_seed(1))}
WRONG: dict[str, Callable[[Tensor], object]] = {
    "tensor": lambda x: x + torch.ones(4), "cat": lambda x: torch.stack([x[0], torch.tensor(1.0)]),
    "other_gpu": lambda x: torch.zeros(2, device="cuda:0"), "any_gpu": lambda x: x.to("cuda"),
    "generator": lambda x: torch.rand(3, device=x.device, generator=torch.Generator()),
    "generator_in_place": lambda x: x.normal_(generator=torch.Generator()),
    "generator_of_the_device": lambda x: torch.rand(3, generator=torch.Generator(DEVICE))}


@pytest.mark.parametrize("name", WAITS)
def test_it_counts_what_would_wait(name: str) -> None:
    with pretended_cuda() as cuda:
        x = torch.arange(4.0, device=DEVICE)
        WAITS[name](x)
    assert sum(cuda.waits.values()) >= 1


@pytest.mark.parametrize("name", WAITS_NOT)
def test_it_counts_nothing_else(name: str) -> None:
    with pretended_cuda() as cuda:
        x = torch.arange(4.0, device=DEVICE)
        WAITS_NOT[name](x)
    assert not cuda.waits


@pytest.mark.parametrize("name", WRONG)
def test_it_refuses_what_lies_elsewhere(name: str) -> None:
    with pretended_cuda(), pytest.raises(WrongDevice):
        WRONG[name](torch.arange(4.0, device=DEVICE))


def test_it_computes_gradients_of_the_same_bits_and_autocasts() -> None:
    def gradients(device: torch.device) -> list[Tensor]:
        torch.manual_seed(0)
        layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2))
        images = torch.randn(2, 3, 4, 4)
        layers.to(device)(images.to(device)).square().sum().backward()
        return [parameter.grad.cpu() for parameter in layers.parameters()]

    expected = gradients(torch.device("cpu"))
    with pretended_cuda():
        found = gradients(DEVICE)
        with torch.autocast("cuda", torch.bfloat16):
            assert nn.Linear(2, 2).to(DEVICE)(torch.ones(1, 2, device=DEVICE)).dtype == torch.bfloat16
    assert all(torch.equal(one, other) for one, other in zip(expected, found, strict=True))
    with pytest.raises((AssertionError, RuntimeError)):
        torch.zeros(1, device=DEVICE)
