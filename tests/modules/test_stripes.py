"""PCB: a head for each horizontal stripe."""

import pytest
import torch

from nas_reid.errors import ConfigError
from nas_reid.modules.head import Head, StripeHead, build_head
from nas_reid.network.complexity import count_parameters
from nas_reid.network.model import ReIDNetwork

MAPS = torch.randn(4, 6, 7, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def make(**options) -> StripeHead:
    torch.manual_seed(0)
    return build_head(6, 5, stripes=3, **options).double()


def test_each_stripe_has_its_rows_and_its_head():
    """Seven rows in three parts, as adaptive pooling cuts them."""
    head = make(neck=True)
    features = head.pool(MAPS)
    assert torch.allclose(features, torch.nn.functional.adaptive_avg_pool2d(MAPS, (3, 1)).squeeze(3).mT)
    embedding = head.embed(features)
    logits = head.classify(embedding)
    assert features.shape == embedding.shape == (4, 3, 6) and logits.shape == (4, 3, 5)
    for stripe, part in enumerate(head.parts):
        assert torch.allclose(logits[:, stripe], part.classifier(embedding[:, stripe]))
    assert head.out_features == 18 and head.num_classes == 5


def test_retrieval_sees_the_concatenation():
    torch.manual_seed(0)
    trunk = torch.nn.Conv2d(3, 6, 1)
    trunk.forward = lambda images, modality=None: torch.nn.Conv2d.forward(trunk, images)
    network = ReIDNetwork(trunk, build_head(6, 5, stripes=3, reduction=2))
    images = torch.randn(2, 3, 6, 2)
    output = network.train()(images)
    assert output.features.shape == (2, 3, 2) and output.logits.shape == (2, 3, 5)
    embedding = network.eval()(images)
    assert torch.equal(embedding, network.head.pool(trunk(images)).flatten(1)) and embedding.shape == (2, 6)


def test_pcb_by_count():
    """Six stripes, 2048 -> 256 with BN, and a classifier of 751 identities each."""
    head = build_head(2048, 751, stripes=6, reduction=256)
    assert count_parameters(head) == 6 * (2048 * 256 + 2 * 256 + 256 * 751 + 751)


def test_one_stripe_is_the_plain_head():
    assert type(build_head(6, 5, stripes=1)) is Head


def test_maps_lower_than_the_stripes_are_many():
    with pytest.raises(ConfigError, match=r"a feature map 2 high cannot be cut into head\.stripes=3; take fewer"):
        make().pool(MAPS[:, :, :2])
