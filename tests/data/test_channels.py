"""Grey and exchanged channels: image by image, and no change of infrared images."""

import pytest
import torch
from PIL import Image

from nas_reid.data.augmentations.channels import ChannelExchange, RandomGrey
from nas_reid.errors import ConfigError


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def coloured(count: int = 200) -> torch.Tensor:
    return torch.randint(256, (count, 5, 3, 3), dtype=torch.uint8, generator=generator(1))


def luma(image: torch.Tensor) -> torch.Tensor:
    channel = torch.tensor(list(Image.fromarray(image.numpy()).convert("L").tobytes()), dtype=torch.uint8)
    return channel.view(*image.shape[:2], 1).expand(-1, -1, 3)


def what_became(before: torch.Tensor, after: torch.Tensor) -> str:
    forms = {"same": before, "grey": luma(before),
             **{str(c): before[..., c:c + 1].expand(-1, -1, 3) for c in range(3)}}
    return next(name for name, form in forms.items() if torch.equal(form, after))


def test_some_images_become_grey():
    images = coloured()
    kinds = [what_became(*pair) for pair in zip(images, RandomGrey(0.3)(images, generator()), strict=True)]
    assert set(kinds) == {"same", "grey"} and 40 <= kinds.count("grey") <= 80


@pytest.mark.parametrize("with_grey", [True, False])
def test_channels_take_turns_at_random(with_grey):
    images = coloured(400)
    exchange = ChannelExchange(0.75, with_grey=with_grey)
    kinds = [what_became(*pair) for pair in zip(images, exchange(images, generator()), strict=True)]
    assert set(kinds) == {"same", "0", "1", "2"} | ({"grey"} if with_grey else set())
    share = 300 / (3 + with_grey)
    assert all(abs(kinds.count(kind) - share) < 40 for kind in set(kinds) - {"same"})


def test_infrared_images_stay_to_the_byte():
    values = torch.arange(256, dtype=torch.uint8)[:, None, None, None].expand(-1, 2, 2, 3).contiguous()
    for change in (RandomGrey(1.0), ChannelExchange(1.0), ChannelExchange(1.0, with_grey=False)):
        assert torch.equal(change(values, generator()), values)


def test_the_given_images_are_not_changed():
    images = coloured(8)
    kept = images.clone()
    ChannelExchange(1.0)(images, generator())
    RandomGrey(1.0)(images, generator())
    assert torch.equal(images, kept)
    assert torch.equal(ChannelExchange(0.5)(images, generator(5)), ChannelExchange(0.5)(images, generator(5)))


def test_bad_probabilities():
    for kind, name in ((RandomGrey, "grey"), (ChannelExchange, "channels")):
        with pytest.raises(ConfigError, match=rf"{name}\.p=1\.5 must lie in \[0, 1\]"):
            kind(1.5)
