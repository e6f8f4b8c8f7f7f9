"""Who is in the data set: look-alike groups and loners, split into train, test and distractors."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from nas_reid.data.synthetic.identity import (
    HAIR_STYLES,
    SHOES,
    Identity,
    distance,
    sample_bag,
    sample_body,
    sample_identity,
    sample_logo,
    sample_pattern,
)
from nas_reid.data.synthetic.material import Material
from nas_reid.data.synthetic.spec import SyntheticSpec
from nas_reid.data.synthetic.stream import stream


@dataclass(frozen=True)
class Population:
    """All persons. Person ``i`` of ``train + test`` has pid ``i + 1``; a group never crosses the three lists."""

    train: tuple[Identity, ...]
    test: tuple[Identity, ...]
    distractors: tuple[Identity, ...]

    def person(self, number: int) -> Identity:
        """The identity with 1-based number ``number``, counted through train, test and distractors."""
        return (self.train + self.test + self.distractors)[number - 1]


@lru_cache(maxsize=4)
def populate(spec: SyntheticSpec) -> Population:
    """Everyone in the data set of ``spec``."""
    counts = (spec.train_ids, spec.test_ids, spec.distractor_ids)
    return Population(*(_split(spec, index, count) for index, count in enumerate(counts)))


def _split(spec: SyntheticSpec, index: int, count: int) -> tuple[Identity, ...]:
    """``count`` identities of one split: pairs of look-alikes first, then loners, in shuffled order."""
    pairs = round(spec.lookalikes * count / 2) if spec.lookalike_kinds else 0
    heads = count - pairs
    tones = stream(spec.stream_seed, "skin", index).permutation(np.arange(heads) % spec.skin_tones)
    people: list[Identity] = []
    for head in range(heads):
        rng = stream(spec.stream_seed, "identity", index, head)
        identity = sample_identity(rng, spec, skin_tone=int(tones[head]))
        if head < pairs:
            kind = spec.lookalike_kinds[head % len(spec.lookalike_kinds)]
            identity, twin = TWINS[kind](identity, stream(spec.stream_seed, "twin", index, head), spec)
            people += [replace(person, group=head, kind=kind) for person in (identity, twin)]
        else:
            people.append(identity)
    order = stream(spec.stream_seed, "order", index).permutation(count)
    return tuple(people[i] for i in order)


def _swap_twins(identity: Identity, rng: np.random.Generator, spec: SyntheticSpec) -> tuple[Identity, Identity]:
    """Two persons in jacket and trousers of about equal areas, with the two fabrics exchanged."""
    upper, lower = identity.materials["upper"], identity.materials["lower"]
    while distance(upper, lower) < 0.4:
        lower = sample_identity(rng, spec, skin_tone=identity.skin_tone).materials["lower"]
    dressed = replace(identity, upper="jacket_closed", lower="trousers", side_stripe=False, logo="none",
                      body=replace(identity.body, legs=0.45))
    return (dressed.wearing(upper=upper, lower=lower, trim=upper.plain()),
            dressed.wearing(upper=lower, lower=upper, trim=lower.plain()))


def _detail_twins(identity: Identity, rng: np.random.Generator, spec: SyntheticSpec) -> tuple[Identity, Identity]:
    """The same outfit with another print, and another pattern, pair of shoes or bag, each where the factor is on."""
    twin = identity
    if spec.logos:
        twin = replace(twin, **sample_logo(rng))
    if spec.textures and rng.random() < 0.5:
        upper = identity.materials["upper"]
        changed = sample_pattern(rng, upper)
        while changed.pattern == upper.pattern:
            changed = sample_pattern(rng, upper)
        twin = twin.wearing(upper=changed)
    if spec.bags and rng.random() < 0.5:
        twin = replace(twin, **sample_bag(rng)) if identity.bag == "none" else replace(twin, bag="none")
    else:
        twin = twin.wearing(shoes=_another(rng, identity.materials["shoes"]))
    return identity, twin


def _shape_twins(identity: Identity, rng: np.random.Generator, spec: SyntheticSpec) -> tuple[Identity, Identity]:
    """The same clothes on another build, with another hair style."""
    body = sample_body(rng, spec.body_variation)
    build = 1.0 + spec.body_variation * (-0.2 if identity.body.build > 1.0 else 0.22)
    styles = [style for style in HAIR_STYLES if style != identity.hair]
    return identity, replace(identity, body=replace(body, build=build), hair=str(rng.choice(styles)))


def _another(rng: np.random.Generator, shoes: Material) -> Material:
    """A shoe colour that is clearly not that of ``shoes``."""
    choices: Sequence[Material] = [Material(colour) for colour in SHOES if distance(Material(colour), shoes) > 0.3]
    return choices[int(rng.integers(len(choices)))]


TWINS = {"swap": _swap_twins, "detail": _detail_twins, "shape": _shape_twins}
"""Each turns one identity into the two members of a look-alike group."""
