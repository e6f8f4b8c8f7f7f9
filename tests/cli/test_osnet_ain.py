"""OSNet-AIN from end to end: a joint search, and a child that starts from the supernet's weights."""

from pathlib import Path

from nas_reid.genotype import Genotype
from tests.cli.commands import DATA, invoke

OPTIONS = (*DATA, "batch.size=8", "evaluation.every=1", "threads=1", "wandb.mode=disabled")


def test_search_then_inherit(tmp_path: Path) -> None:
    search = invoke("search", "space=osnet_ain", "space.width=0.25", "space.candidates=shared",
                    "algorithm=osnet_ain_published", "epochs=1", f"hydra.run.dir={tmp_path / 'search'}", *OPTIONS)
    assert search.code == 0, search.err
    assert "images for weights and alphas" in (tmp_path / "search" / "search.log").read_text()
    genotype = Genotype.load(tmp_path / "search" / "genotype.json")
    assert (tmp_path / "search" / "pictures" / "supernet.png").is_file()
    # One epoch from equal alphas: they moved, but not far.
    assert all(0.2 < p < 0.3 for rows in genotype.probabilities.values() for p in rows[0])
    assert len({p for rows in genotype.probabilities.values() for p in rows[0]}) > 4
    weights = tmp_path / "search" / "checkpoints" / "last.pt"
    retrain = ("retrain", f"genotype={tmp_path / 'search' / 'genotype.json'}", f"weights={weights}", "epochs=1",
               "optimizer.warmup_epochs=0", *OPTIONS)
    child = invoke(*retrain, f"hydra.run.dir={tmp_path / 'child'}")
    assert child.code == 0, child.err
    assert "loaded 5" in (tmp_path / "child" / "retrain.log").read_text()
    fresh = invoke(*retrain, "fresh_head=true", f"hydra.run.dir={tmp_path / 'fresh'}")
    assert fresh.code == 0 and "a trunk alone, the head starts anew" in fresh.err + fresh.out
    other = invoke(*retrain, "network.width=0.5", f"hydra.run.dir={tmp_path / 'other'}")
    assert other.code != 0 and "does not fit this trunk" in other.err + other.out
