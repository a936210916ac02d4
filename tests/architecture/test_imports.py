"""Imports point one way (STYLE 4): views -> services -> models, sharding, tiers; what lies deeper knows nothing above it."""

import ast
from pathlib import Path

import pytest

from support.shards import ROOT

SOURCE = ROOT / "src" / "photoapp"

MAY_IMPORT = {
    "errors": set(),
    "settings": {"errors"},
    "types": {"security", "services", "sharding", "tiers", "views", "visibility"},  # for annotations only
    "models": set(),
    "visibility": {"errors"},
    "imaging": {"errors", "settings"},
    "tiers": {"errors", "settings"},
    "sharding": {"errors", "models", "settings", "tiers"},
    "services": {"errors", "imaging", "models", "settings", "sharding", "tiers", "visibility"},
    "jobs": {"errors", "models", "services", "settings", "sharding", "tiers"},
    "presenters": {"errors", "models", "services", "settings", "sharding", "tiers", "visibility"},
    "security": {"errors", "services", "settings", "tiers", "types"},
    "metrics": {"jobs", "tiers", "types"},
    "renderers": {"errors", "types"},
    "contexts": {"errors", "presenters", "security", "services", "types", "views", "visibility"},
    "routes": {"contexts"},
    "acknowledge": {"errors", "jobs", "renderers", "sharding", "types"},
    "edge": {"errors", "types", "views"},
    "views": {
        "contexts", "errors", "imaging", "jobs", "metrics", "presenters", "renderers", "security", "services", "settings",
        "sharding", "tiers", "types", "visibility",
    },
}  # fmt: skip
"""Room by room; the composition root and the command line may import everything."""

ROOTS = {"", "cli"}
STARTS = {"jobs/rq_worker.py"}
"""How a process other than ours starts the application: roots too, in the room that they belong to."""


def modules() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def room_of(path: Path) -> str:
    first = path.relative_to(SOURCE).parts[0]
    return "" if first == "__init__.py" else first.removesuffix(".py")


def imported(tree: ast.AST) -> list[tuple[int, str]]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = (
                [f"{node.module}.{alias.name}" for alias in node.names] if node.module == "photoapp" else [node.module]
            )
            found += [(node.lineno, name) for name in names]
        elif isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_module_imports_only_rooms_below_its_own(path: Path):
    room = room_of(path)
    if room in ROOTS or path.relative_to(SOURCE).as_posix() in STARTS:
        return
    allowed = MAY_IMPORT[room] | {room}
    for line, name in imported(ast.parse(path.read_text())):
        if name.startswith("photoapp."):
            target = name.split(".")[1]
            assert target in allowed, f"{path.relative_to(ROOT)}:{line} imports {name}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_nothing_is_imported_inside_a_function(path: Path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            inner = [each for each in ast.walk(node) if isinstance(each, ast.Import | ast.ImportFrom)]
            assert not inner or "imaging/child" in path.as_posix(), f"{path.relative_to(ROOT)}:{inner[0].lineno}"


def test_only_views_and_contexts_know_http_exceptions():
    for path in modules():
        for line, name in imported(ast.parse(path.read_text())):
            if name.startswith("pyramid.httpexceptions"):
                assert room_of(path) in {"views", "contexts"}, f"{path.relative_to(ROOT)}:{line}"
