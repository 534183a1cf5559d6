"""Make the pictures of README and docs from the demo: `make pictures`, which is this after `make demo`.

    python -m documentation.pictures [demo]

`docs/images/made.json` keeps what they were made from: a digest of the code that draws, and of each picture. A test
holds it against the code, so that no page shows how the program looked once.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
from pathlib import Path

from pipeline.demo import write_results
from pipeline.progress import Stopwatch

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
# What decides how things look; what moves them does not.
DRAWN_BY = (
    "pipeline/pictures/overlay.py",
    "pipeline/pictures/plot.py",
    "pipeline/pictures/score_panel.py",
    "pipeline/review/page/index.html",
    "pipeline/review/page/page.css",
)
PICTURES = ("overlay.jpg", "review.jpg", "score.png")
_CLIP = "test_1"
_WIDTH, _HEIGHT = 1366, 768


def made_from() -> dict[str, str]:
    """A digest of each file that says how things look, and of each picture."""
    found = {}
    for name in DRAWN_BY:
        found[name] = hashlib.sha256((ROOT / name).read_bytes()).hexdigest()
    return found | {name: hashlib.sha256((IMAGES / name).read_bytes()).hexdigest() for name in PICTURES}


def overlay(demo: Path, target: Path) -> None:
    """The frame of the overlay video with the highest score."""
    import cv2
    import numpy as np

    scores = np.loadtxt(demo / "results" / f"{_CLIP}.csv", delimiter=",", skiprows=1, usecols=2)
    video = cv2.VideoCapture(str(demo / "results" / f"{_CLIP}.overlay.mp4"))
    video.set(cv2.CAP_PROP_POS_FRAMES, int(scores.argmax()))
    there, picture = video.read()
    if not there:
        raise SystemExit(f"{demo}: the overlay video has no frame {scores.argmax()}; make the demo anew")
    cv2.imwrite(str(target), picture, [cv2.IMWRITE_JPEG_QUALITY, 85])


def review_page(demo: Path, target: Path) -> None:
    """The review page at its first event, as a laptop shows it; needs Chromium."""
    from playwright.sync_api import ViewportSize, sync_playwright

    browser_path = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=browser_path, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_context(
            viewport=ViewportSize(width=_WIDTH, height=_HEIGHT), color_scheme="light"
        ).new_page()
        page.goto((demo / "review" / "index.html").resolve().as_uri())
        page.wait_for_timeout(1500)
        page.keyboard.press("n")
        page.wait_for_timeout(1500)  # the video is drawn
        page.screenshot(path=target, type="jpeg", quality=80)
        browser.close()


def main(arguments: list[str] | None = None) -> int:
    """Make the pictures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("demo", nargs="?", type=Path, default=ROOT / "demo", help="what `make demo` has made")
    demo = parser.parse_args(arguments).demo
    # What is drawn is drawn anew, by the code that is here; the model and the tracks are those of the demo.
    write_results(demo, sorted((demo / "videos" / "test").glob("*.mp4")), Stopwatch(), quiet=True)
    overlay(demo, IMAGES / "overlay.jpg")
    review_page(demo, IMAGES / "review.jpg")
    shutil.copyfile(demo / "results" / f"{_CLIP}.png", IMAGES / "score.png")
    (IMAGES / "made.json").write_text(json.dumps(made_from(), indent=1) + "\n")
    print(f"made {', '.join(PICTURES)} in {IMAGES}; look at them")
    return 0


if __name__ == "__main__":
    sys.exit(main())
