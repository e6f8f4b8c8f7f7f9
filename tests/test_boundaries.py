"""Who may import whom, and how long a file may be: read from the syntax trees, nothing is imported here."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ENGINE = sorted((ROOT / "nas_reid").rglob("*.py"))
SPACES = sorted((ROOT / "search_spaces").rglob("*.py"))
SCRIPTS = sorted((ROOT / "scripts").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
LIBRARY = ENGINE + SPACES
COMMANDS = {f"nas_reid/{name}.py" for name in ("search", "retrain", "pretrain", "evaluate", "describe",
                                               "export", "extract", "select", "tabulate", "inspect",
                                               "find", "compare")}


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imports(node: ast.AST) -> Iterator[str]:
    """Full names of the modules that a piece of syntax imports, those inside functions included."""
    for child in ast.walk(node):
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield "." * child.level + (child.module or "")


def imports_outside_functions(path: Path) -> set[str]:
    found, pending = set(), list(tree(path).body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            found |= set(imports(node))
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            pending += ast.iter_child_nodes(node)
    return found


def packages(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imports(tree(path))}


def users_of(package: str, files: list[Path]) -> set[str]:
    return {relative(path) for path in files if package in packages(path)}


def test_every_room_is_visited() -> None:
    assert len(ENGINE) >= 60 and len(SPACES) >= 10 and len(SCRIPTS) >= 3 and len(TESTS) >= 30
    assert COMMANDS <= {relative(path) for path in ENGINE}


def test_no_relative_imports_hide_a_dependency() -> None:
    assert not [relative(path) for path in LIBRARY + SCRIPTS if any(name.startswith(".") for name in
                                                                   imports(tree(path)))]


@pytest.mark.parametrize("room", ["search_spaces", "scripts", "tests"])
def test_the_engine_imports_no_other_room(room: str) -> None:
    assert users_of(room, ENGINE) == set()


def test_nobody_imports_scripts_or_tests() -> None:
    assert users_of("scripts", LIBRARY + SCRIPTS + TESTS) == set()
    assert users_of("tests", LIBRARY + SCRIPTS) == set()


def test_a_space_imports_the_engine_and_itself_only() -> None:
    ours = {"nas_reid", "search_spaces"}
    for path in SPACES:
        inside = path.relative_to(ROOT / "search_spaces").parts
        own = f"search_spaces.{inside[0].removesuffix('.py')}"
        for name in imports(tree(path)):
            if name.partition(".")[0] in ours:
                assert name.startswith(("nas_reid", own)), f"{relative(path)} imports {name}"
        assert not packages(path) & {"hydra", "omegaconf", "wandb"}, relative(path)


def test_the_engine_names_no_space() -> None:
    spaces = {path.stem if path.suffix else path.name for path in (ROOT / "search_spaces").iterdir()
              if not path.name.startswith("_")}
    assert "auto_reid" in spaces
    for path in ENGINE:
        docstrings = {id(node.body[0].value) for node in ast.walk(tree(path)) if documented(node)}
        strings = {node.value for node in ast.walk(tree(path)) if isinstance(node, ast.Constant)
                   and isinstance(node.value, str) and id(node) not in docstrings}
        assert not strings & spaces, f"{relative(path)} names {strings & spaces}"


def room(path: Path) -> str:
    """The folder below ``nas_reid/`` that a file lives in; of the top floor, the commands are one room."""
    inside = path.relative_to(ROOT / "nas_reid").parts
    if len(inside) > 1:
        return inside[0]
    return "commands" if relative(path) in COMMANDS else "top"


def rooms_seen_by(name: str) -> set[str]:
    """Rooms whose modules the files of a room import."""
    seen = set()
    for path in (path for path in ENGINE if room(path) == name):
        for module in imports(tree(path)):
            if module.startswith("nas_reid."):
                file = (ROOT / module.replace(".", "/")).with_suffix(".py")
                seen.add(room(file if file.exists() else file.with_suffix("") / "__init__.py"))
    return seen - {name, "top"}


BELOW = {
    "commands": {"run", "config", "nas", "training", "evaluation", "losses", "network", "modules", "backbones", "data",
                 "deploy", "record", "drawing", "files", "tables", "parallel"},
    "run": {"config", "nas", "data", "network", "record", "drawing", "files", "parallel"},
    "config": {"nas", "training", "evaluation", "losses", "network", "modules", "backbones", "data", "deploy",
               "record", "parallel"},
    "nas": {"training", "losses", "network", "data", "parallel"},
    "training": {"losses", "network", "modules", "data", "files", "parallel"},
    "evaluation": {"network", "data", "files", "parallel"},
    "losses": {"network", "modules", "parallel"},
    "deploy": {"evaluation", "network", "data", "files"},
    "record": {"drawing", "evaluation", "data", "files"},
    "network": {"modules", "files", "parallel"},
    "modules": set(),
    "backbones": {"modules"},
    "data": {"drawing", "files", "parallel"},
    "drawing": {"backbones", "files"},
    "files": set(),
    "parallel": set(),
    "testing": set(),
    "spaces": set(),
    "tables": {"files"},
    "top": {"nas", "files", "drawing", "parallel"},
}
"""Room -> the rooms that it may import, beside the top floor. No cycle: what stands in a line stands below it."""


def test_the_rooms_are_those_on_disk() -> None:
    assert {room(path) for path in ENGINE} == set(BELOW)
    top = {path.name for path in ENGINE if len(path.relative_to(ROOT / "nas_reid").parts) == 1}
    assert len(top - {"select.py", "tabulate.py", "inspect.py", "find.py", "compare.py"}) <= 16


@pytest.mark.parametrize("name", BELOW)
def test_a_room_imports_only_those_below_it(name: str) -> None:
    assert rooms_seen_by(name) <= BELOW[name]


def test_the_readme_shows_the_tree_on_disk() -> None:
    table = (ROOT / "README.md").read_text(encoding="utf-8").partition("| room | knows |")[2].partition("\n\n")[0]
    shown = {name for row in table.splitlines() for name in re.findall(r"`([\w/.]+)`", row.partition("|")[2]
                                                                        .partition("|")[0])}
    shown = {name.removeprefix("nas_reid/") for name in shown}
    folders = {f"{path.name}/" for path in (ROOT / "nas_reid").iterdir() if path.is_dir() and path.name[0] != "_"}
    files = {path.name for path in (ROOT / "nas_reid").glob("*.py") if path.name != "__init__.py"}
    assert shown == folders | files | {"search_spaces/", "conf/"}


def test_no_room_is_below_itself() -> None:
    for name in set(BELOW) - {"top"}:
        reached, pending = set(), list(BELOW[name])
        while pending:
            reached.add(below := pending.pop())
            pending += BELOW[below] - reached
        assert name not in reached


def test_no_file_imports_itself_in_a_circle() -> None:
    files = {path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__"): path
             for path in LIBRARY}
    above = {name: set(imports(tree(path))) & files.keys() - {name} for name, path in files.items()}
    while leaves := {name for name, below in above.items() if not below}:
        above = {name: below - leaves for name, below in above.items() if name not in leaves}
    assert above == {}


def test_only_run_and_config_know_hydra() -> None:
    hydra, omegaconf = users_of("hydra", ENGINE), users_of("omegaconf", ENGINE)
    assert {name.split("/")[1] for name in hydra} == {"run"}
    assert {name.split("/")[1] for name in omegaconf - COMMANDS} <= {"run", "config"}


def test_wandb_is_imported_by_the_tracker_alone_and_late() -> None:
    assert users_of("wandb", ENGINE) == {"nas_reid/record/tracking.py"}
    assert "wandb" not in imports_outside_functions(ROOT / "nas_reid/record/tracking.py")


@pytest.mark.parametrize("package", ["matplotlib", "sklearn", "wandb"])
def test_heavy_packages_are_imported_inside_functions(package: str) -> None:
    for path in LIBRARY:
        eager = {name for name in imports_outside_functions(path) if name.partition(".")[0] == package}
        assert not eager, f"{relative(path)} imports {eager} when it is imported"


def test_nothing_needs_torchvision_or_timm() -> None:
    everything = LIBRARY + SCRIPTS + TESTS
    assert users_of("torchvision", everything) | users_of("timm", everything) == set()


def test_files_are_short() -> None:
    lengths = {relative(path): len(path.read_text(encoding="utf-8").splitlines())
               for path in LIBRARY + SCRIPTS + TESTS}
    assert {name: length for name, length in lengths.items() if length > 320} == {}


def test_functions_are_short() -> None:
    long = {f"{relative(path)}:{node.name}": node.end_lineno - node.lineno + 1
            for path in LIBRARY + SCRIPTS for node in ast.walk(tree(path))
            if isinstance(node, ast.FunctionDef) and node.end_lineno - node.lineno + 1 > 60}
    assert long == {}


def test_no_file_is_a_drawer() -> None:
    drawers = {"utils", "util", "helpers", "common", "misc", "base"}
    assert not [relative(path) for path in LIBRARY + SCRIPTS + TESTS
                if drawers & {path.stem, path.parent.name}]


def test_library_code_neither_asserts_nor_prints() -> None:
    for path in LIBRARY:
        for node in ast.walk(tree(path)):
            where = f"{relative(path)}:{getattr(node, 'lineno', 0)}"
            assert not isinstance(node, ast.Assert), where
            assert not (isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print"), where
            assert not (isinstance(node, ast.ExceptHandler) and node.type is None), where


def documented(node: ast.AST) -> bool:
    return (isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and ast.get_docstring(node) is not None)


def public_definitions(path: Path) -> Iterator[tuple[str, ast.AST]]:
    """The module, its public functions and classes, and the public methods of those classes."""
    module = tree(path)
    if module.body:
        yield relative(path), module
    pending = [(relative(path), node) for node in module.body]
    for owner, node in pending:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
            yield f"{owner}:{node.name}", node
            if isinstance(node, ast.ClassDef):
                pending += [(f"{owner}:{node.name}", child) for child in node.body]


def test_everything_public_has_a_docstring() -> None:
    definitions = [item for path in LIBRARY + SCRIPTS for item in public_definitions(path)]
    assert len(definitions) > 300
    assert [name for name, node in definitions if not documented(node)] == []


def test_signatures_are_annotated() -> None:
    bare = []
    for path in LIBRARY + SCRIPTS:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef):
                arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                missing = [a.arg for a in arguments if a.annotation is None and a.arg not in ("self", "cls")]
                if missing or (node.returns is None and node.name != "__init__"):
                    bare.append(f"{relative(path)}:{node.name} {missing}")
    assert bare == []
