"""Affine warps, one for each image of a batch."""

import torch
import torch.nn.functional as F
from torch import Tensor


def warp(images: Tensor, matrices: Tensor, *, fill: int) -> Tensor:
    """Warp images [B, H, W, 3] bilinearly, as Pillow's ``Image.transform`` does.

    Args:
        images: uint8 [B, H, W, 3].
        matrices: float32 [B, 2, 3], from a place (x, y) in the result to its place in the image, in pixels from the
            upper left corner of the image.
        fill: value of what lies outside the image.

    Returns:
        uint8 [B, H, W, 3].
    """
    height, width = images.shape[1:3]
    right = torch.arange(width, dtype=torch.float32, device=images.device) + 0.5
    down = torch.arange(height, dtype=torch.float32, device=images.device)[:, None] + 0.5
    x, y = (row[:, 0] * right + row[:, 1] * down + row[:, 2] for row in matrices[..., None, None].unbind(1))
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)                                    # [B, H, W]
    grid = torch.stack([2 / width * x - 1, 2 / height * y - 1], dim=3)
    pixels = images.permute(0, 3, 1, 2).to(torch.float32)
    warped = F.grid_sample(pixels, grid, mode="bilinear", padding_mode="border", align_corners=False)
    warped = (warped + 1e-3).permute(0, 2, 3, 1)  # fractions are cut off, but not those that float32 makes of wholes
    return torch.where(inside[..., None], warped, fill).to(torch.uint8)


def rotation(degrees: Tensor, *, height: int, width: int) -> Tensor:
    """Matrices [B, 2, 3] that turn an image counterclockwise about its centre by ``degrees`` (float32 [B])."""
    angle = degrees.deg2rad()
    cos, sin, x, y = angle.cos(), angle.sin(), width / 2, height / 2
    return torch.stack([cos, -sin, x - x * cos + y * sin, sin, cos, y - x * sin - y * cos], dim=1).view(-1, 2, 3)


def shear(rate: Tensor) -> Tensor:
    """Matrices [B, 2, 3] that move each row to the left by ``rate`` (float32 [B]) times its distance from the top."""
    one, zero = torch.ones_like(rate), torch.zeros_like(rate)
    return torch.stack([one, rate, zero, zero, one, zero], dim=1).view(-1, 2, 3)
