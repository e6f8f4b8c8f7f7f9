"""Every illegal value is refused by name, and so are values that contradict each other."""

from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from typing import get_type_hints

import pytest

from nas_reid.config.schemas import SCHEMAS
from nas_reid.errors import ConfigError
from nas_reid.run.composition import composition
from tests.composing import changed


@pytest.fixture(autouse=True, scope="module")
def hydra() -> Iterator[None]:
    with composition():
        yield


@pytest.mark.parametrize(("name", "override", "message"), [
    ("search", "batch.size=15", r"batch\.size=15 must be a positive multiple of batch\.instances=4"),
    ("search", "batch.size=0", r"batch\.size=0"),
    ("search", "batch.sampler=pairs", r"batch\.sampler=pairs is unknown; known are: identity, modality_pairs"),
    ("retrain", "validation_by=modality", r"validation_by=modality is unknown; known are: identity, camera, official"),
    ("search", "batch.instances=0", r"batch\.instances=0 must be at least 1"),
    ("search", "epochs=0", r"epochs=0 must be at least 1"),
    ("search", "epochs=1.5", r"epochs=1\.5 must be a whole number$"),
    ("search", "epochs=null", r"epochs=null must be a whole number$"),
    ("search", "threads=[two]", r"threads=\['two'\] must be a whole number, or null$"),
    ("search", "weights.lr=high", r"weights\.lr=high must be a number$"),
    ("search", "deterministic=perhaps", r"deterministic=perhaps must be true or false$"),
    ("search", "data.name={a: 1}", r"data\.name=\{'a': 1\} must be a word or a text$"),
    ("search", "data.image_size=64", r"data\.image_size=64 must be a list of whole numbers, in square brackets$"),
    ("search", "data.image_size=[a,64]", r"data\.image_size\[0\]=a must be a whole number$"),
    ("search", "seed=-1", r"seed=-1 must be >= 0"),
    ("search", "seed=99999999999999999999999", r"seed=99999999999999999999999 is beyond 64 bits"),
    ("search", "data.synthetic.seed=99999999999999999999999", r"data\.synthetic\.seed=9+ is beyond 64 bits"),
    ("retrain", "evaluation.bootstrap.seed=-99999999999999999999999", r"evaluation\.bootstrap\.seed=-9+ is beyond 64"),
    ("pretrain", "network.layers=[1,99999999999999999999999]", r"network\.layers=\[1, 9+\] is beyond 64 bits"),
    ("search", "weights.weight_decay=.inf", r"weights\.weight_decay=inf is not finite"),
    ("retrain", "objective.triplet.weight=.nan", r"objective\.triplet\.weight=nan must be finite"),
    ("search", "threads=0", r"threads=0 must be at least 1"),
    ("search", "resume=maybe", r"resume=maybe is unknown; known are: auto, never"),
    ("search", "validation_fraction=1", r"validation_fraction=1\.0 must lie strictly between 0 and 1"),
    ("search", "validation_fraction=1e-9", r"validation_fraction=1e-09 must lie strictly .* at least a thousandth"),
    ("retrain", "validation_fraction=0.9999", r"validation_fraction=0\.9999 must lie .* at least a thousandth"),
    ("search", "split.weights_fraction=1e-9", r"split\.weights_fraction=1e-09 must lie strictly"),
    ("search", "data.image_size=[128]", r"data\.image_size=\[128\] must be two positive integers"),
    ("export", "image_size=[1000000,1000000]", r"image_size=\[1000000, 1000000\] .* of at most 8,192"),
    ("evaluate", "image_size=[128,0]", r"image_size=\[128, 0\] must be two positive integers"),
    ("describe", "image_size=[1,2,3]", r"image_size=\[1, 2, 3\] must be two positive integers"),
    ("describe", "num_classes=0", r"num_classes=0 must be at least 1"),
    ("describe", "num_classes=1000000000000", r"num_classes=1000000000000 must be at least 1, and at most"),
    ("retrain", "head.embedding=1000000", r"head\.embedding=1000000 must be 0 \(none\) or a width, at most 65,536"),
    ("search", "data.workers=0", r"data\.workers=0 must be at least 1"),
    ("search", "data.on_corrupt=ignore", r"data\.on_corrupt=ignore is unknown; known are: error, skip"),
    ("search", "data.options=3", r"data\.options=3 must hold options of the reader, such as \{split: 3\}"),
    ("search", "data.root=somewhere", r"data\.root=somewhere does not go with drawn data"),
    ("search", "data.synthetic=tiny", r"data\.synthetic=tiny must hold keys of SyntheticSpec"),
    ("search", "head.pooling=mean", r"head\.pooling=mean is unknown; known are: average, max"),
    ("search", "head.embedding=-1", r"head\.embedding=-1"),
    ("search", "head.dropout=1", r"head\.dropout=1\.0 must lie in \[0, 1\)"),
    ("search", "objective.weights.triplet.weight=-1", r"objective\.weights\.triplet\.weight=-1 must be finite"),
    ("search", "objective.alphas.triplet.margin=-1", r"objective\.alphas\.triplet\.margin=-1 must be finite and >= 0"),
    ("retrain", "objective.cross_entropy.smoothing=1", r"objective\.cross_entropy\.smoothing=1 must lie in \[0, 1\)"),
    ("retrain", "objective.cross_entropy.smoothing=low", r"objective\.cross_entropy\.smoothing=low must lie in"),
    ("search", "objective.alphas.tripplet.weight=1", r"objective\.alphas\.tripplet is no loss; known are: cross_"),
    ("retrain", "objective.triplet.marign=1", r"objective\.triplet has no argument marign; it has: weight, margin"),
    ("retrain", "objective.triplet=1", r"objective\.triplet=1 must hold arguments, such as \{weight: 1\}"),
    ("retrain", "objective=1", r"objective=1 must map losses to their arguments"),
    ("retrain", "objective.arcface.weight=1", r"objective\.arcface=.* needs the cosines of head\.classifier=cosine"),
    ("pretrain", "objective.arcface.weight=1", r"objective\.arcface=.* needs the cosines of head\.classifier=cosine"),
    ("search", "objective.weights.circle.margin=0.25", r"objective\.weights\.circle=.* needs the cosines of head\."),
    ("search", "head.classifier=cos", r"head\.classifier=cos is unknown; known are: linear, cosine"),
    ("retrain", "head.reduction_form=gelu", r"head\.reduction_form=gelu is unknown; known are: relu, leaky_relu"),
    ("retrain", "head.metric_features=after", r"head\.metric_features=after is unknown; known are: before_neck"),
    ("describe", "head.gem_power=0", r"head\.gem_power=0\.0 must be positive"),
    ("describe", "head.reduction=-1", r"head\.reduction=-1 must be 0"),
    ("describe", "head.stripes=0", r"head\.stripes=0 must be 1"),
    ("search", "batch.instances=1", r"batch\.instances=1 must be at least 2 for objective\.weights\.triplet"),
    ("search", "batch.instances=32", r"batch\.size=32 must be at least twice batch\.instances for objective\."),
    ("search", "weights.name=lion", r"weights\.name=lion is unknown; known are: sgd, adam, adamw"),
    ("search", "alphas.schedule=cos", r"alphas\.schedule=cos is unknown; known are: constant, cosine, multi_step"),
    ("search", "weights.lr=0", r"weights\.lr=0\.0 must be positive"),
    ("search", "alphas.lr=-1", r"alphas\.lr=-1\.0 must be positive"),
    ("search", "alphas.lr=.nan", r"alphas\.lr=nan must be positive"),
    ("retrain", "optimizer.lr=fast", r"optimizer\.lr=fast must be a number$"),
    ("retrain", "optimizer.weight_decay=-1", r"optimizer\.weight_decay=-1\.0 must be >= 0"),
    ("retrain", "optimizer.momentum=1", r"optimizer\.momentum=1\.0 must lie in \[0, 1\)"),
    ("retrain", "optimizer.nesterov=true", r"optimizer\.nesterov=True is a form of sgd with momentum; it needs"),
    ("retrain", "optimizer.betas=[0.9]", r"optimizer\.betas=\[0\.9\] must be two numbers"),
    ("retrain", "optimizer.milestones=[5,3]", r"optimizer\.milestones=\[5, 3\] must increase"),
    ("retrain", "optimizer.milestones=[-1]", r"optimizer\.milestones=\[-1\] must be epochs after the start"),
    ("retrain", "optimizer.schedule=multi_step", r"optimizer\.milestones=\[\] must name at least one epoch"),
    ("search", "alphas.milestones=[0,3]", r"alphas\.milestones=\[0, 3\] must be epochs after the start"),
    ("retrain", "optimizer.warmup_epochs=999", r"optimizer\.warmup_epochs=999\.0 must be smaller than epochs="),
    ("search", "weights.warmup_epochs=999", r"weights\.warmup_epochs=999\.0 must be smaller than epochs"),
    ("search", "algorithm.temperature.end=0", r"algorithm\.temperature\.end=0\.0 must be positive"),
    ("search", "algorithm.relaxation=sofmax", r"algorithm\.relaxation=sofmax is .*_paths\. Did you mean softmax\?"),
    ("search", "algorithm.temperature.schedule=exponental",
     r"algorithm\.temperature\.schedule=exponental is unknown; known are: .*step\. Did you mean exponential\?"),
    ("search", "algorithm.scheme=third", r"algorithm\.scheme=third is unknown; known are: first_order"),
    ("search", "algorithm.hessian=full", r"algorithm\.hessian=full is unknown; known are: finite_difference, exact"),
    ("search", "algorithm.stop_skips=-1", r"algorithm\.stop_skips=-1 must be >= 0"),
    ("search", "algorithm.stop_none=1", r"algorithm\.stop_none=1\.0 must lie in \[0, 1\)"),
    ("search", "algorithm.order=both", r"algorithm\.order=both is unknown; known are: alphas_first"),
    ("search", "algorithm.samples=0", r"algorithm\.samples=0 must be at least 1"),
    ("search", "algorithm.warmup_epochs=-1", r"algorithm\.warmup_epochs=-1 must be >= 0"),
    ("search", "algorithm.clip_weights=-1", r"algorithm\.clip_weights=-1\.0"),
    ("search", "algorithm.perturbation=noise", r"algorithm\.perturbation=noise is unknown; known are: none, random"),
    ("search", "algorithm.perturbation_size=[0.1]", r"algorithm\.perturbation_size=\[0\.1\] must be two numbers in"),
    ("search", "algorithm.perturbation_size=[0,1]", r"algorithm\.perturbation_size=\[0\.0, 1\.0\] must be two numbers"),
    ("search", "algorithm.perturbation_steps=0", r"algorithm\.perturbation_steps=0 must be at least 1"),
    ("search", "algorithm.regularisers.l2=1", r"algorithm\.regularisers=.*'l2'.* known are: beta_decay"),
    ("search", "split.by=domain", r"split\.by=domain is unknown; known are: image, identity, camera"),
    ("search", "split.weights_fraction=0", r"split\.weights_fraction=0\.0"),
    ("search", "evaluation.distance=manhattan", r"evaluation\.distance=manhattan is unknown; known are: euclidean"),
    ("search", "evaluation.every=0", r"evaluation\.every=0 must be at least 1"),
    ("evaluate", "evaluation.batch_size=0", r"evaluation\.batch_size=0 must be at least 1"),
    ("search", "evaluation.batch_size=2", r"evaluation\.batch_size=2 must be at least 3, lest"),
    ("retrain", "evaluation.camera_pairs=true", r"evaluation\.camera_pairs=True is for nas_reid\.evaluate"),
    ("select", "tournament=60", r"tournament=60 must not exceed population=50"),
    ("select", "candidates=49", r"population=50 must not exceed candidates=49"),
    ("search", "wandb.mode=on", r"wandb\.mode=\S+ is unknown; known are: offline, online, disabled \(WANDB_MODE"),
    ("retrain", "clip=-1", r"clip=-1\.0 must be >= 0"),
    ("retrain", "accumulate=0", r"accumulate=0 must be at least 1"),
    ("retrain", "ema=1", r"ema=1\.0 must lie in \[0, 1\)"),
    ("retrain", "optimizer.warmup_steps=-1", r"optimizer\.warmup_steps=-1 must be >= 0, or null"),
    ("retrain", "optimizer.warmup_ratio=2", r"optimizer\.warmup_ratio=2\.0 must lie in \[0, 1\]"),
    ("retrain", "optimizer.flat_epochs=999", r"optimizer\.flat_epochs=999\.0 must be smaller than epochs="),
    ("retrain", "optimizer.bias_lr_factor=0", r"optimizer\.bias_lr_factor=0\.0 must be positive"),
    ("search", "weights.head_lr_factor=0", r"weights\.head_lr_factor=0\.0 must be positive"),
    ("retrain", "drop_path=1", r"drop_path=1\.0 must lie in \[0, 1\)"),
])
def test_illegal_values_are_refused_by_name(name: str, override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}"):
        changed(name, override)


@pytest.mark.parametrize(("overrides", "message"), [
    (["compile=default", "algorithm.relaxation=gumbel_sampled"],
     r"^compile=default does not go with algorithm\.relaxation=gumbel_sampled, which runs other ops at every step"),
    (["algorithm.scheme=second_order", "weights.name=adam"], r"weights\.name=adam does not go with .*second_order"),
    (["algorithm.perturbation=random", "algorithm.scheme=joint"],
     r"^algorithm\.perturbation=random moves .* needs algorithm\.scheme=first_order"),
    (["algorithm.perturbation=random", "algorithm.relaxation=reinmax"],
     r"^algorithm\.perturbation=random moves a distribution .* algorithm\.relaxation=reinmax does not give"),
    (["algorithm.perturbation=adversarial", "algorithm.relaxation=sigmoid"],
     r"algorithm\.relaxation=sigmoid does not give; use softmax"),
    (["algorithm.scheme=second_order", "weights.nesterov=true"], r"weights\.nesterov=True does not go with"),
    (["algorithm.scheme=second_order", "weights.decay_vectors=false"], r"weights\.decay_vectors=False does not"),
    (["split.by=identity"], r"^objective\.alphas\.cross_entropy\.weight=0\.5 must be 0 with split\.by=identity"),
    (["split.by=identity", "objective.alphas.cross_entropy.weight=0", "objective.alphas.center.weight=1"],
     r"^objective\.alphas\.center\.weight=1 must be 0 with split\.by=identity"),
    (["head.classifier=cosine", "objective.weights.circle.weight=1", "algorithm.scheme=second_order"],
     r"^objective\.weights\.circle=.* does not go with algorithm\.scheme=second_order"),
    (["objective.alphas.cross_entropy.weight=0", "objective.alphas.triplet.weight=0"],
     r"^objective\.alphas has no loss with a weight above 0"),
    (["objective.weights.cross_entropy.smoothing_form=adaptive", "algorithm.scheme=second_order"],
     r"^objective\.weights\.cross_entropy=.* does not go with algorithm\.scheme=second_order"),
])
def test_values_that_contradict_each_other(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        changed("search", *overrides)


def test_one_level_has_no_split_that_its_losses_could_contradict() -> None:
    assert changed("search", "split.by=identity", "algorithm.scheme=joint").split.by == "identity"


def test_all_mistakes_are_named_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        changed("search", "epochs=0", "seed=-1", "batch.instances=0", "algorithm.scheme=bilevel", "weights.lr=0",
                "objective.weights={no_loss: {}}", "objective.alphas.triplet.margin=-1", "wandb.mode=on")
    first, *lines = str(caught.value).splitlines()
    assert first == "8 mistakes:"
    assert [line.strip().partition(" ")[0].partition("=")[0] for line in lines[:5]] == [
        "wandb.mode", "batch.instances", "algorithm.scheme", "weights.lr", "epochs"]
    assert "no_loss" in lines[6] and "margin" in lines[7]


def test_a_rule_that_relies_on_a_broken_one_is_not_a_mistake_of_its_own() -> None:
    with pytest.raises(ConfigError, match=r"epochs=0 must be at least 1$"):
        changed("retrain", "epochs=0")
    with pytest.raises(ConfigError, match=r"^batch\.instances=0 must be at least 1$"):
        changed("search", "batch.instances=0")


@pytest.mark.parametrize("schema", SCHEMAS.values())
def test_values_live_in_the_files_alone(schema: type) -> None:
    parts = [schema]
    for part in parts:
        parts += [kind for kind in get_type_hints(part).values() if is_dataclass(kind)]
        defaults = {field.name for field in fields(part) if field.default is not MISSING
                    or field.default_factory is not MISSING}
        assert defaults <= {"options", "table", "protocol"}, part  # of some data sets alone
