"""Augmentations of whole batches of bytes; ``nas_reid.data.augment`` names them."""
