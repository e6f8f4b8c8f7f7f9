"""Losses between student and teacher: published values, the formulas in loops, and the undefined cases."""

import math

import pytest
import torch
from torch import Tensor, nn

from nas_reid.data.batches import Batch
from nas_reid.errors import ConfigError
from nas_reid.modules.head import Head
from nas_reid.network.model import Output, ReIDNetwork
from nas_reid.training.distillation import (
    Distillation,
    build_distillation,
    kl_logits,
    l1_logits,
    probabilistic_transfer,
)

FEATURES = torch.tensor([[1.0, 0], [0, 1], [1, 1]], dtype=torch.float64)
TAUGHT = torch.tensor([[2.0, 1], [-1, 1], [0, 3]], dtype=torch.float64)
LOGITS = torch.tensor([[2.0, 0, -1], [0, 1, 0]], dtype=torch.float64)
TEACHER = torch.tensor([[3.0, -1, 0], [0, 2, -2]], dtype=torch.float64)


def test_published_values() -> None:
    """The values that FastReID's formulas give; its "JS" is the symmetric divergence."""
    assert l1_logits(LOGITS, TEACHER).item() == 3
    for temperature, symmetric, expected in ((4, False, 0.513943), (16, False, 0.593516), (16, True, 0.597575)):
        found = kl_logits(LOGITS, TEACHER, temperature=temperature, symmetric=symmetric)
        assert found.item() == pytest.approx(expected, abs=1e-6)
    assert probabilistic_transfer(FEATURES, TAUGHT, form="sum").item() == pytest.approx(0.024061, abs=1e-6)
    assert 1e4 * probabilistic_transfer(FEATURES, TAUGHT, form="mean").item() == pytest.approx(25.493019, abs=1e-5)


def slow_transfer(student: Tensor, teacher: Tensor) -> float:
    """Eq. 9 image by image, with the kernel (1 + cos) / 2."""
    def kernel(features: Tensor, i: int, j: int) -> float:
        x, y = features[i].tolist(), features[j].tolist()
        lengths = math.hypot(*x) * math.hypot(*y)
        return (1 + sum(a * b for a, b in zip(x, y, strict=True)) / lengths) / 2

    total, count = 0.0, len(student)
    for i in range(count):
        others = [j for j in range(count) if j != i]
        for j in others:
            p_t = kernel(teacher, i, j) / sum(kernel(teacher, i, k) for k in others)
            p_s = kernel(student, i, j) / sum(kernel(student, i, k) for k in others)
            total += p_t * math.log(p_t / p_s)
    return total


def test_transfer_is_the_loop_and_widths_may_differ() -> None:
    generator = torch.Generator().manual_seed(0)
    student = torch.randn(7, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    teacher = torch.randn(7, 9, generator=generator, dtype=torch.float64)
    loss = probabilistic_transfer(student, teacher, form="sum")
    assert loss.item() == pytest.approx(slow_transfer(student.detach(), teacher), rel=1e-12)
    assert loss > 0 and torch.autograd.gradcheck(lambda x: probabilistic_transfer(x, teacher, form="sum"), student)
    assert probabilistic_transfer(student, student, form="sum").item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("form", ["sum", "mean"])
@pytest.mark.parametrize("student", [
    [[1.0, 0], [-1, 0], [1, 0]],       # opposite: the raw cosine is negative, (1 + cos) / 2 is 0
    [[1.0, 0], [-1, 0]],               # the only other image is opposite: a row sums to 0
    [[0.0, 0], [0, 0], [1, 2]],        # features of zero, as ReLU can leave
    [[1.0, 2]],                        # a single image
])
def test_undefined_cases_are_finite_with_finite_gradients(student: list[list[float]], form: str) -> None:
    features = torch.tensor(student, requires_grad=True)
    for taught in (torch.randn(len(student), 5, generator=torch.Generator().manual_seed(1)), torch.tensor(student)):
        loss = probabilistic_transfer(features, taught, form=form)
        gradient, = torch.autograd.grad(loss, features)
        assert loss.isfinite() and gradient.isfinite().all()
    assert loss.item() == pytest.approx(0, abs=1e-6)


class Trunk(nn.Module):
    """Three channels per pixel, and batch norm that would remember a teacher run in training mode."""

    out_channels = 3

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.sizes: list[tuple[int, ...]] = []

    def forward(self, images: Tensor, modality: Tensor | None = None) -> Tensor:
        self.sizes.append(tuple(images.shape[2:]))
        return self.norm(images)


def network() -> ReIDNetwork:
    return ReIDNetwork(Trunk(), Head(3, 4, neck=True, dropout=0.5)).train()


def batch() -> Batch:
    images = torch.randn(6, 3, 8, 4, generator=torch.Generator().manual_seed(2))
    return Batch(images, torch.arange(6) % 4, torch.zeros(6, dtype=torch.int64))


def test_teachers_are_averaged_and_stay_as_they_are() -> None:
    torch.manual_seed(0)
    student, teachers = network(), [network(), network()]
    before = [{name: value.clone() for name, value in each.state_dict().items()} for each in teachers]
    terms = {"kl": {"weight": 2.0, "temperature": 4.0}, "l1": {"weight": 0.5}, "pkt": {"weight": 0.0}}
    together = Distillation(terms, [(each, (8, 4)) for each in teachers])
    output = student(batch().images)
    total, recorded = together(output, batch())
    alone = [Distillation(terms, [(each, (8, 4))])(output, batch())[1] for each in teachers]
    assert set(recorded) == {"teacher_kl", "teacher_l1"}
    for name, value in recorded.items():
        torch.testing.assert_close(value, (alone[0][name] + alone[1][name]) / 2)
    torch.testing.assert_close(total, 2 * recorded["teacher_kl"] + 0.5 * recorded["teacher_l1"])
    total.backward()
    assert student.head.classifier.weight.grad.abs().sum() > 0
    for each, state in zip(teachers, before, strict=True):
        assert all(parameter.grad is None for parameter in each.parameters())
        assert all(torch.equal(value, state[name]) for name, value in each.state_dict().items())


def test_images_are_resized_for_a_teacher_of_another_size() -> None:
    torch.manual_seed(0)
    same, larger = network(), network()
    distillation = Distillation({"pkt": {}}, [(same, (8, 4)), (larger, (16, 8))])
    distillation(network()(batch().images), batch())
    assert (same.trunk.sizes, larger.trunk.sizes) == ([(8, 4)], [(16, 8)])


def test_cosines_are_scaled_and_stripes_count_as_images() -> None:
    losses = build_distillation({"l1": {"scale": 2.0, "teacher_scale": 0.5}, "kl": {"temperature": 4.0}, "pkt": {}})
    student, teacher = (Output(torch.randn(2, 3, 5), logits) for logits in (LOGITS, TEACHER))
    assert losses["l1"][1](student, teacher) == l1_logits(2 * LOGITS, TEACHER / 2)
    striped = [Output(torch.randn(1, 2, 5), logits[None]) for logits in (LOGITS, TEACHER)]
    for name in ("l1", "kl"):
        assert losses[name][1](*striped) == losses[name][1](student, teacher)
    assert losses["pkt"][1](student, teacher) == probabilistic_transfer(
        student.features.view(2, 15), teacher.features.view(2, 15), form="sum")


@pytest.mark.parametrize(("terms", "message"), [
    ({"kl": {"temperature": 0}}, r"distillation\.kl\.temperature=0 must be positive"),
    ({"l1": {"scale": -1}}, r"distillation\.l1\.scale=-1 must be positive"),
    ({"pkt": {"form": "product"}}, r"distillation\.pkt\.form=product is unknown; known are: sum, mean"),
    ({"js": {}}, r"distillation\.js is no loss; known are: l1, kl, pkt"),
    ({"kl": {"t": 4}}, r"distillation\.kl has no argument t; it has: weight, temperature"),
    ({"kl": None, "l1": {"weight": 0}}, r"distillation has no loss with a weight above 0"),
])
def test_illegal_terms(terms: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_distillation(terms)
