"""Which package may import which: the arrows go one way."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FORBIDDEN = {
    "dealrec": {"dealrec.app", "dealrec.worker", "fastapi", "sqlalchemy", "celery"},
    "app": {"dealrec.worker", "torch", "transformers", "peft", "accelerate"},
}
HEAVY_PARTS = {
    "dealrec.surrogates",
    "dealrec.influence",
    "dealrec.effort",
    "dealrec.difficulty",
    "dealrec.embedding",
    "dealrec.gradients",
    "dealrec.gathering",
    "dealrec.finetune",
    "dealrec.language_models",
    "dealrec.pipeline",
}
TORCH_FREE = (
    "dealrec/client",
    "dealrec/config",
    "dealrec/data",
    "dealrec/selection",
    "dealrec/coresets",
)


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


@pytest.mark.parametrize("package", FORBIDDEN)
def test_arrows_go_one_way(package: str) -> None:
    for path in modules(package):
        forbidden = tuple(f"{name}." for name in FORBIDDEN[package])
        assert not any(f"{name}.".startswith(forbidden) for name in imported(path)), path


def test_the_service_takes_only_light_parts_of_the_library() -> None:
    for path in modules("app"):
        assert not imported(path) & HEAVY_PARTS, path
        assert not any(
            name.startswith(tuple(f"{part}." for part in HEAVY_PARTS)) for name in imported(path)
        ), path


@pytest.mark.parametrize("folder", TORCH_FREE)
def test_light_parts_name_no_torch(folder: str) -> None:
    for path in modules(folder):
        roots = {name.split(".")[0] for name in imported(path)}
        assert not roots & {"torch", "transformers", "peft"}, path


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
