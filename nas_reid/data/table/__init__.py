"""A table of images, one in a row: what its columns are called, what its cells mean, and a split where it has none."""
