"""Pages of the site that stand elsewhere: the README, CONTRIBUTING, CHANGELOG, and the reference from the docstrings.

A hook of mkdocs. The reference has the order of the README's table of rooms: a page for each module of the top floor
and one for each folder.
"""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
ELSEWHERE = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
"""File of the repository -> page of the site."""
LINK = re.compile(r"\]\((?!\w+:)([^)#\s]+)")


def moved(text: str) -> str:
    """A page with links that lead to where their targets are in the site."""
    return LINK.sub(lambda link: "](" + ELSEWHERE.get(link[1].removeprefix("../"), link[1].removeprefix("docs/")), text)


def rooms() -> list[tuple[str, list[str]]]:
    """The README's table: what a room knows, and those of its files and folders that have Python in them."""
    table = (ROOT / "README.md").read_text(encoding="utf-8").partition("| room | knows |\n|---|---|\n")[2]
    found = []
    for line in table.partition("\n\n")[0].splitlines():
        names, knows = line.strip("|").split("|")
        paths = [name if (ROOT / name).exists() else f"nas_reid/{name}" for name in re.findall(r"`([\w/.]+)`", names)]
        if paths := [path.rstrip("/") for path in paths if path.endswith(".py") or any((ROOT / path).rglob("*.py"))]:
            found.append((knows.strip().replace("`", ""), paths))
    return found


def modules(path: str) -> list[str]:
    """Dotted names of a file, or of the files below a folder that are no templates and say what they are."""
    files = [ROOT / path] if path.endswith(".py") else sorted((ROOT / path).rglob("*.py"))
    return [".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for file in files
            if not file.stem.startswith("__main") and "template" not in file.parts and file.read_text("utf-8").strip()]


def page_of(path: str) -> str:
    """The page of a file or folder of the package."""
    return "api/" + path.removesuffix(".py").replace("/", ".") + ".md"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the reference into the navigation, before the last entry."""
    reference = [{knows[0].upper() + knows[1:]: [{path.removeprefix("nas_reid/"): page_of(path)} for path in paths]}
                 for knows, paths in rooms()]
    config.nav.insert(-1, {"Reference": reference})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages, and the files of the root that they link to."""
    for name, page in ELSEWHERE.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=text))
        for target in LINK.findall(text):
            if "/" not in target and target not in ELSEWHERE and files.get_file_from_path(target) is None:
                files.append(File.generated(config, target, abs_src_path=str(ROOT / target)))
    for knows, paths in rooms():
        for path in paths:
            parts = [f"# {path.replace('/', '.').removesuffix('.py')}", f"Knows {knows}." if "." not in path else ""]
            files.append(File.generated(config, page_of(path), content="\n\n".join(
                [*parts, *(f"::: {name}" for name in modules(path))])))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Pages are written for readers of the repository."""
    return moved(markdown)
