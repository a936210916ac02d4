"""What the house does not write (STYLE D, PROMISES 4.4). Each rule names the failure that it prevents."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.shards import ROOT

SOURCE = ROOT / "src" / "photoapp"
FILES = sorted(SOURCE.rglob("*.py"))

BANNED_IMPORTS = {
    "pickle": "code execution from a store (SEC-70 to SEC-72)",
    "marshal": "code execution from a store",
    "shelve": "code execution from a store",
    "dill": "code execution from a store",
    "pyramid.threadlocal": "hides which request is meant (STYLE D12)",
}
BANNED_CALLS = {
    "eval": "code execution",
    "exec": "code execution",
    "get_current_request": "thread-locals (STYLE D12)",
    "get_current_registry": "thread-locals (STYLE D12)",
    "scoped_session": "thread-local sessions (STYLE D12)",
    "mark_changed": "binds to the global manager and loses the write (STYLE T3)",
    "utcnow": "naive time",
    "commit": "the transaction belongs to the edge (STYLE 15)",
    "flush": "the transaction belongs to the edge (STYLE 15)",
}
MAY_FLUSH = {"views/media.py", "imaging", "tiers/storage", "cli", "sharding/shards.py"}
"""Files on disk are flushed, not sessions; ``Shards.write`` is the edge of the transactions that it opens."""


def calls(tree: ast.AST) -> Iterator[tuple[int, str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            function = node.func
            name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
            yield node.lineno, name, node


def where(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


@pytest.mark.parametrize("path", FILES, ids=where)
def test_nothing_banned_is_called_or_imported(path: Path):
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        for name in names:
            assert name not in BANNED_IMPORTS, f"{where(path)}:{node.lineno} {name}: {BANNED_IMPORTS[name]}"
    for line, name, node in calls(tree):
        if name == "flush" and where(path).startswith(tuple(MAY_FLUSH)):
            continue
        if name == "commit" and where(path) == "__init__.py":
            continue  # Pyramid's configurator
        if name in {"eval", "exec"} and isinstance(node.func, ast.Attribute):
            continue
        assert name not in BANNED_CALLS, f"{where(path)}:{line} {name}: {BANNED_CALLS[name]}"


@pytest.mark.parametrize("path", FILES, ids=where)
def test_images_are_opened_with_an_allow_list_only(path: Path):
    for line, name, node in calls(ast.parse(path.read_text())):
        opens_image = (
            name == "open" and isinstance(node.func, ast.Attribute) and getattr(node.func.value, "id", "") == "Image"
        )
        if opens_image:
            assert any(keyword.arg == "formats" for keyword in node.keywords), f"{where(path)}:{line}"


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        (r"MAX_IMAGE_PIXELS\s*=\s*None", "decompression bombs"),
        (r"LOAD_TRUNCATED_IMAGES\s*=\s*True", "half pictures"),
        (r"shell\s*=\s*True", "injection"),
        (r"text\(f[\"']", "injection"),
        (r"(?i)set\s+search_path", "the next borrower of the connection reads another shard (STYLE T10)"),
        (r"except Exception:\s*\n\s*pass", "swallowed bugs"),
        (r"registry\.settings\[", "settings are read by their owner's dataclass"),
        (r"\bimport random\b", "tokens and keys come from secrets; pictures for a demo may use it"),
    ],
)
def test_patterns_that_stay_out_of_the_source(pattern: str, why: str):
    for path in FILES:
        if pattern == r"\bimport random\b" and where(path).startswith("cli/"):
            continue
        if pattern == r"registry\.settings\[" and where(path) == "sharding/schema.py":
            continue  # the ini file's own path is no setting of anybody's
        found = re.search(pattern, path.read_text())
        assert not found, f"{where(path)}: {why}"


def test_files_can_be_read_in_one_sitting():
    for path in FILES:
        lines = len(path.read_text().splitlines())
        assert lines <= 500, f"{where(path)} has {lines} lines: split it by topic"


def test_nothing_names_a_machine_or_a_package_registry():
    pattern = re.compile(r"(?<![\w.])/(?:work|farm)/|index-url|extra-index|find-links")
    for path in ROOT.rglob("*"):
        parts = path.relative_to(ROOT).parts
        if path.suffix in {".py", ".md", ".ini", ".toml", ".txt", ".cfg"} and not {".venv", "var", ".git"} & set(parts):
            found = pattern.search(path.read_text(errors="replace"))
            assert not found or path == Path(__file__), f"{path}: {found and found[0]}"
