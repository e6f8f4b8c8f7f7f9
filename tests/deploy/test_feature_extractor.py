"""Images in every form give the embeddings that evaluation computes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nas_reid.data.decoding import decode
from nas_reid.data.normalise import normalise
from nas_reid.deploy.feature_extractor import FeatureExtractor, image_files
from nas_reid.deploy.input_contract import OURS
from nas_reid.deploy.opening import Opened
from nas_reid.errors import CheckpointError, ConfigError, DataError
from nas_reid.network.model import ReIDNetwork
from tests.cli.trained_checkpoint import save_trained


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ReIDNetwork]:
    path = tmp_path_factory.mktemp("model") / "best.pt"
    return path, save_trained(path)


@pytest.fixture(scope="module")
def extractor(model: tuple[Path, ReIDNetwork]) -> FeatureExtractor:
    return FeatureExtractor(model[0], batch_size=2)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder, random = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for number, shape in enumerate([(40, 20, 3), (64, 30, 3), (32, 16, 3)]):
        Image.fromarray(random.integers(256, size=shape, dtype=np.uint8)).save(folder / f"{number}.png")
    return sorted(folder.iterdir())


def test_features_are_those_of_the_network(model: tuple[Path, ReIDNetwork], extractor: FeatureExtractor,
                                           files: list[Path]) -> None:
    images = torch.from_numpy(np.stack([decode(path, (32, 16)) for path in files]))
    with torch.no_grad():
        expected = model[1](normalise(images))
        mirrored = model[1](normalise(images.flip(2)))
    found = extractor(files)
    assert found.dtype == torch.float32 and found.shape == (3, 8) and expected.std() > 0
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    flipped = FeatureExtractor(model[0], flip=True)(map(str, files))
    torch.testing.assert_close(flipped, (expected + mirrored) / 2, atol=1e-5, rtol=1e-4)


def test_every_form_of_an_image_gives_the_same(extractor: FeatureExtractor, files: list[Path]) -> None:
    expected = extractor(files)
    pictures = [Image.open(path) for path in files]
    arrays = [np.asarray(picture) for picture in pictures]
    tensors = [torch.from_numpy(array.copy()).permute(2, 0, 1) for array in arrays]
    for images in (pictures, arrays, tensors):
        assert torch.equal(extractor(images), expected)
    torch.testing.assert_close(extractor(tensors[1][None]), expected[1:2])  # other batches round differently
    torch.testing.assert_close(extractor(files[0]), expected[:1])
    swapped = [array[..., ::-1] for array in arrays]
    assert torch.equal(extractor(swapped, colours="BGR"), expected)
    assert not torch.allclose(extractor(swapped), expected)


def test_images_that_are_not_rgb_are_counted_or_refused(model: tuple[Path, ReIDNetwork], files: list[Path],
                                                        tmp_path: Path) -> None:
    picture = Image.open(files[0])
    for mode, name in (("L", "l.png"), ("P", "p.png"), ("RGBA", "a.png"), ("CMYK", "c.jpg"), ("RGB", "rgb.png")):
        picture.convert(mode).save(tmp_path / name)
    convert, refuse = FeatureExtractor(model[0]), FeatureExtractor(model[0], not_rgb="refuse")
    assert convert(image_files(tmp_path)).shape == (5, 8) and convert.converted == 4
    assert refuse(tmp_path / "rgb.png").shape == (1, 8)
    with pytest.raises(DataError, match=r"l\.png has colour mode L, not RGB, and not_rgb=refuse"):
        refuse(tmp_path / "l.png")


def test_wrong_images_are_refused(extractor: FeatureExtractor, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"broken\.jpg cannot be read as an image"):
        extractor(tmp_path / "broken.jpg")
    with pytest.raises(DataError, match=r"missing\.jpg cannot be read"):
        extractor(["missing.jpg"])
    with pytest.raises(DataError, match=r"torch.float32 \[3, 8, 4\]; expected a path.*uint8"):
        extractor(torch.zeros(3, 8, 4))
    with pytest.raises(DataError, match=r"uint8 \[8, 4\]"):
        extractor([np.zeros((8, 4), np.uint8)])
    with pytest.raises(DataError, match="there are no images"):
        extractor([])
    with pytest.raises(DataError, match="is no folder"):
        image_files(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="colours='GBR' is unknown; known are: RGB, BGR"):
        extractor([], colours="GBR")


@pytest.mark.parametrize("option", [{"batch_size": 0}, {"modality": 2}])
def test_numbers_out_of_range_are_refused(option: dict[str, int], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="{}={}".format(*next(iter(option.items())))):
        FeatureExtractor(tmp_path / "best.pt", **option)


def test_an_onnx_file_needs_its_contract(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"needs the model\.json"):
        FeatureExtractor(tmp_path / "model.onnx")
    with pytest.raises(ConfigError, match="modality=1 is infrared, and exported networks are of visible images"):
        FeatureExtractor(tmp_path / "model.onnx", modality=1)
    (tmp_path / "model.json").write_text('{"image_size": [32, 16]}')
    with pytest.raises(CheckpointError, match="cannot be opened by onnxruntime"):
        FeatureExtractor(tmp_path / "model.onnx")


def test_a_turned_photograph_has_the_features_of_the_upright_one(extractor: FeatureExtractor, files: list[Path],
                                                                 tmp_path: Path) -> None:
    upright, exif = Image.open(files[0]), Image.Exif()
    exif[0x0112] = 6
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    expected = extractor(files[0])
    assert torch.equal(extractor(tmp_path / "turned.png"), expected)
    assert torch.equal(extractor(Image.open(tmp_path / "turned.png")), expected)


def test_pixels_without_a_range_are_refused_by_name(extractor: FeatureExtractor, tmp_path: Path) -> None:
    Image.fromarray(np.linspace(0, 1, 128, dtype=np.float32).reshape(16, 8)).save(tmp_path / "a.tif")
    with pytest.raises(DataError, match=r"a\.tif cannot be read as an image: it has floating-point values"):
        extractor(tmp_path / "a.tif")
    with pytest.raises(DataError, match="an image cannot be read: it has floating-point values"):
        extractor(Image.open(tmp_path / "a.tif"))


@pytest.mark.parametrize("empty", [np.zeros((0, 5, 3), np.uint8), np.zeros((5, 0, 3), np.uint8),
                                   torch.zeros(3, 0, 5, dtype=torch.uint8), Image.new("RGB", (5, 0))])
def test_an_empty_crop_is_refused(empty: object, extractor: FeatureExtractor) -> None:
    with pytest.raises(DataError, match=r"at least one pixel|it is empty: 5 x 0 pixels"):
        extractor([empty])


def test_features_that_are_not_finite_are_refused_whatever_computes_them(tmp_path: Path,
                                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    def run(images: torch.Tensor) -> torch.Tensor:
        brightness = images.float().mean((1, 2, 3))
        return torch.where(brightness > 250, torch.inf, brightness)[:, None]

    opened = Opened(run, (4, 4), OURS, "euclidean", (), "torch")
    monkeypatch.setattr("nas_reid.deploy.feature_extractor.open_model", lambda *_, **__: opened)
    broken = FeatureExtractor("model.pt", batch_size=2, flip=True)
    black, white = np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 255, np.uint8)
    with pytest.raises(DataError, match="features of image 3 are not finite; the network that made them diverged"):
        broken([black, black, black, white])
    Image.fromarray(white).save(tmp_path / "white.png")
    with pytest.raises(DataError, match=r"features of \S+white\.png are not finite"):
        broken([tmp_path / "white.png"])
    assert broken([black]).tolist() == [[0.0]]
