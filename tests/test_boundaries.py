"""Who may import whom, and how long a file may be: read from the syntax trees, nothing is imported here."""

import ast
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
                                               "export", "extract")}


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


def test_only_the_door_knows_hydra() -> None:
    door = COMMANDS | {f"nas_reid/{name}.py" for name in ("command", "config", "further_data", "search_path")}
    assert users_of("hydra", ENGINE) | users_of("omegaconf", ENGINE) <= door
    assert "nas_reid/command.py" in users_of("hydra", ENGINE)


def test_wandb_is_imported_by_the_tracker_alone_and_late() -> None:
    assert users_of("wandb", ENGINE) == {"nas_reid/tracking.py"}
    assert "wandb" not in imports_outside_functions(ROOT / "nas_reid/tracking.py")


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
