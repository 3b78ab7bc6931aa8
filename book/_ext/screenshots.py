"""Pictures of five pages for README.md: ``python book/_ext/screenshots.py _build/html screenshots``."""

from __future__ import annotations

import argparse
import io
import shutil
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

# Page, and the part of it at the top of the picture.
VIEWS = {
    "at_a_glance": "h1",
    "claims": "h1",
    "parabola": ".featnorm-drawing",
    "regimes": ".featnorm-drawing",
    "what_is_learned": ".featnorm-drawing",
}


def take(html: Path, out: Path) -> None:
    """One WebP picture of each page, in the light theme."""
    out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium") or shutil.which("google-chrome"), args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme="light")
        for name, top in VIEWS.items():
            page.goto((html / "book" / f"{name}.html").resolve().as_uri())
            page.evaluate("() => window.MathJax?.startup?.promise.then(() => null)")
            page.locator(f"article {top}").first.evaluate("part => scrollTo(0, part.getBoundingClientRect().top - 90)")
            page.wait_for_timeout(500)  # the header and the contents at the right follow the scrolling
            Image.open(io.BytesIO(page.screenshot())).save(out / f"{name}.webp", quality=80, method=6)
        browser.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("html", type=Path, help="folder of the built book")
    parser.add_argument("out", type=Path, help="folder of the pictures")
    take(**vars(parser.parse_args()))
