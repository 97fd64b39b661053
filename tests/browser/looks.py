"""How a page looks: pictures at two widths in light and dark, WCAG, nothing wider than the window."""

import json
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

SHOTS = Path("build/screenshots")
_WIDTHS = {"desktop": 1280, "phone": 390}
_CLIPPED = """[...document.querySelectorAll(".plot text")].filter((text) => {
  const inner = text.getBoundingClientRect(), outer = text.closest("figure").getBoundingClientRect();
  return !text.closest(".broad") && (inner.right > outer.right + 1 || inner.left < outer.left - 1);
}).map((text) => text.textContent)"""
"""The texts of plots that leave their figure; one that is broad scrolls."""


def glance(page: Page, name: str) -> None:
    """Take the picture of a page as it is now; fails on what axe finds, or on what does not fit."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    assert page.viewport_size is not None
    expect(page.locator("[hx-trigger=load] > [role=status]")).to_have_count(0)
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"], (
        name
    )
    clipped = page.evaluate(_CLIPPED)
    assert not clipped, f"{name}: {clipped}"
    page.screenshot(path=SHOTS / f"{name}.png", full_page=True)
    _judge(page, name)


def _judge(page: Page, name: str) -> None:
    found = Axe().run(page).response["violations"]
    shown = [(v["id"], [n["html"][:200] for n in v["nodes"]]) for v in found]
    assert not found, f"{name}: {json.dumps(shown, indent=1)}"


def look(page: Page, name: str) -> None:
    """Take the pictures into ``build/screenshots``; fails on what axe finds in either scheme."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    before = page.viewport_size
    assert before is not None
    for device, width in _WIDTHS.items():
        page.set_viewport_size({"width": width, "height": 900})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, name
            assert page.evaluate(_CLIPPED) == [], name
            page.screenshot(path=SHOTS / f"{name}-{device}-{scheme}.png", full_page=True)
            if (device == "phone") != (scheme == "dark"):
                continue  # each layout and each scheme is judged once
            _judge(page, f"{name} {device} {scheme}")
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(before)
