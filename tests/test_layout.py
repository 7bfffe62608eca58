"""How the tests lie: they mirror the package, and share helpers through tests/support/ alone."""

from __future__ import annotations

import ast
import subprocess

import pytest

from tests.support.commands import ROOT

TESTS = ROOT / "tests"
MODULES = sorted(TESTS.rglob("*.py"))
# Folders that mirror no package.
OTHERS = {"browser", "cases", "docs", "scripts", "support"}


def imported_modules(text: str) -> set[str]:
    """Dotted names of all that a module imports, names taken from a package included."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            source = "." * node.level + (node.module or "")
            found |= {source, *(f"{source}.{name.name}" for name in node.names)}
    return found


def libraries(modules: set[str]) -> list[str]:
    """Those of the dotted names that are test modules or a conftest."""
    parts = {module: module.split(".") for module in modules}
    return [
        module
        for module, names in parts.items()
        if names[0] in ("tests", "")
        and any(name == "conftest" or name.startswith("test_") for name in names)
    ]


@pytest.mark.parametrize(
    "line",
    [
        "from tests.conftest import run_cli",
        "from tests.training.test_resume import Moment",
        "from tests.training import test_resume",
        "import tests.training.test_resume",
        "from .test_resume import Moment",
        "def late():\n    from . import conftest",
    ],
)
def test_imports_of_tests_are_found(line: str) -> None:
    assert libraries(imported_modules(line))


def test_nothing_imports_a_test_module_or_a_conftest() -> None:
    imports = {str(path): imported_modules(path.read_text()) for path in MODULES}
    assert not {path: found for path, names in imports.items() if (found := libraries(names))}


def test_every_folder_of_tests_mirrors_a_package() -> None:
    folders = {path.parent.relative_to(TESTS) for path in MODULES if path.name != "__init__.py"}
    mirrored = {folder for folder in folders if not OTHERS & set(folder.parts)}
    assert not [str(folder) for folder in mirrored if not (ROOT / "fashionai" / folder).is_dir()]


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="no checkout with git")
def test_gitignore_leaves_out_no_file_of_the_project() -> None:
    command = ["git", "ls-files", "--others", "--ignored", "--exclude-standard", "--"]
    places = ("fashionai/*.py", "tests/*.py", "tests/cases/*", "scripts/*.py", "configs/*.yaml")
    done = subprocess.run([*command, *places], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == ""
