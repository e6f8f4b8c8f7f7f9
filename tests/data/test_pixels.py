"""What a picture file says about its pixels, against the picture as it was meant, through every door."""

import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from nas_reid.data.decoding import decode, decode_box, open_picture, read_picture
from nas_reid.data.pixels import orientation, upright_rgb

SIZE = (24, 16)
RAMP = np.linspace(0, 255, SIZE[0] * SIZE[1]).reshape(SIZE).round().astype(np.uint8)
COLOURS = np.stack([RAMP, RAMP[:, ::-1], RAMP[::-1]], -1)


def whole(width: int, height: int) -> tuple[float, float, float, float]:
    return 0.0, 0.0, float(width), float(height)


def upper_left(width: int, height: int) -> tuple[float, float, float, float]:
    return 0.0, 0.0, width / 2, height / 4


DOORS: dict[str, Callable[[Path], np.ndarray]] = {
    "decode": lambda path: decode(path, SIZE),
    "decode_box": lambda path: decode_box(path, whole, SIZE),
    "read_picture": lambda path: np.asarray(read_picture(path)),
}

# Where the stored picture must be taken from so that turning it as Exif says shows the scene: the standard's table.
STORED: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda scene: scene, 2: lambda scene: scene[:, ::-1], 3: lambda scene: scene[::-1, ::-1],
    4: lambda scene: scene[::-1], 5: lambda scene: scene.swapaxes(0, 1),
    6: lambda scene: np.rot90(scene), 7: lambda scene: np.rot90(scene, 2).swapaxes(0, 1),
    8: lambda scene: np.rot90(scene, -1)}


def save_turned(path: Path, value: int, scene: np.ndarray = COLOURS) -> Path:
    exif = Image.Exif()
    exif[0x0112] = value
    options = {".jpg": {"quality": 95, "subsampling": 0}, ".webp": {"lossless": True}}.get(path.suffix, {})
    Image.fromarray(np.ascontiguousarray(STORED[value](scene))).save(path, exif=exif, **options)
    return path


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("value", STORED)
def test_a_turned_photograph_is_its_upright_self(value: int, suffix: str, tmp_path: Path) -> None:
    path = save_turned(tmp_path / f"a.{suffix}", value)
    for name, door in DOORS.items():
        assert np.abs(door(path).astype(int) - COLOURS).max() <= (12 if suffix == "jpg" else 0), name
    corner = decode_box(path, upper_left, (6, 8)).astype(int)
    assert np.abs(corner - COLOURS[:6, :8]).max() <= (12 if suffix == "jpg" else 0)


@pytest.mark.parametrize("value", [1, 3, 6, 7])
def test_a_large_photograph_is_decoded_small_and_upright(value: int, tmp_path: Path) -> None:
    large = np.asarray(Image.fromarray(COLOURS).resize((16 * 12, 24 * 12)))
    path = save_turned(tmp_path / "a.jpg", value, large)
    assert np.abs(decode_box(path, whole, SIZE).astype(int) - decode(path, SIZE)).max() <= 12
    expected = np.asarray(Image.fromarray(large[:72, :96]).resize((8, 6), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(decode_box(path, upper_left, (6, 8)) - expected).max() <= 14


def test_a_picture_in_memory_is_turned_too_and_left_as_it_was(tmp_path: Path) -> None:
    with open_picture(save_turned(tmp_path / "a.png", 6)) as image:
        assert orientation(image) == 6 and image.size == SIZE
        assert np.array_equal(upright_rgb(image), COLOURS)
        assert orientation(image) == 6 and image.size == SIZE


def test_orientations_that_mean_nothing_are_passed_over(tmp_path: Path) -> None:
    for number, exif in enumerate((b"Exif\0\0nonsense", b"", b"Exif\0\0II*\0\xff\xff\xff\x7f")):
        path = tmp_path / f"{number}.png"
        Image.fromarray(COLOURS).save(path, exif=exif)
        assert np.array_equal(read_picture(path), COLOURS)
    exif = Image.Exif()
    exif[0x0112] = 9
    Image.fromarray(COLOURS).save(tmp_path / "nine.png", exif=exif)
    assert np.array_equal(read_picture(tmp_path / "nine.png"), COLOURS)


DEEP = RAMP.astype(np.uint16) * 257


def save_pgm(path: Path, values: np.ndarray, most: int) -> Path:
    path.write_bytes(b"P5 16 24 %d\n" % most + values.astype(">u2").tobytes())
    return path


def save_tiff(path: Path, values: np.ndarray, **tags: int) -> Path:
    info = TiffImagePlugin.ImageFileDirectory_v2()
    for name, value in tags.items():
        info[{"photometric": 262}[name]] = value
    Image.fromarray(values).save(path, tiffinfo=info)
    return path


def test_unsigned_deep_pictures_are_scaled_by_their_range(tmp_path: Path) -> None:
    Image.fromarray(DEEP).save(tmp_path / "a.png")
    Image.fromarray(DEEP).save(tmp_path / "a.jp2", irreversible=False)
    Image.fromarray(DEEP.astype(">u2")).save(tmp_path / "big_endian.tif")
    for path in (tmp_path / "a.png", tmp_path / "a.jp2", tmp_path / "big_endian.tif",
                 save_tiff(tmp_path / "a.tif", DEEP), save_pgm(tmp_path / "a.pgm", DEEP, 65535),
                 save_pgm(tmp_path / "ten.pgm", DEEP >> 6, 1023),
                 save_tiff(tmp_path / "white_is_zero.tif", 65535 - DEEP, photometric=0)):
        with open_picture(path) as image:
            assert image.mode.startswith("I")
        for name, door in DOORS.items():
            assert np.abs(door(path).astype(int) - RAMP[..., None]).max() <= 1, (path.name, name)
    assert np.array_equal(np.asarray(upright_rgb(Image.fromarray(DEEP)))[..., 0], RAMP)


def write_twelve_bits(path: Path) -> Path:
    """A TIFF of 12 bits a value, two of which share three bytes."""
    pairs = (RAMP.astype(np.int64) * 4095 // 255).reshape(-1, 2)
    packed = np.stack([pairs[:, 0] >> 4, (pairs[:, 0] & 15) << 4 | pairs[:, 1] >> 8, pairs[:, 1] & 255], -1)
    data = packed.astype(np.uint8).tobytes()
    entries = [(256, 16), (257, 24), (258, 12), (259, 1), (262, 1), (273, 8), (277, 1), (278, 24), (279, len(data))]
    directory = b"".join(tag.to_bytes(2, "little") + (4).to_bytes(2, "little") + (1).to_bytes(4, "little")
                         + value.to_bytes(4, "little") for tag, value in entries)
    path.write_bytes(b"II*\0" + (8 + len(data)).to_bytes(4, "little") + data + len(entries).to_bytes(2, "little")
                     + directory + bytes(4))
    return path


def test_twelve_bits_are_scaled_by_twelve(tmp_path: Path) -> None:
    found = np.asarray(read_picture(write_twelve_bits(tmp_path / "a.tif"))).astype(int)
    assert np.abs(found - RAMP[..., None]).max() <= 1


@pytest.mark.parametrize(("values", "kind"), [
    (RAMP / np.float32(255), "floating-point"), (RAMP.astype(np.int32), "signed or 32-bit"),
    (DEEP.astype(np.int32) * 32767, "signed or 32-bit")])
def test_deep_pictures_without_a_range_are_refused(values: np.ndarray, kind: str, tmp_path: Path) -> None:
    Image.fromarray(values).save(tmp_path / "a.tif")
    for door in DOORS.values():
        with pytest.raises(ValueError, match=rf"{kind} values .*does not say which.*black and white; convert it"):
            door(tmp_path / "a.tif")
    with pytest.raises(ValueError, match=kind):
        upright_rgb(Image.fromarray(values))


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.uint32])
def test_other_numbers_in_a_tiff_are_refused(dtype: type, tmp_path: Path) -> None:
    values = np.zeros(SIZE, dtype)
    bits, kind = values.itemsize * 8, 1 if dtype == np.uint32 else 2
    entries = [(256, 16), (257, 24), (258, bits), (259, 1), (262, 1), (273, 8), (277, 1), (278, 24),
               (279, values.nbytes), (339, kind)]
    directory = b"".join(tag.to_bytes(2, "little") + (4).to_bytes(2, "little") + (1).to_bytes(4, "little")
                         + value.to_bytes(4, "little") for tag, value in entries)
    (tmp_path / "a.tif").write_bytes(b"II*\0" + (8 + values.nbytes).to_bytes(4, "little") + values.tobytes()
                                     + len(entries).to_bytes(2, "little") + directory + bytes(4))
    with pytest.raises(ValueError, match="signed or 32-bit"):
        read_picture(tmp_path / "a.tif")


@pytest.mark.parametrize("mode", ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr",
                                  "HSV", "LAB"])
def test_shallow_pictures_of_every_mode_become_rgb(mode: str) -> None:
    colour = Image.fromarray(COLOURS)
    if mode == "LAB":
        image = Image.merge("LAB", colour.split())
    else:
        through = {"La": "LA", "RGBa": "RGBA", "PA": "P"}.get(mode, mode)
        image = colour.convert("L") if mode in ("1", "La", "LA") else colour
        image = image.convert(through, palette=Image.Palette.ADAPTIVE).convert(mode)
    found = np.asarray(upright_rgb(image)).astype(int)
    assert found.shape == COLOURS.shape
    expected = np.asarray(colour.convert("L"))[..., None] if mode in ("L", "LA", "La") else COLOURS
    if mode not in ("1", "LAB"):
        assert np.abs(found - expected).max() <= {"P": 60, "PA": 60, "HSV": 8, "YCbCr": 3}.get(mode, 0)
    assert len(np.unique(found)) == 2 if mode == "1" else len(np.unique(found)) > 10


@pytest.mark.parametrize("options", [{"transparency": 3}, {"transparency": bytes(range(256))}])
def test_transparency_is_dropped_and_colours_stay(options: dict, tmp_path: Path) -> None:
    palette = Image.fromarray(COLOURS).convert("P", palette=Image.Palette.ADAPTIVE)
    palette.save(tmp_path / "a.png", **options)
    assert np.array_equal(read_picture(tmp_path / "a.png"), palette.convert("RGB"))
    clear = np.dstack([COLOURS, np.zeros(SIZE, np.uint8)])
    Image.fromarray(clear).save(tmp_path / "b.png")
    assert np.array_equal(read_picture(tmp_path / "b.png"), COLOURS)
    Image.fromarray(COLOURS).save(tmp_path / "c.png", transparency=(1, 2, 3))
    assert np.array_equal(read_picture(tmp_path / "c.png"), COLOURS)


def test_sixteen_bits_a_channel_keep_their_upper_byte(tmp_path: Path) -> None:
    """A PNG of 16-bit RGB, which Pillow can read but not write."""
    rows = (COLOURS.astype(np.uint16) * 257).astype(">u2").reshape(SIZE[0], -1)
    data = b"".join(b"\0" + row.tobytes() for row in rows)
    chunks = (b"IHDR", (16).to_bytes(4, "big") + (24).to_bytes(4, "big") + bytes((16, 2, 0, 0, 0))), \
        (b"IDAT", zlib.compress(data)), (b"IEND", b"")
    body = b"".join(len(content).to_bytes(4, "big") + name + content + zlib.crc32(name + content).to_bytes(4, "big")
                    for name, content in chunks)
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    assert np.array_equal(read_picture(tmp_path / "a.png"), COLOURS)
