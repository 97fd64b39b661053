"""Every test that a page of ``docs/`` names exists."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("**/*.md")), ids=lambda p: p.name)
def test_the_tests_that_a_page_names_exist(page):
    for file, name in NAMED.findall(page.read_text(encoding="utf-8")):
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        assert name in defined, f"{page.name} names {file}::{name}, which is not there"


@pytest.mark.parametrize("page", ["method.md", "evaluation.md"])
def test_the_table_at_the_end_of_a_page_of_formulas_names_a_test_for_every_section(page):
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    *sections, table = text.split("\n## ")[1:]
    rows = dict(re.findall(r"^\| (.+?) \| (.+) \|$", table, re.MULTILINE))
    for section in sections:
        title = section.splitlines()[0]
        assert NAMED.search(rows.get(title, "")), title
