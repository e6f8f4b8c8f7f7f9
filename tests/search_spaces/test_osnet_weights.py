"""Weights of others: torchreid's files give torchreid's numbers; what does not fit is said or refused."""

import importlib.util
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from nas_reid.errors import CheckpointError
from nas_reid.modules.head import Head
from nas_reid.network.model import ReIDNetwork
from nas_reid.network.trained import load_trained
from nas_reid.network.weights import fit_state, load_weights, read_state, read_weights
from nas_reid.registry import load_genotype
from nas_reid.search_space import Mix
from search_spaces.osnet_ain import OSNetAIN
from search_spaces.osnet_ain.torchreid_keys import describe_state, from_torchreid, to_torchreid
from tests.search_spaces.osnet_networks import filled, make_space, published, random_images, uniforms, wave_images

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "convert_weights.py"


def torchreid_state(name, family, *, width=1.0, num_classes=10):
    """A whole torchreid state dict with reproducible values, without the counters, which old files lack."""
    with torch.device("meta"):
        shapes = to_torchreid(published(name, width=width, num_classes=num_classes).state_dict(), family)
    return OrderedDict((key, filled(key, like)) for key, like in shapes.items() if "num_batches" not in key)


def load(path, name, *, width=1.0, num_classes=10):
    genotype, network = load_genotype(f"osnet_ain/{name}"), published(name, width=width, num_classes=num_classes)
    state = read_weights(path, make_space(width=width), genotype, trunk=network.trunk)
    return network.eval(), load_weights(network, state, origin=path.name)


def wrapped(state):
    """As torchreid saves from a GPU: in a dictionary, with a prefix, and a NumPy scalar that breaks plain loading."""
    return {"state_dict": OrderedDict((f"module.{key}", value) for key, value in state.items()), "epoch": 50,
            "rank1": np.float64(0.9), "optimizer": {"state": {}, "param_groups": [{"lr": 0.0015}]}}


def test_the_filling_rule():
    assert uniforms("conv1.conv.weight", 3) == pytest.approx([0.30854988, 0.92973030, 0.75954497], abs=1e-8)
    images = wave_images().double()
    assert images[1, 2, 255, 127].item() == pytest.approx(0.01304871, abs=1e-7)
    assert images.sum().item() == pytest.approx(-702.02653, abs=1e-3)


@pytest.mark.parametrize(("name", "family", "width", "sums", "norms", "cosine", "top", "nonzeros"), [
    ("plain", "osnet", 1.0, (63.66073, 64.58230), (5.149475, 5.217149), 0.0006197, (286, 1.137980), (243, 240)),
    ("plain", "osnet", 0.5, (54.57389, 55.85141), (4.533590, 4.631333), 0.0004712, (5, 1.186755), (247, 249)),
    ("plain", "osnet", 0.25, (54.33977, 54.63842), (4.481644, 4.514218), 0.0005067, (442, 0.899302), (242, 242)),
    ("paper", "osnet_ain", 1.0, (144.88478, 144.33217), (11.782544, 11.738585), 0.0011307, (493, 2.143800),
     (244, 245)),
])
def test_golden_forward_through_the_loader(tmp_path, name, family, width, sums, norms, cosine, top, nonzeros):
    torch.save(wrapped(torchreid_state(name, family, width=width)), tmp_path / "model.pth.tar")
    network, _ = load(tmp_path / "model.pth.tar", name, width=width)
    with torch.no_grad():
        features = network(wave_images()).double()
    assert features.sum(1).tolist() == pytest.approx(sums, rel=1e-5)
    assert features.norm(dim=1).tolist() == pytest.approx(norms, rel=1e-5)
    assert (features[0].argmax().item(), features[0].max().item()) == pytest.approx(top, rel=1e-5)
    assert (features > 0).sum(1).tolist() == list(nonzeros)
    distance = 1 - torch.nn.functional.cosine_similarity(features[0], features[1], dim=0).item()
    assert distance == pytest.approx(cosine, abs=1e-7)


@pytest.mark.parametrize(("name", "family"), [("plain", "osnet"), ("ibn", "osnet"), ("paper", "osnet_ain")])
def test_names_survive_both_directions(name, family):
    state = torchreid_state(name, family, width=0.25)
    ours = from_torchreid(state)
    assert to_torchreid(ours, family) == state  # the very same tensors
    arguments, body = describe_state(ours)
    assert arguments == {"width": 0.25, "stem": "batch" if name == "plain" else "instance"}
    assert body == load_genotype(f"osnet_ain/{name}").body


@pytest.mark.parametrize("form", ["bare", "wrapped", "safetensors"])
def test_every_form_of_a_file_is_read(tmp_path, form):
    state = torchreid_state("paper", "osnet_ain", width=0.25)
    path = tmp_path / ("weights.safetensors" if form == "safetensors" else "weights.pth")
    if form == "safetensors":
        from safetensors.torch import save_file

        save_file(state, path)
    else:
        torch.save(wrapped(state) if form == "wrapped" else state, path)
    network, fit = load(path, "paper", width=0.25)
    assert not fit.problems()
    assert torch.equal(network.trunk.conv3[1].IN.weight, state["conv3.1.IN.weight"])
    assert torch.equal(network.head.embedding[0].bias, state["fc.0.bias"])
    assert torch.equal(network.head.classifier.weight, state["classifier.weight"])


def test_a_foreign_classifier_stays_out_and_everything_else_is_said(tmp_path, caplog):
    state = torchreid_state("paper", "osnet_ain", width=0.25, num_classes=4101)
    del state["fc.1.bias"]
    state["extra"] = torch.zeros(3)
    # An entry beside the trunk cannot be known to be foreign to it, so it is taken for the trunk's and refused.
    torch.save(state, tmp_path / "weights.pth")
    with pytest.raises(CheckpointError, match=r"unexpected: trunk\.extra"):
        load(tmp_path / "weights.pth", "paper", width=0.25)
    del state["extra"]
    torch.save(state, tmp_path / "weights.pth")
    with caplog.at_level("INFO"):
        network, fit = load(tmp_path / "weights.pth", "paper", width=0.25)
    assert fit.missing == ("head.embedding.1.bias", "head.classifier.weight", "head.classifier.bias")
    assert len(network.head.classifier.weight) == 10
    assert "missing: head.embedding.1.bias" in caplog.text and "other identities" in caplog.text


@pytest.mark.parametrize(("name", "width", "message"), [
    ("plain", 0.25, r"missing: trunk\.conv1\.bn\.running_mean"),
    ("ibn", 0.25, r"conv2\.0\.conv3\.bn"),
    ("paper", 0.5, r"other shape: trunk\.conv1\.conv\.weight \(\[16, 3, 7, 7\], \[32, 3, 7, 7\]\)"),
])
def test_a_trunk_that_does_not_match_is_refused(tmp_path, name, width, message):
    torch.save(torchreid_state("paper", "osnet_ain", width=0.25), tmp_path / "weights.pth")
    with pytest.raises(CheckpointError, match=message):
        load(tmp_path / "weights.pth", name, width=width)


def test_a_superset_of_the_trunk_is_refused_too(tmp_path):
    state = torchreid_state("plain", "osnet", width=0.25)
    torch.save({**state, "conv2.0.IN.weight": torch.ones(64)}, tmp_path / "weights.pth")
    with pytest.raises(CheckpointError, match=r"unexpected: trunk\.conv2\.0\.IN\.weight"):
        load(tmp_path / "weights.pth", "plain", width=0.25)


class Malice:
    def __reduce__(self):
        return (exec, ("raise SystemExit('executed')",))


@pytest.mark.parametrize(("content", "message"), [
    ({"state_dict": {}, "evil": Malice()}, "holds the object exec, which only executing code could read, .*never"),
    ({"epoch": 3}, "holds no weights"),
    ([1, 2], "holds no weights"),
    (b"not a file of torch", "not a file of weights"),
    (b"a text\nof two lines, which stops the unpickler by an IndexError.", "not a file of weights.*while reading it"),
    (Path("/dev/zero"), "holds no weights: it is a device, not a regular file"),
    (None, "no weights at"),
])
def test_files_that_hold_no_weights(tmp_path, content, message):
    path = tmp_path / "weights.pth"
    if isinstance(content, Path):
        path = content
    elif isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(CheckpointError, match=message):
        read_state(path)


def test_fit_names_every_difference():
    own = {"a": torch.zeros(2), "b": torch.zeros(3), "n.num_batches_tracked": torch.tensor(0)}
    fit = fit_state(own, {"a": torch.ones(2), "b": torch.ones(4), "c": torch.ones(1)})
    assert list(fit.state) == ["a"] and fit.missing == () and fit.unexpected == ("c",)
    assert fit.problems() == ["unexpected: c", "other shape: b ([4], [3])"]
    assert fit_state(own, {}).missing == ("a", "b")


@pytest.mark.parametrize("candidates", ["separate", "shared"])
def test_a_child_that_inherits_computes_what_its_supernet_does(tmp_path, candidates):
    space = make_space(candidates=candidates)
    body = dict(zip((d.name for d in space.decisions()), ["os", "os_in", "os_out", "os_in_out", "os", "os_in"],
                    strict=True))
    probs = {d.name: torch.eye(4)[[[c.name for c in d.choices].index(body[d.name])]] for d in space.decisions()}
    genotype = space.derive(probs)
    assert genotype.body == body
    supernet = space.supernet()
    head = Head(supernet.out_channels, 5, **OSNetAIN.head, running_stats=False)
    network = ReIDNetwork(supernet, head)
    network(random_images(), {name: Mix(p.softmax(1)) for name, p in probs.items()})
    torch.save({"bilevel": {"network": network.state_dict(), "arch": {}}}, tmp_path / "last.pt")
    child = ReIDNetwork(space.network(genotype), Head(supernet.out_channels, 5, **OSNetAIN.head))
    state = read_weights(tmp_path / "last.pt", space, genotype, trunk=child.trunk)
    fit = load_weights(child, state, origin="last.pt")
    assert fit.missing == ("head.embedding.1.weight", "head.embedding.1.bias")
    with torch.no_grad():
        expected = network.eval()(random_images(), {name: Mix(p) for name, p in probs.items()})
        torch.testing.assert_close(child.eval()(random_images()), expected)


def test_the_script_converts_in_both_directions(tmp_path, capsys):
    spec = importlib.util.spec_from_file_location("convert_weights", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)

    def run(*arguments):
        return script.main([str(argument) for argument in arguments])

    state = torchreid_state("plain", "osnet", width=0.25)
    torch.save(wrapped(state), tmp_path / "theirs.pth")
    assert run("import", tmp_path / "theirs.pth", tmp_path / "ours.pt") == 0
    assert "width 0.25, stem batch, conv2_0 os" in capsys.readouterr().out
    network, description = load_trained(tmp_path / "ours.pt", device=torch.device("cpu"))
    assert description.image_size == (256, 128) and description.num_classes == 10
    assert torch.equal(network.trunk.conv2[0].conv2[3].layers[2].conv1.weight, state["conv2.0.conv2d.2.conv1.weight"])
    assert run("export", tmp_path / "ours.pt", tmp_path / "back.pth") == 0
    back = torch.load(tmp_path / "back.pth", weights_only=True)
    assert len(back) == 567 and all(torch.equal(back[key], value) for key, value in state.items())
    torch.save({"conv1.weight": torch.zeros(64, 3, 7, 7)}, tmp_path / "resnet.pth")
    assert run("import", tmp_path / "resnet.pth", tmp_path / "x.pt") == 2
    assert "not those of an OSNet" in capsys.readouterr().err and not (tmp_path / "x.pt").exists()
