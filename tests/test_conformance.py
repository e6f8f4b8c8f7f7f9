"""The conformance suite passes what conforms and names the rule that a broken space breaks."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from nas_reid.conformance import ConformanceError, check_search_space, random_one_hot
from nas_reid.genotype import Genotype
from nas_reid.search_space import OPTIONAL_OF_NETWORKS, OPTIONAL_OF_SPACES, Choice, Decision, member_names
from search_spaces.auto_reid import AutoReID
from tests.toy_space import ToyNetwork, ToySpace, ToySupernet

SMALL = {"image_size": (16, 8), "batch": 2}


def test_the_toy_space_conforms() -> None:
    check_search_space(ToySpace(), **SMALL, one_hot_equals_network=True)


@pytest.mark.parametrize("primitives", ["reid", "darts", "reid_without_none"])
def test_auto_reid_conforms(primitives: str) -> None:
    check_search_space(AutoReID(channels=4, layers=[1, 1], nodes=2, primitives=primitives, parts=2,
                                part_attention="published", stem="reid"))


class OneHotMisspelt(ToySpace):
    def onehot(self, genotype: Genotype) -> dict[str, Tensor]:
        return self.one_hot(genotype)


class DropPathMisspelt(ToySpace):
    def network(self, genotype: Genotype) -> nn.Module:
        network = super().network(genotype)
        network.__class__ = type("Dropping", (type(network),), {"set_droppath": lambda self, rate: None})
        return network


@pytest.mark.parametrize(("space", "message"), [
    (OneHotMisspelt, "the space has a member onehot, which looks like the optional one_hot and is none: name it one_h"),
    (DropPathMisspelt, "the fixed network has a member set_droppath, which looks like the optional set_drop_path and")])
def test_a_misspelt_optional_member_is_named(space: type[ToySpace], message: str) -> None:
    with pytest.raises(ConformanceError, match=message):
        check_search_space(space(), **SMALL)


def test_the_optional_members_are_those_that_the_page_lists() -> None:
    page = (Path(__file__).resolve().parents[1] / "docs" / "your_own_space.md").read_text()
    listed = re.findall(r"^\| `(\w+)", page, re.MULTILINE)
    assert listed == member_names((*OPTIONAL_OF_SPACES, *OPTIONAL_OF_NETWORKS))
    assert listed == ["head", "one_hot", "op_parameters", "graphs", "supernet_graphs", "feature_masks",
                      "convert_weights", "supernet_weights", "set_drop_path", "gating_vectors", "for_inference"]


class NoDecision(ToySpace):
    def decisions(self) -> Sequence[Decision]:
        return []


class TwoOfOneName(ToySpace):
    def decisions(self) -> Sequence[Decision]:
        return [*super().decisions(), *super().decisions()]


class DottedName(ToySpace):
    def decisions(self) -> Sequence[Decision]:
        return [Decision("cell.path", 2, (Choice("a"), Choice("b")))]


class NamedLater(ToySpace):
    version = None

    def __init__(self, channels: int = 4) -> None:
        super().__init__(channels)
        self.version = 1


class WithoutWidth(ToySpace):
    def supernet(self) -> nn.Module:
        supernet = super().supernet()
        del supernet.out_channels
        return supernet


class UnusedDecision(ToySpace):
    def decisions(self) -> Sequence[Decision]:
        return [*super().decisions(), Decision("depth", 1, (Choice("a"), Choice("b")))]


class DeadRow(ToySpace):
    def decisions(self) -> Sequence[Decision]:
        return [Decision("path", 3, super().decisions()[0].choices)]

    def supernet(self) -> nn.Module:
        class FirstTwoRows(ToySupernet):
            def forward(self, images, mixes, modality=None):
                return super().forward(images, {"path": replace(mixes["path"], weights=mixes["path"].weights[:2])})
        return FirstTwoRows(self.channels)


class Detached(ToySpace):
    def supernet(self) -> nn.Module:
        class Blind(ToySupernet):
            def forward(self, images, mixes, modality=None):
                return super().forward(images, {name: replace(mix, weights=mix.weights.detach())
                                                for name, mix in mixes.items()})
        return Blind(self.channels)


class Pooled(ToySpace):
    def supernet(self) -> nn.Module:
        class Pooling(ToySupernet):
            def forward(self, images, mixes, modality=None):
                return super().forward(images, mixes).mean((2, 3))
        return Pooling(self.channels)


class AnotherWhenSampled(ToySpace):
    def supernet(self) -> nn.Module:
        class Doubling(ToySupernet):
            def forward(self, images, mixes, modality=None):
                return super().forward(images, mixes) * (1 + mixes["path"].sampled_only)
        return Doubling(self.channels)


class OnlyTheSampled(ToySpace):
    def supernet(self) -> nn.Module:
        class Blind(ToySupernet):
            def forward(self, images, mixes, modality=None):
                path = mixes["path"]
                if path.sampled_only:  # the columns that were not sampled are out of the graph
                    path = replace(path, weights=path.weights * path.weights.detach())
                return super().forward(images, {"path": path})
        return Blind(self.channels)


class Misnamed(ToySpace):
    def derive(self, probs: Mapping[str, Tensor]) -> Genotype:
        return Genotype("toys", 1, super().derive(probs).body, arguments={"channels": self.channels})


class Tuples(ToySpace):
    def derive(self, probs: Mapping[str, Tensor]) -> Genotype:
        return Genotype("toy", 1, {"path": tuple(super().derive(probs).body["path"])})


class Tensors(ToySpace):
    def derive(self, probs: Mapping[str, Tensor]) -> Genotype:
        return Genotype("toy", 1, super().derive(probs).body, probabilities=probs)


class Forgetful(ToySpace):
    def derive(self, probs: Mapping[str, Tensor]) -> Genotype:
        return Genotype("toy", 1, super().derive(probs).body)


class Demanding(ToySpace):
    def __init__(self, channels: int) -> None:
        super().__init__(channels)

    def derive(self, probs: Mapping[str, Tensor]) -> Genotype:
        return Genotype("toy", 1, super().derive(probs).body)


class Moody(ToySpace):
    def derive(self, probs: Mapping[str, Tensor]) -> Genotype:
        torch.manual_seed(self.mood)
        self.mood += 1
        return super().derive({"path": torch.rand(2, 3)})

    mood = 0


class NotInverse(ToySpace):
    def one_hot(self, genotype: Genotype) -> dict[str, Tensor]:
        return {"path": super().one_hot(genotype)["path"].flip(0)}


class DeadWeight(ToySpace):
    def network(self, genotype: Genotype) -> nn.Module:
        network = super().network(genotype)
        network.left_over = nn.Linear(2, 2)
        return network


class WrongWidth(ToySpace):
    def network(self, genotype: Genotype) -> nn.Module:
        network = super().network(genotype)
        network.out_channels = 5
        return network


class AnotherActivation(ToySpace):
    def network(self, genotype: Genotype) -> nn.Module:
        class Sines(ToyNetwork):
            def forward(self, images, modality=None):
                return super().forward(images).sin()
        return Sines(self.channels, genotype.body["path"])


class OtherNames(ToySpace):
    def network(self, genotype: Genotype) -> nn.Module:
        class Renamed(ToyNetwork):
            def __init__(self, *arguments):
                super().__init__(*arguments)
                self.first, self.stem = self.stem, nn.Identity()

            def forward(self, images, modality=None):
                return super().forward(self.first(images))
        return Renamed(self.channels, genotype.body["path"])


BROKEN = {
    NoDecision: r"decisions\(\): the search space declares no decision",
    TwoOfOneName: r"decisions\(\): decision names \['path'\] are repeated",
    DottedName: r"decisions\(\): decision name 'cell\.path' .* dot",
    NamedLater: "name and version must be attributes of the class",
    WithoutWidth: r"supernet\(\) has no integer out_channels",
    UnusedDecision: "decision 'depth' receives no gradient",
    DeadRow: r"rows \[2\] of decision 'path' receive no gradient",
    Detached: "decision 'path' receives no gradient",
    Pooled: r"supernet returned \(2, 4\); expected \[2, 4, H', W'\]",
    AnotherWhenSampled: "computes something else with sampled_only",
    OnlyTheSampled: r"with sampled_only and all_gradients, decisions \['path'\] receive other gradients",
    Misnamed: r"derive\(\) names space 'toys' version 1; the space is 'toy' version 1",
    Tuples: "changes when written to JSON and read back: use only JSON types",
    Tensors: "cannot be written as JSON: .*Tensor",
    Demanding: "arguments do not construct the space: .*'channels'",
    Moody: r"derive\(\) is not deterministic",
    NotInverse: r"derive\(one_hot\(g\)\) is not g",
    DeadWeight: r"parameters \['left_over\.weight', 'left_over\.bias'\] of the fixed network receive no gradient",
    WrongWidth: r"network returned \(2, 4, 8, 4\); expected \[2, out_channels",
    AnotherActivation: "the one-hot supernet and the fixed network differ by",
    OtherNames: r"parameters that the supernet lacks: \['first\.weight', 'first\.bias'\]",
}


@pytest.mark.parametrize("broken", BROKEN, ids=lambda space: space.__name__)
def test_a_broken_space_is_told_which_rule_it_breaks(broken: type) -> None:
    torch.manual_seed(0)
    with pytest.raises(ConformanceError, match=BROKEN[broken]):
        check_search_space(broken(channels=4), **SMALL, one_hot_equals_network=True)


def test_arguments_that_a_genotype_forgets_are_missed() -> None:
    check_search_space(Forgetful(), **SMALL)  # the default width: nothing is lost
    with pytest.raises(ConformanceError, match="builds another network: they must hold all of them"):
        check_search_space(Forgetful(channels=6), **SMALL)


def test_what_a_space_does_not_promise_is_not_asked() -> None:
    check_search_space(AnotherActivation(), **SMALL)


def test_random_one_hot_rows() -> None:
    decisions = {decision.name: decision for decision in ToySpace().decisions()}
    drawn = torch.stack([random_one_hot(decisions, seed=seed)["path"] for seed in range(20)])
    assert torch.equal(drawn.sum(2), torch.ones(20, 2)) and ((drawn == 0) | (drawn == 1)).all()
    assert drawn.sum((0, 1)).min() > 0
    assert torch.equal(random_one_hot(decisions, seed=3)["path"], drawn[3])
