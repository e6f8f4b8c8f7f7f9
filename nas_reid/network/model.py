"""A re-ID network: a trunk (from a search space) and a head, for training and for retrieval."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from nas_reid.errors import ConfigError
from nas_reid.modules.head import Head, StripeHead, build_head
from nas_reid.parallel.whole_batch import whole_batch
from nas_reid.search_space import Mix


class Output(NamedTuple):
    """What the losses see.

    Attributes:
        features: [B, D], before the neck (or after it, if the head says so); the metric losses' input.
        logits: [B, N] over the training identities; cosines if the classifier is ``cosine``.

    A head of S stripes gives [B, S, D] and [B, S, N].
    """

    features: Tensor
    logits: Tensor


class ReIDNetwork(nn.Module):
    """Trunk and head. Training returns an ``Output``; evaluation returns the retrieval embedding [B, D].

    Args:
        trunk: a space's supernet or fixed network; carries ``out_channels``.
        head: pools the trunk's map; see ``Head``.
    """

    def __init__(self, trunk: nn.Module, head: Head | StripeHead) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = head
        self.trunk_is_frozen = False  # then only the head is trained
        self.trunk_dtype = torch.float32  # what the trunk computes in when it is trained; see ``execution.place``
        self.judged_dtype = torch.float32  # and when it embeds, classifies or teaches
        self.trunk_is_compiled = False  # then nothing in it is of the whole batch of several processes
        self.has_whole_batch_norms = True  # in training; of several processes, see ``execution.place``

    def train(self, mode: bool = True) -> "ReIDNetwork":
        """As ``nn.Module.train``; a frozen trunk stays in evaluation mode and keeps its BN statistics."""
        super().train(mode)
        if self.trunk_is_frozen:
            self.trunk.eval()
        return self

    def forward(self, images: Tensor, mixes: Mapping[str, Mix] | None = None,
                modality: Tensor | None = None) -> Output | Tensor:
        """Run images [B, 3, H, W] through the network; a supernet also needs its mixing weights."""
        maps = self._maps(images, mixes, modality)
        with self._whole_batch():
            features, embedding = self._embedded(maps)
            return self._output(features, embedding) if self.training else embedding.flatten(1)

    def outputs(self, images: Tensor, modality: Tensor | None = None) -> Output:
        """What the losses would see, also in evaluation mode: a teacher's features and logits."""
        return self._output(*self._embedded(self._maps(images, None, modality)))

    def _maps(self, images: Tensor, mixes: Mapping[str, Mix] | None, modality: Tensor | None) -> Tensor:
        """The trunk's, in the format of the images."""
        with torch.no_grad() if self.trunk_is_frozen else nullcontext(), self._autocast(images), \
                nullcontext() if self.trunk_is_compiled else self._whole_batch():  # no graph holds what that puts in
            maps: Tensor = (self.trunk(images, modality=modality) if mixes is None
                            else self.trunk(images, mixes, modality=modality))
        return maps.to(images.dtype)

    def _embedded(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Features before and after the neck."""
        features = self.head.pool(maps)
        return features, self.head.embed(features)

    def _output(self, features: Tensor, embedding: Tensor) -> Output:
        seen = embedding if self.head.metric_features == "after_neck" else features
        return Output(seen, self.head.classify(embedding))

    def _whole_batch(self) -> AbstractContextManager[object]:
        return whole_batch(self.training, norms=self.has_whole_batch_norms)

    def _autocast(self, images: Tensor) -> AbstractContextManager[object]:
        dtype = self.trunk_dtype if self.training else self.judged_dtype
        if dtype == torch.float32 or images.is_meta:  # the meta device knows no autocast
            return nullcontext()
        return torch.autocast(images.device.type, dtype)


def build_network(trunk: nn.Module, num_classes: int, **head: Any) -> ReIDNetwork:
    """A space's network or supernet with a head.

    Args:
        trunk: carries ``out_channels``.
        num_classes: training identities.
        head: arguments of ``build_head``.

    Raises:
        ConfigError: the trunk does not say how many channels its map has.
    """
    channels = getattr(trunk, "out_channels", None)
    if not isinstance(channels, int):
        raise ConfigError(f"the search space's {type(trunk).__name__} has out_channels={channels!r}; expected the "
                          "number of channels of the map that it returns (nas_reid.conformance checks a space)")
    return ReIDNetwork(trunk, build_head(channels, num_classes, **head))


class WithMixes(nn.Module):
    """A supernet with its mixing weights filled in, so that evaluation sees an ordinary network."""

    def __init__(self, network: ReIDNetwork, mixes: Mapping[str, Mix]) -> None:
        super().__init__()
        self.network = network
        self.mixes = mixes

    def forward(self, images: Tensor, modality: Tensor | None = None) -> Output | Tensor:
        """As ``ReIDNetwork.forward`` with the mixes given at construction."""
        return self.network(images, self.mixes, modality=modality)
