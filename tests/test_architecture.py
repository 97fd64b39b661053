"""Rules of the tree that the import contracts in pyproject.toml cannot state."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]


def modules(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Every module that the file names in an import, at any depth."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_endpoints_hold_no_queries_and_services_no_http() -> None:
    for path in modules("app"):
        names = imported(path)
        if path.name in ("endpoints.py", "prune.py"):
            assert not any(name.startswith("sqlalchemy") for name in names), path
        if path.name == "service.py":
            assert not any(name.startswith(("fastapi", "starlette")) for name in names), path
            assert "sqlalchemy.select" not in names, path


def test_files_stay_readable() -> None:
    for package in ("app", "worker", "dealrec"):
        for path in modules(package):
            assert len(path.read_text().splitlines()) < 400, path
