"""From the trunk's feature map to an embedding and to identity logits."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from nas_reid.errors import ConfigError

POOLINGS = {"average": lambda: nn.AdaptiveAvgPool2d(1), "max": lambda: nn.AdaptiveMaxPool2d(1)}


class Head(nn.Module):
    """pool -> [dropout -> linear embedding -> [BN -> ReLU]] -> [BN neck] -> [dropout] -> linear classifier.

    With every option off this is the head of Auto-ReID's published parameter counts (a direct classifier);
    the embedding and its two dropouts are those of the paper's Sec. 3.2 ("Network Structure"); the neck is the
    BNNeck of Luo et al. 2019: metric losses see the features before it, the classifier and retrieval after it.

    Args:
        in_channels: channels of the trunk's map.
        num_classes: training identities, N.
        pooling: ``average`` or ``max``.
        embedding: width D of the linear embedding; 0 for none, then D = in_channels.
        embedding_norm_relu: end the embedding with BN and ReLU, before the metric losses see it (OSNet's ``fc``).
        dropout: probability of both dropouts.
        neck: add a BatchNorm1d before the classifier.
        init_std: linear layers start from N(0, init_std) and bias 0; 0: PyTorch's default.
        running_stats: the neck keeps running statistics. False in a supernet: the neck uses batch statistics, and the
            embedding's BN has no scale and shift, as in the search network of OSNet-AIN.
    """

    def __init__(self, in_channels: int, num_classes: int, *, pooling: str = "average", embedding: int = 0,
                 embedding_norm_relu: bool = False, dropout: float = 0.0, neck: bool = False, init_std: float = 0.0,
                 running_stats: bool = True) -> None:
        super().__init__()
        if pooling not in POOLINGS:
            raise ConfigError(f"head.pooling={pooling!r} is unknown; known are: {', '.join(sorted(POOLINGS))}")
        self.num_classes, self.stripes = num_classes, 1
        self.pooling = POOLINGS[pooling]()
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.embedding = nn.Linear(in_channels, embedding) if embedding else nn.Identity()
        if embedding and embedding_norm_relu:
            self.embedding = nn.Sequential(self.embedding, nn.BatchNorm1d(embedding, affine=running_stats), nn.ReLU())
        self.out_features = embedding or in_channels
        self.neck = nn.BatchNorm1d(self.out_features, track_running_stats=running_stats) if neck else nn.Identity()
        self.classifier = nn.Linear(self.out_features, num_classes)
        if init_std:
            self._initialise(init_std)

    def pool(self, maps: Tensor) -> Tensor:
        """Features [B, D] of maps [B, in_channels, H', W'], before the neck."""
        pooled = self.pooling(maps).flatten(1)
        return pooled if isinstance(self.embedding, nn.Identity) else self.embedding(self.dropout(pooled))

    def embed(self, features: Tensor) -> Tensor:
        """Retrieval embedding [B, D]: the features after the neck."""
        return self.neck(features)

    def classify(self, embedding: Tensor) -> Tensor:
        """Logits [B, N]."""
        return self.classifier(self.dropout(embedding))

    def _initialise(self, std: float) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=std)
                nn.init.zeros_(module.bias)


def head_arguments(configured: Mapping[str, Any], space: object) -> dict[str, Any]:
    """Arguments of ``Head``: the configured ones, and where they are None those of the space's published networks.

    Args:
        configured: name -> value, or None to leave it to the space.
        space: a search space; its attribute ``head``, if it has one, maps names to values. What neither gives has
            ``Head``'s default.
    """
    return {**getattr(space, "head", {}), **{name: value for name, value in configured.items() if value is not None}}
