"""From the trunk's feature map to an embedding and to identity logits."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas_reid.errors import ConfigError, require_known
from nas_reid.modules.pooling import POOLINGS
from nas_reid.modules.typed_lists import ModuleListOf
from nas_reid.search_space import OffersHead

CLASSIFIERS = ("linear", "cosine")
REDUCTIONS = ("relu", "leaky_relu", "linear")
METRIC_FEATURES = ("before_neck", "after_neck")


class Head(nn.Module):
    """pool -> [reduction] -> [dropout -> linear embedding -> [BN -> ReLU]] -> [BN neck] -> [dropout] -> classifier.

    With every option off this is the head of Auto-ReID's published parameter counts (a direct classifier);
    the embedding and its two dropouts are those of the paper's Sec. 3.2 ("Network Structure"); the neck is the
    BNNeck of Luo et al. 2019: metric losses see the features before it, the classifier and retrieval after it.
    FastReID's linear, BN and reduction heads (Sec. 3.4) are: nothing; ``neck``; ``reduction`` with ``dropout`` and
    ``embedding``.

    Args:
        in_channels: channels of the trunk's map.
        num_classes: training identities, N.
        pooling: a key of ``POOLINGS``.
        gem_power: p of ``gem`` (where it starts) and ``gem_fixed``.
        reduction: width of a 1x1 convolution on the pooled map; 0 for none.
        reduction_form: what follows it: ``relu``: BN, ReLU, dropout (FastReID's paper; PCB); ``leaky_relu``: the same
            with slope 0.1 (FastReID 0.1); ``linear``: nothing (FastReID 1.x).
        embedding: width D of the linear embedding; 0 for none, then D = reduction or in_channels.
        embedding_norm_relu: end the embedding with BN and ReLU, before the metric losses see it (OSNet's ``fc``).
        dropout: probability of both dropouts; with a reduction, of the one behind it alone.
        neck: add a BatchNorm1d before the classifier.
        neck_bias: the neck's shift is learnt; False keeps it at zero (Luo et al. 2019, AGW, FastReID).
        metric_features: what metric losses see: ``before_neck``, or ``after_neck`` as FastReID's strong baseline.
        classifier: ``linear``, or ``cosine``: the logits are cosines between embedding and class weights.
        classifier_bias: of the linear classifier; without in Luo et al. 2019 and after.
        init_std: linear layers start from N(0, init_std) and bias 0; 0: PyTorch's default.
        running_stats: the neck keeps running statistics. False in a supernet: the neck uses batch statistics, and the
            BN of embedding and reduction has no scale and shift, as in the search network of OSNet-AIN.
    """

    stripes = 1

    def __init__(self, in_channels: int, num_classes: int, *, pooling: str = "average", gem_power: float = 3.0,
                 reduction: int = 0, reduction_form: str = "relu", embedding: int = 0,
                 embedding_norm_relu: bool = False, dropout: float = 0.0, neck: bool = False, neck_bias: bool = True,
                 metric_features: str = "before_neck", classifier: str = "linear", classifier_bias: bool = True,
                 init_std: float = 0.0, running_stats: bool = True) -> None:
        super().__init__()
        for key, value, known in (("pooling", pooling, POOLINGS), ("reduction_form", reduction_form, REDUCTIONS),
                                  ("classifier", classifier, CLASSIFIERS),
                                  ("metric_features", metric_features, METRIC_FEATURES)):
            require_known(f"head.{key}", value, known)
        self.num_classes, self.metric_features = num_classes, metric_features
        self.pooling = POOLINGS[pooling](in_channels, gem_power)
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.reduction = (_reduction(in_channels, reduction, reduction_form, affine=running_stats) if reduction
                          else nn.Identity())
        width = reduction or in_channels
        self.embedding: nn.Module = nn.Linear(width, embedding) if embedding else nn.Identity()
        if embedding and embedding_norm_relu:
            self.embedding = nn.Sequential(self.embedding, nn.BatchNorm1d(embedding, affine=running_stats), nn.ReLU())
        self.out_features = embedding or width
        self.neck = nn.BatchNorm1d(self.out_features, track_running_stats=running_stats) if neck else nn.Identity()
        if neck and not neck_bias:
            self.neck.bias.requires_grad_(False)
        self.classifier = (CosineClassifier(self.out_features, num_classes) if classifier == "cosine"
                           else nn.Linear(self.out_features, num_classes, bias=classifier_bias))
        if init_std:
            self._initialise(init_std)

    def pool(self, maps: Tensor) -> Tensor:
        """Features [B, D] of maps [B, in_channels, H', W'], before the neck."""
        pooled = self.pooling(maps)
        if not isinstance(self.reduction, nn.Identity):
            return self.embedding(self.dropout(self.reduction(pooled)))
        return pooled if isinstance(self.embedding, nn.Identity) else self.embedding(self.dropout(pooled))

    def embed(self, features: Tensor) -> Tensor:
        """Retrieval embedding [B, D]: the features after the neck."""
        return self.neck(features)

    def classify(self, embedding: Tensor) -> Tensor:
        """Logits [B, N]."""
        reduced = not isinstance(self.reduction, nn.Identity)
        return self.classifier(embedding if reduced else self.dropout(embedding))

    def _initialise(self, std: float) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=std)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)


class CosineClassifier(nn.Linear):
    """Logits are the cosines between an embedding and the weights of each class, [B, D] -> [B, N] in [-1, 1]."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features, bias=False)

    def forward(self, embedding: Tensor) -> Tensor:
        """In at least float32: a margin is lost in half precision."""
        dtype = torch.promote_types(embedding.dtype, torch.float32)
        return functional.linear(functional.normalize(embedding.to(dtype)), functional.normalize(self.weight.to(dtype)))


class StripeHead(nn.Module):
    """PCB (Sun et al. 2018): the map is cut into S horizontal stripes, each of which has a head of its own.

    The retrieval embedding is the concatenation of the stripes' embeddings. PCB itself: ``stripes=6``,
    ``reduction=256`` and cross-entropy alone; its paper adds up the stripes' losses where ``Objective`` takes the mean.

    Args:
        in_channels, num_classes: see ``Head``.
        stripes: S >= 2, each of the rows ⌊i·H/S⌋ to ⌈(i+1)·H/S⌉ of a map of height H, as adaptive pooling does.
        options: of each stripe's ``Head``.
    """

    def __init__(self, in_channels: int, num_classes: int, *, stripes: int, **options: Any) -> None:
        super().__init__()
        if stripes < 2:
            raise ConfigError(f"head.stripes={stripes} must be 1 (no stripes) or more")
        self.parts: ModuleListOf[Head] = ModuleListOf(Head(in_channels, num_classes, **options) for _ in range(stripes))
        self.stripes, self.num_classes = stripes, num_classes
        self.metric_features = self.parts[0].metric_features
        self.out_features = stripes * self.parts[0].out_features

    def pool(self, maps: Tensor) -> Tensor:
        """Features [B, S, D] of maps [B, in_channels, H', W'], before the necks.

        Raises:
            ConfigError: H' < S.
        """
        height = maps.shape[2]
        if height < self.stripes:
            raise ConfigError(f"a feature map {height} high cannot be cut into head.stripes={self.stripes}; take fewer "
                              "stripes, larger images (data.image_size=), or a trunk that shrinks them less")
        rows = [slice(height * i // self.stripes, -(-height * (i + 1) // self.stripes)) for i in range(self.stripes)]
        return torch.stack([part.pool(maps[:, :, row]) for part, row in zip(self.parts, rows, strict=True)], 1)

    def embed(self, features: Tensor) -> Tensor:
        """Retrieval embeddings [B, S, D], to be concatenated."""
        return torch.stack([part.embed(features[:, i]) for i, part in enumerate(self.parts)], 1)

    def classify(self, embedding: Tensor) -> Tensor:
        """Logits [B, S, N]."""
        return torch.stack([part.classify(embedding[:, i]) for i, part in enumerate(self.parts)], 1)


def build_head(in_channels: int, num_classes: int, *, stripes: int = 1, **options: Any) -> Head | StripeHead:
    """A ``Head``, or with ``stripes`` > 1 a ``StripeHead``; the options are those of ``Head``."""
    if stripes == 1:
        return Head(in_channels, num_classes, **options)
    return StripeHead(in_channels, num_classes, stripes=stripes, **options)


def head_arguments(configured: Mapping[str, Any], space: object) -> dict[str, Any]:
    """Arguments of ``build_head``: the configured ones, and where they are None those of the space's networks.

    Args:
        configured: name -> value, or None to leave it to the space.
        space: a search space, which may be an ``OffersHead``. What neither gives has ``Head``'s default.
    """
    own = space.head if isinstance(space, OffersHead) else {}
    return {**own, **{name: value for name, value in configured.items() if value is not None}}


def _reduction(in_channels: int, width: int, form: str, *, affine: bool) -> nn.Module:
    # On a pooled map, a 1x1 convolution is a linear layer.
    if form == "linear":
        return nn.Linear(in_channels, width, bias=False)
    activation = nn.ReLU() if form == "relu" else nn.LeakyReLU(0.1)
    return nn.Sequential(nn.Linear(in_channels, width, bias=False), nn.BatchNorm1d(width, affine=affine), activation)
