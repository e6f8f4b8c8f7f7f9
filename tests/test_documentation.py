"""Links and anchors of what people read lead somewhere, every page can be reached, and the door is short.

`make docs` checks the same of the site, together with the reference; this needs none of its packages.
"""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + DOCS
CODE = re.compile(r"^```.*?^```|^ {4}[^\n]*|`[^`\n]+`", re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """What headings are called in links, by the rule that both the site and code hosts follow for plain ones."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-")
            for heading in re.findall(r"^#+ (.+)", text, re.MULTILINE)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = CODE.sub("", page.read_text(encoding="utf-8"))
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if link.startswith(("https://", "http://")):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.is_relative_to(ROOT) or not target.is_file() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_anchors_are_those_of_the_headings(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("# Read `this`, first\n```\n# no heading\n```\n## A (small) one: yes\n")
    assert anchors(tmp_path / "page.md") == {"read-this-first", "a-small-one-yes"}


def test_every_page_is_in_the_navigation_once() -> None:
    def leaves(entry: object) -> list[str]:
        if isinstance(entry, str):
            return [entry]
        return [leaf for part in (entry.values() if isinstance(entry, dict) else entry) for leaf in leaves(part)]

    shown = leaves(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"])
    made = ["index.md", "contributing.md", "changelog.md"]  # docs/pages.py
    assert sorted(shown) == sorted([*made, *(page.name for page in DOCS)])


def test_the_site_fetches_nothing() -> None:
    site = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert yaml.safe_load(site)["theme"]["font"] is False and "offline" in yaml.safe_load(site)["plugins"]
    assert "http://" not in site and "https://" not in site


def test_the_readme_is_a_door() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150
