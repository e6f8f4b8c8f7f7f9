"""How long a network takes for one image, as it would be handed on."""

import time

import torch
from torch import nn

from nas_reid.deploy.inference import fold


def latency_of(network: nn.Module, image_size: tuple[int, int], *, device: torch.device, runs: int = 10) -> float:
    """Milliseconds for one image, the least of ``runs``, after two that do not count.

    The least, because whatever else the machine does can only add to it.

    Args:
        network: of images [1, 3, H, W]; a folded copy of it is measured, itself it stays as it is.
        image_size: (height, width) in pixels.
        device: where it runs; a GPU is waited for.
        runs: passes that count.
    """
    folded, image = fold(network, image_size=image_size).to(device), torch.zeros(1, 3, *image_size, device=device)
    image = image.contiguous(memory_format=torch.channels_last)
    taken = []
    with torch.inference_mode():
        for _ in range(runs + 2):
            started = time.perf_counter()
            folded(image)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            taken.append(time.perf_counter() - started)
    return 1000 * min(taken[2:])
