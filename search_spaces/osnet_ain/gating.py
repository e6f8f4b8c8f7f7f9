"""What the gates of a trained network answer to an image."""

import torch
from torch import Tensor, nn


def gating_vectors(trunk: nn.Module, last: nn.Module, images: Tensor) -> Tensor | None:
    """The gates of all streams of the last block, side by side (Sec. 4.1, Fig. 6).

    Args:
        trunk: a fixed network.
        last: its last block.
        images: [B, 3, H, W].

    Returns:
        [B, T * channels]; None where the gates do not depend on the image, or no single network computes them.
    """
    gate = getattr(last, "gate", None)
    if gate is None or not hasattr(gate, "gates"):
        return None
    answers: list[Tensor] = []
    hook = gate.register_forward_pre_hook(lambda module, inputs: answers.extend(module.gates(*inputs)))
    try:
        trunk(images)
    finally:
        hook.remove()
    return torch.cat(answers, dim=1).flatten(1)
