"""The augmentations image by image and pixel by pixel, given what was drawn."""

import torch
from torch import Tensor


def normalise(images: Tensor) -> Tensor:
    """float64 [B, 3, H, W]."""
    mean = torch.tensor([0.485, 0.456, 0.406], dtype=torch.float64)
    std = torch.tensor([0.229, 0.224, 0.225], dtype=torch.float64)
    return torch.stack([((image.double() / 255 - mean) / std).permute(2, 0, 1) for image in images])


def pad_crop(images: Tensor, top: Tensor, left: Tensor, padding: int) -> Tensor:
    """Black where the window leaves the image."""
    result = torch.zeros_like(images)
    _, height, width, _ = images.shape
    for b in range(len(images)):
        for y in range(height):
            for x in range(width):
                source_y, source_x = y + int(top[b]) - padding, x + int(left[b]) - padding
                if 0 <= source_y < height and 0 <= source_x < width:
                    result[b, y, x] = images[b, source_y, source_x]
    return result


def erase(images: Tensor, rectangles: tuple[Tensor, Tensor, Tensor, Tensor], fill: Tensor) -> Tensor:
    """``fill`` broadcasts to the images."""
    result = images.clone()
    fill = fill.expand_as(images)
    for b, (top, left, tall, wide) in enumerate(zip(*(edge.tolist() for edge in rectangles), strict=True)):
        result[b, top:top + tall, left:left + wide] = fill[b, top:top + tall, left:left + wide]
    return result


def paste(images: Tensor, patches: tuple[Tensor, ...]) -> Tensor:
    """Every pixel of every rectangle from the original of its source, half to even as ``round`` does."""
    result = images.clone()
    _, height, width, _ = images.shape
    for b, (top, left, tall, wide, source, row, column, angle, mirror) in enumerate(zip(*patches, strict=True)):
        for y in range(int(top), int(top + tall)):
            for x in range(int(left), int(left + wide)):
                down, right = y - (top + (tall - 1) / 2), mirror * (x - (left + (wide - 1) / 2))
                from_y = (row + angle.cos() * down - angle.sin() * right).round().clamp(0, height - 1)
                from_x = (column + angle.sin() * down + angle.cos() * right).round().clamp(0, width - 1)
                result[b, y, x] = images[int(source), int(from_y), int(from_x)]
    return result


def jitter(image: Tensor, brightness: float, contrast: float, saturation: float) -> Tensor:
    """One image [H, W, 3], step by step and unclipped in float64; clipped and rounded at the end."""
    luma = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)
    image = brightness * image.double()
    image = contrast * image + (1 - contrast) * (image @ luma).mean()
    image = saturation * image + (1 - saturation) * (image @ luma)[..., None]
    return image.clamp(0, 255).round()
