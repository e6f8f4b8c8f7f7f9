"""The smallest search space that fulfils the contract: two rows, each choosing among three ways to pass a map on."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from nas_reid.genotype import Genotype
from nas_reid.search_space import Choice, Decision, Mix

CHOICES = ("none", "skip", "conv")


class ToySpace:
    name = "toy"
    version = 1

    def __init__(self, channels: int = 4) -> None:
        self.channels = channels

    def decisions(self) -> Sequence[Decision]:
        tags = {"none": frozenset({"none"}), "skip": frozenset({"skip"})}
        return [Decision("path", 2, tuple(Choice(name, tags.get(name, frozenset())) for name in CHOICES))]

    def supernet(self) -> nn.Module:
        return ToySupernet(self.channels)

    def derive(self, probs: Mapping[str, Tensor]) -> Genotype:
        chosen = [CHOICES[index] for index in probs["path"][:, 1:].argmax(1).add(1).tolist()]
        return Genotype(self.name, self.version, {"path": chosen}, arguments={"channels": self.channels},
                        probabilities={"path": probs["path"].tolist()})

    def one_hot(self, genotype: Genotype) -> dict[str, Tensor]:
        return {"path": torch.eye(3)[[CHOICES.index(name) for name in genotype.body["path"]]]}

    def op_parameters(self) -> dict[tuple[str, int, str], list[str]]:
        return {("path", row, "conv"): [f"trunk.convs.{row}.{name}" for name in ("weight", "bias")] for row in range(2)}

    def network(self, genotype: Genotype) -> nn.Module:
        return ToyNetwork(self.channels, genotype.body["path"])


class ToySupernet(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.out_channels = channels
        self.stem = nn.Conv2d(3, channels, 3, stride=2, padding=1)
        self.convs = nn.ModuleDict({str(row): nn.Conv2d(channels, channels, 3, padding=1) for row in range(2)})

    def forward(self, images: Tensor, mixes: Mapping[str, Mix], modality: Tensor | None = None) -> Tensor:
        x = self.stem(images)
        for row, weights in enumerate(mixes["path"].weights):
            x = weights[1] * x + weights[2] * torch.tanh(self.convs[str(row)](x))
        return x


class ToyNetwork(nn.Module):
    def __init__(self, channels: int, path: Sequence[str]) -> None:
        super().__init__()
        self.out_channels = channels
        self.stem = nn.Conv2d(3, channels, 3, stride=2, padding=1)
        self.convs = nn.ModuleDict({str(row): nn.Conv2d(channels, channels, 3, padding=1)
                                    for row, name in enumerate(path) if name == "conv"})

    def forward(self, images: Tensor, modality: Tensor | None = None) -> Tensor:
        x = self.stem(images)
        for conv in self.convs.values():
            x = torch.tanh(conv(x))
        return x
