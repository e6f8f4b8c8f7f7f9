"""Both pages in a browser, where one is installed: nothing is off-screen, and the table sorts."""

import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from nas_reid import compare
from nas_reid.config.comparison import CompareConfig
from nas_reid.record.report import write_report
from nas_reid.registry import load_genotype

TRIALS = ("all-search single-shot", "indoor multi-shot")
METRICS = ("rank1", "rank5", "rank10", "rank20", "mAP", "mINP")
BROWSER = next((found for name in ("chromium", "chromium-browser", "google-chrome")
                if (found := shutil.which(name))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no browser is installed")
# A frame is as narrow as a telephone, which a window of a desktop's browser is not.
FRAMES = """<body><iframe src="{page}" style="width:400px;height:900px"></iframe>
<iframe src="{page}" style="width:1400px;height:900px"></iframe><pre id="told"></pre><script>
onload = () => told.textContent = JSON.stringify([...document.querySelectorAll("iframe")].map(frame => {{
  const page = frame.contentDocument, by = page.getElementById("sort");
  if (by) {{
    by.value = [...by.options].find(option => option.text === "val. mAP").value;
    by.dispatchEvent(new Event("change"));
  }}
  const seen = page.documentElement.clientWidth;
  return {{width: frame.clientWidth, beyond: page.documentElement.scrollWidth - seen,
          off: [...page.querySelectorAll("td,th,pre,img,svg,p")]
            .filter(element => element.getBoundingClientRect().right > seen + 1).map(element => element.outerHTML),
          broken: [...page.querySelectorAll(".numbers td:not(:first-child)")].filter(cell => {{
            const range = page.createRange();
            range.selectNodeContents(cell);
            return range.getClientRects().length > 1;
          }}).map(cell => cell.textContent),
          further: page.getElementById("further") ? [...page.querySelectorAll("#further label")].map(label => {{
            const columns = [...page.querySelectorAll("#runs th")].filter(head => head.dataset.further &&
              label.textContent.trim() === head.dataset.further), hidden = columns.map(head => head.hidden);
            label.firstChild.click();
            return [label.textContent.trim(), hidden, columns.map(head => head.hidden)];
          }}) : [],
          rows: [...page.querySelectorAll("#runs tbody tr")].map(row => row.cells[0].dataset.value),
          alphas: page.querySelectorAll("#alphas td").length}};
}}))</script></body>"""


def look_at(page: Path) -> list[dict]:
    """What a narrow and a wide frame show of a page."""
    frames = page.with_name("frames.html")
    frames.write_text(FRAMES.format(page=page.name))
    done = subprocess.run([BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files",
                           f"--user-data-dir={page.parent / 'profile'}", "--window-size=1900,1000", "--dump-dom",
                           "--virtual-time-budget=3000", frames.as_uri()], capture_output=True, text=True, timeout=120,
                          check=False, env={**os.environ, "HOME": str(page.parent)})
    told = re.search(r'<pre id="told">(.+?)</pre>', done.stdout)
    assert told, done.stderr
    return json.loads(html.unescape(told[1]))


def a_run(folder: Path, *, seed: int, mAP: float) -> Path:
    """A search of two epochs, with long names and paths."""
    (folder / "genotypes").mkdir(parents=True)
    genotype = load_genotype("auto_reid/baseline")
    rows = [[0.1 + 0.05 * column for column in range(7)]] * 14
    for epoch in (1, 2):
        found = type(genotype)(genotype.space, genotype.space_version, genotype.body,
                               {**genotype.arguments, "primitives": "reid"}, {"normal": rows, "reduce": rows})
        found.save(folder / "genotypes" / f"epoch_{epoch:03d}.json")
        found.save(folder / "genotype.json")
    (folder / "metrics.jsonl").write_text("".join(json.dumps(
        {"epoch": epoch, "search/loss_weights": 1 / epoch,
         "search/loss_weights_cross_entropy": 0.0001234567 / epoch, "search/val_mAP": mAP, "time/epoch_s": 60.0}) + "\n"
        for epoch in range(1, 13)))
    result = {"kind": "search", "space": "auto_reid", "data": "market1501", "seed": seed, "params": 1000 + seed,
              "macs": 5_000_000, "selection": {"split": "validation", "mAP": mAP, "rank1": 0.5}, "metrics": {},
              "trials": {name: dict.fromkeys(METRICS, mAP) for name in TRIALS},
              "genotype": str(folder / "genotype.json"), "next": f"python -m nas_reid.retrain genotype={'long/' * 40}",
              "config": {"seed": seed, "weights": {"lr": 0.1 * seed}}}
    (folder / "result.json").write_text(json.dumps(result))
    return folder


def test_nothing_is_off_screen(tmp_path):
    runs = [a_run(tmp_path / "runs" / f"{seed}-seed{seed}", seed=seed, mAP=mAP)
            for seed, mAP in enumerate((0.3, 0.5, 0.4))]
    compare.run(CompareConfig(str(tmp_path / "runs"), "mAP", False), tmp_path)
    for page in (write_report(runs[0]), tmp_path / "compare.html"):
        for width, shown in zip((400, 1400), look_at(page), strict=True):
            assert (shown["width"], shown["beyond"], shown["off"], shown["broken"]) == (width, 0, [], []), page.name
    assert shown["further"] == [[name, [True] * len(METRICS), [False] * len(METRICS)]
                                for name in TRIALS]
    assert shown["rows"] == ["1", "2", "0"] and shown["alphas"] == 2 * 14 * 8
