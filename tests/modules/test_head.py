"""The head: where features end, where the embedding is taken, and how many parameters there are."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from nas_reid.errors import ConfigError
from nas_reid.modules.head import Head, build_head, head_arguments
from nas_reid.network.complexity import count_parameters
from nas_reid.network.model import ReIDNetwork

MAPS = torch.randn(4, 6, 3, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def make(**options) -> Head:
    torch.manual_seed(0)
    return Head(6, 5, **options).double()


def test_the_plain_head_is_pool_and_classifier() -> None:
    head = make()
    assert sorted(head.state_dict()) == ["classifier.bias", "classifier.weight"] and head.out_features == 6
    features = head.pool(MAPS)
    assert torch.allclose(features, MAPS.mean((2, 3)))
    assert head.embed(features) is features
    assert torch.allclose(head.classify(features), features @ head.classifier.weight.T + head.classifier.bias)


def test_max_pooling() -> None:
    assert torch.equal(make(pooling="max").pool(MAPS), MAPS.amax((2, 3)))


def test_unknown_pooling_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"head\.pooling='median' is unknown; known are: average, max"):
        make(pooling="median")


def test_the_embedding_is_linear_and_sets_the_width() -> None:
    head = make(embedding=3)
    assert head.out_features == 3 and head.classifier.in_features == 3
    pooled = MAPS.mean((2, 3))
    assert torch.allclose(head.pool(MAPS), pooled @ head.embedding.weight.T + head.embedding.bias)
    assert count_parameters(head) == (6 * 3 + 3) + (3 * 5 + 5)


def test_osnets_embedding_ends_in_norm_and_relu_before_anything_sees_it() -> None:
    head = make(embedding=8, embedding_norm_relu=True)
    features = head.pool(MAPS)
    linear, norm, _ = head.embedding
    expected = nn.functional.batch_norm(linear(MAPS.mean((2, 3))), None, None, norm.weight, norm.bias, training=True)
    assert torch.allclose(features, expected.relu())
    assert head.embed(features) is features and (features == 0).any()
    assert isinstance(make(embedding_norm_relu=True).embedding, nn.Identity)  # nothing to norm


def test_metric_losses_see_what_is_before_the_neck_and_retrieval_what_is_after() -> None:
    head = make(neck=True)
    features = head.pool(MAPS)
    assert torch.allclose(features, MAPS.mean((2, 3)))
    embedding = head.embed(features)
    assert torch.allclose(embedding.mean(0), torch.zeros(6).double(), atol=1e-12)
    assert torch.allclose(embedding.var(0, unbiased=False), torch.ones(6).double(), atol=1e-2)
    assert count_parameters(head) == 6 * 5 + 5 + 2 * 6  # the published 4,096 more are 2 x 2048


def test_a_retrained_neck_remembers_and_a_supernets_does_not() -> None:
    kept, batchwise = make(neck=True), make(neck=True, running_stats=False)
    assert "neck.running_mean" in kept.state_dict() and "neck.running_mean" not in batchwise.state_dict()
    features = kept.pool(MAPS)
    kept.eval(), batchwise.eval()
    assert torch.allclose(kept.embed(features), features / (1 + 1e-5) ** 0.5)  # fresh statistics: mean 0, variance 1
    assert torch.allclose(batchwise.embed(features).mean(0), torch.zeros(6).double(), atol=1e-12)


def test_a_supernets_embedding_has_no_scale_and_keeps_its_statistics() -> None:
    norm = make(embedding=8, embedding_norm_relu=True, running_stats=False).embedding[1]
    assert norm.weight is None and norm.running_mean is not None


def test_both_dropouts_act_in_training_only() -> None:
    head = make(embedding=3, dropout=0.5)
    first, second = head.pool(MAPS), head.pool(MAPS)
    assert not torch.equal(first, second)
    assert not torch.equal(head.classify(first), head.classify(first))
    head.eval()
    assert torch.equal(head.pool(MAPS), head.pool(MAPS))
    assert torch.equal(head.classify(first), head.classify(first))


def test_dropout_without_an_embedding_leaves_the_features_alone() -> None:
    head = make(dropout=0.5)
    assert torch.equal(head.pool(MAPS), head.pool(MAPS))
    assert not torch.equal(head.classify(head.pool(MAPS)), head.classify(head.pool(MAPS)))


def test_initial_values() -> None:
    head = Head(400, 300, embedding=200, init_std=0.01)
    for linear in (head.embedding, head.classifier):
        assert linear.weight.std().item() == pytest.approx(0.01, rel=0.02) and not linear.bias.any()
    assert Head(400, 300).classifier.weight.std().item() == pytest.approx((1 / 400 / 3) ** 0.5, rel=0.02)  # PyTorch's


def test_a_space_proposes_and_the_configuration_decides() -> None:
    space = SimpleNamespace(head={"embedding": 512, "init_std": 0.01})
    configured = {"pooling": "max", "embedding": None, "dropout": 0.0, "init_std": 0.0}
    assert head_arguments(configured, space) == {"pooling": "max", "embedding": 512, "dropout": 0.0, "init_std": 0.0}
    assert head_arguments(configured, object()) == {"pooling": "max", "dropout": 0.0, "init_std": 0.0}


@pytest.mark.parametrize(("option", "known"), [("reduction_form", "relu, leaky_relu, linear"),
                                               ("classifier", "linear, cosine"),
                                               ("metric_features", "before_neck, after_neck")])
def test_unknown_names_list_the_known_ones(option: str, known: str) -> None:
    with pytest.raises(ConfigError, match=rf"head\.{option}='other' is unknown; known are: {known}"):
        make(**{option: "other"})


def test_a_cosine_classifier_gives_cosines_whatever_the_lengths() -> None:
    head = make(classifier="cosine")
    assert sorted(head.state_dict()) == ["classifier.weight"]
    features = head.pool(MAPS)
    expected = nn.functional.cosine_similarity(features[:, None], head.classifier.weight[None], dim=2)
    assert torch.allclose(head.classify(features), expected) and head.classify(features).abs().max() <= 1
    with torch.no_grad():
        head.classifier.weight.mul_(7)
    assert torch.allclose(head.classify(3 * features), expected)
    assert make(classifier="cosine").half().classify(features.half()).dtype == torch.float32


def test_a_classifier_without_bias() -> None:
    head = make(classifier_bias=False, init_std=0.01)
    assert sorted(head.state_dict()) == ["classifier.weight"]


def test_a_necks_shift_can_be_kept_at_zero() -> None:
    head = make(neck=True, neck_bias=False)
    trained = [name for name, parameter in head.named_parameters() if parameter.requires_grad]
    assert "neck.bias" not in trained and "neck.weight" in trained and "neck.bias" in head.state_dict()


@pytest.mark.parametrize(("form", "slope"), [("relu", 0.0), ("leaky_relu", 0.1)])
def test_a_reduction_is_convolution_norm_activation_and_dropout(form: str, slope: float) -> None:
    head = make(reduction=4, reduction_form=form)
    conv, norm, _ = head.reduction
    pooled = MAPS.mean((2, 3), keepdim=True)
    mapped = nn.functional.conv2d(pooled, conv.weight[..., None, None])
    expected = nn.functional.batch_norm(mapped, None, None, norm.weight, norm.bias, training=True).flatten(1)
    assert torch.allclose(head.pool(MAPS), nn.functional.leaky_relu(expected, slope))
    assert head.out_features == head.classifier.in_features == 4 and conv.bias is None
    dropping = make(reduction=4, reduction_form=form, dropout=0.5)
    features = dropping.pool(MAPS)
    assert not torch.equal(features, dropping.pool(MAPS))
    assert torch.equal(dropping.classify(features), dropping.classify(features))  # its dropout is behind the reduction


def test_a_linear_reduction_and_the_papers_two_layers() -> None:
    head = make(reduction=4, reduction_form="linear")
    assert torch.allclose(head.pool(MAPS), MAPS.mean((2, 3)) @ head.reduction.weight.T)
    head = make(reduction=4, embedding=3)
    assert head.out_features == 3 and torch.allclose(head.pool(MAPS), head.embedding(head.reduction(MAPS.mean((2, 3)))))


def test_a_supernets_reduction_has_no_scale() -> None:
    assert make(reduction=4, running_stats=False).reduction[1].weight is None


def test_metric_losses_can_see_what_is_after_the_neck() -> None:
    trunk = nn.Identity()
    trunk.forward = lambda images, modality=None: images
    for where in ("before_neck", "after_neck"):
        head = make(neck=True, metric_features=where)
        output = ReIDNetwork(trunk, head).train()(MAPS)
        before = head.pool(MAPS)
        assert torch.equal(output.features, head.embed(before) if where == "after_neck" else before)
        assert torch.allclose(output.logits, head.classify(head.embed(before)))


def test_the_head_of_an_older_checkpoint_is_what_it_was() -> None:
    old = {"pooling": "average", "embedding": 8, "embedding_norm_relu": True, "dropout": 0.1, "neck": True,
           "init_std": 0.01}
    head = build_head(6, 5, **old)
    assert sorted(head.state_dict()) == sorted(
        [f"classifier.{n}" for n in ("weight", "bias")] + [f"embedding.0.{n}" for n in ("weight", "bias")]
        + [f"{m}.{n}" for m in ("embedding.1", "neck")
           for n in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")])
