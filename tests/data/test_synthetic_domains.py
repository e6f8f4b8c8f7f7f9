"""Named domains: nobody in two of them, no camera alike, and nothing changed for data sets without one."""

import hashlib
from itertools import combinations
from pathlib import Path

import pytest

from nas_reid.data.synthetic import SyntheticSpec, generate
from nas_reid.data.synthetic.camera import camera
from nas_reid.data.synthetic.domain import DOMAINS
from nas_reid.data.synthetic.population import populate
from nas_reid.errors import ConfigError

FEW = {"size": "tiny", "train_ids": 2, "test_ids": 2, "distractor_ids": 1, "cameras": 2, "min_cameras": 2}


def gains(domain: str, style: float, seed: int) -> list[tuple[float, ...]]:
    spec = SyntheticSpec(domain=domain, style=style, seed=seed)
    return [camera(spec, index).style.gains for index in range(spec.cameras)]


def apart(one: list[float], other: list[float]) -> bool:
    return max(one) < min(other) or max(other) < min(one)


def test_without_a_domain_names_and_bytes_are_those_from_before_domains(tmp_path: Path) -> None:
    assert SyntheticSpec().key == "synthetic-small-51239f33f982"
    folder = generate(tmp_path, SyntheticSpec(**FEW), workers=1)
    assert folder.name == "synthetic-tiny-2b1bbdd7f339"
    assert "domain" not in (folder / "synthetic.json").read_text()


def test_every_domain_is_a_data_set_of_its_own() -> None:
    specs = [SyntheticSpec(**FEW, domain=name) for name in ("", *DOMAINS)]
    assert len({spec.key for spec in specs}) == 1 + len(DOMAINS)
    assert not [pair for pair in combinations(map(populate, specs), 2) if pair[0].train == pair[1].train]
    assert len({spec.stream_seed for spec in [*specs, SyntheticSpec(domain="a", seed=1)]}) == 2 + len(DOMAINS)


@pytest.mark.parametrize("style", [0.25, 0.5, 1.0])
@pytest.mark.parametrize(("one", "other"), combinations(DOMAINS, 2))
def test_no_camera_of_a_domain_looks_like_one_of_another(one: str, other: str, style: float) -> None:
    looks = [[camera for seed in range(8) for camera in gains(name, style, seed)] for name in (one, other)]
    assert any(apart(*([look[channel] for look in side] for side in looks)) for channel in range(3))


def test_without_style_all_cameras_are_neutral() -> None:
    for name in DOMAINS:
        style = camera(SyntheticSpec(domain=name, style=0.0), 0).style
        assert (style.gains, style.saturation, style.gamma) == ((1.0, 1.0, 1.0), 1.0, 1.0)


def test_pictures_of_domains_differ(tmp_path: Path) -> None:
    digests = set()
    for name in DOMAINS[:2]:
        folder = generate(tmp_path, SyntheticSpec(**FEW, style=0.0, domain=name), workers=1)
        digests |= {hashlib.sha256(path.read_bytes()).digest() for path in sorted(folder.rglob("*.jpg"))}
    assert len(digests) == 2 * len(list(folder.rglob("*.jpg")))


def test_an_unknown_domain_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="unknown domain 'z'; known: a, b, c, d, e, f"):
        SyntheticSpec(domain="z")
