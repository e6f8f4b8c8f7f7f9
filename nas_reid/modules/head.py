"""From the trunk's feature map to an embedding and to identity logits."""

from torch import Tensor, nn

from nas_reid.errors import ConfigError

POOLINGS = {"average": lambda: nn.AdaptiveAvgPool2d(1), "max": lambda: nn.AdaptiveMaxPool2d(1)}


class Head(nn.Module):
    """pool -> [dropout -> linear embedding] -> [BN neck] -> [dropout] -> linear classifier.

    With every option off this is the head of Auto-ReID's published parameter counts (a direct classifier);
    the embedding and its two dropouts are those of the paper's Sec. 3.2 ("Network Structure"); the neck is the
    BNNeck of Luo et al. 2019: metric losses see the features before it, the classifier and retrieval after it.

    Args:
        in_channels: channels of the trunk's map.
        num_classes: training identities, N.
        pooling: ``average`` or ``max``.
        embedding: width D of the linear embedding; 0 for none, then D = in_channels.
        dropout: probability of both dropouts.
        neck: add a BatchNorm1d before the classifier.
        running_stats: the neck keeps running statistics; a supernet, whose norms use batch statistics, does not.
    """

    def __init__(self, in_channels: int, num_classes: int, *, pooling: str = "average", embedding: int = 0,
                 dropout: float = 0.0, neck: bool = False, running_stats: bool = True) -> None:
        super().__init__()
        if pooling not in POOLINGS:
            raise ConfigError(f"head.pooling={pooling!r} is unknown; known are: {', '.join(sorted(POOLINGS))}")
        self.pooling = POOLINGS[pooling]()
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.embedding = nn.Linear(in_channels, embedding) if embedding else nn.Identity()
        self.out_features = embedding or in_channels
        self.neck = nn.BatchNorm1d(self.out_features, track_running_stats=running_stats) if neck else nn.Identity()
        self.classifier = nn.Linear(self.out_features, num_classes)

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
