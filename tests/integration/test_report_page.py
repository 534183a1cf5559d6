"""The review page in a real browser: it opens from a disk, plays, seeks, counts and keeps marks."""

from __future__ import annotations

import csv
import json
import re
import shutil
import time
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.review.files import NewPage
from pipeline.review.marks import read_marks
from pipeline.review.thresholds import spans
from pipeline.review.write import PageWriter, ReportClip
from pipeline.scoring import load_scorer, score_chunks
from pipeline.synthetic.clips import simulate_clip
from pipeline.synthetic.street.scene import StreetSettings
from pose_extract.tracks.records import ClipTracks
from pose_extract.video import VideoSource
from tests.helpers.videos import run_ffmpeg

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = (
    "--no-sandbox", "--headless", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        CHROMIUM is None, reason="chromium is not installed (Debian: apt-get install chromium)"
    ),
    pytest.mark.skipif(
        find_spec("playwright") is None, reason="playwright is not installed: pip install -e '.[dev]'"
    ),
]

NASTY = "<img src=x onerror=alert(1)>_20240512-081500.mp4"
SECONDS = 10.0
DRAWN = """() => {
  const canvas = document.getElementById('people');
  return canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some(Boolean);
}"""


def write(folder, clips, scorer, videos="link", title=""):
    with NewPage.begun(folder, videos) as page:
        writer = PageWriter(page, scorer)
        return writer.finish([writer.add(clip, quiet=True) for clip in clips], title)


@pytest.fixture(scope="module")
def report(truth_workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of four clips of the street: one with a video of a wicked name, one that lost its video, one without, and
    one that the model has learned from."""
    folder = tmp_path_factory.mktemp("report")
    scorer = load_scorer(truth_workspace / "model")
    files = {"falling": NASTY, "running": "lost.mp4", "normal": "", "learned": ""}
    clips = []
    for seed, (name, file) in enumerate(files.items()):
        acts = (name,) if file else ()
        tracks = simulate_clip(f"{name}<b>", 50 + seed, StreetSettings(seconds=SECONDS), acts).truth
        source = None
        if file:
            path = folder / "videos" / file
            path.parent.mkdir(exist_ok=True)
            picture = f"testsrc2=s=640x360:r=24:d={SECONDS}"
            options = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-preset", "ultrafast", "-g", "24"]
            options += ["-metadata", "creation_time=2024-05-12T06:15:00Z"]
            run_ffmpeg("-f", "lavfi", "-i", picture, *options, f"file:{path}")
            source = VideoSource(path, "video", name)
        key = min(scorer.learned) if name == "learned" else name
        clips.append(ReportClip(ClipTracks(**{**vars(tracks), "provenance": {"key": key}}), source))
    written = write(folder / "page", clips, scorer, title="Tuesday <i>")
    (folder / "videos" / "lost.mp4").unlink()
    assert len(written.clips) == 4
    return folder / "page"


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield browser
        browser.close()


class Opened:
    """The browser's page, and everything that it complained about or asked a network for since it was last opened."""

    def __init__(self, browser) -> None:
        self.page = browser.new_context(accept_downloads=True).new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on(
            "console", lambda m: self.complaints.append(m.text) if m.type in ("error", "warning") else None
        )
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on(
            "dialog", lambda dialog: (self.complaints.append(f"dialog {dialog.message}"), dialog.dismiss())
        )
        self.page.on("request", lambda request: self.requests.append(request.url))

    def go(self, report: Path, name: str = "falling") -> None:
        """Open a report anew, without marks, and choose a clip."""
        self.show(1400, 900)
        self.page.goto("about:blank")  # the same address with another place in it would not load anew
        self.complaints.clear()
        self.requests.clear()
        self.page.goto((report / "index.html").as_uri())
        self.ready()
        if self("localStorage.length"):
            self("localStorage.clear()")
            self.page.reload()
            self.ready()
        self.open(name)

    def show(self, width: int, height: int, scheme: str = "light", forced: str = "none") -> None:
        """Another window: its size, its colour scheme, and whether the system forces its colours on pages."""
        self.page.set_viewport_size({"width": width, "height": height})
        self.page.emulate_media(color_scheme=scheme, forced_colors=forced, reduced_motion="reduce")

    def ready(self) -> None:
        self.wait("document.body.classList.contains('ready') || !document.getElementById('notice').hidden")

    def wait(self, expression: str, seconds: float = 20) -> None:
        """Until the expression is true. Playwright's own way evaluates text, which the page's policy forbids."""
        end = time.monotonic() + seconds
        while not self.page.evaluate(expression):
            assert time.monotonic() < end, f"still not: {expression}"
            self.page.wait_for_timeout(20)

    def open(self, name: str) -> None:
        """Choose the clip whose name in the report starts so."""
        self.page.evaluate(
            """name => gepc.page.open(gepc.page.report.videos.find((video) => video.clip.startsWith(name)))""",
            name,
        )

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def text(self, element: str) -> str:
        return self.page.inner_text(element)

    def __call__(self, expression: str, argument=None):
        return self.page.evaluate(expression, argument)

    def stop_with_events(self, at_least: int) -> int:
        """Set the highest threshold at which the open video has so many events."""
        return self(
            """least => {
              const {counts} = gepc.page.clip.video;
              const stop = counts.findLastIndex((count) => count >= least);
              if (stop >= 0) gepc.page.setStop(stop);
              return stop;
            }""",
            at_least,
        )

    @property
    def now(self) -> float:
        return self("gepc.page.stage.now")


@pytest.fixture(scope="module")
def tab(browser) -> Opened:
    """One tab for all tests: a browser's context each would cost more than the tests."""
    return Opened(browser)


@pytest.fixture
def opened(tab, report):
    def open_page(name: str = "falling") -> Opened:
        tab.go(report, name)
        return tab

    return open_page


def test_it_opens_from_a_disk_without_a_complaint_or_a_network(opened):
    page = opened()
    page.wait("document.getElementById('video').readyState >= 2")
    assert page.complaints == []
    assert page.requests
    assert all(re.match(r"file:|data:|blob:", url) for url in page.requests)
    assert page.page.title() == "Tuesday <i>"
    assert page("document.getElementById('notice').hidden")
    assert page("performance.getEntriesByName('gepc-curve').length") >= 1


def test_a_wicked_name_is_shown_as_it_is(opened):
    page = opened()
    assert page.page.inner_text("#video-name") == NASTY
    names = page.page.locator("#videos .name").all_inner_texts()
    assert sorted(names) == sorted([NASTY, "lost.mp4", "normal<b>", "learned<b>"])
    assert page.page.locator("img:not(.thumb), #videos b, #title i").count() == 0
    page.wait("document.getElementById('video').readyState >= 2")
    assert page.complaints == []


def test_the_list_has_the_worst_first_with_pictures_and_says_when_and_where(opened):
    page = opened()
    shown = page("gepc.page.videos.shown.map((video) => video.worst[gepc.page.stop] ?? -Infinity)")
    assert shown[:-1] == sorted(shown[:-1], reverse=True)
    assert page.page.locator("#videos button[aria-current=true]").count() == 1
    assert page.text("#videos li:last-child").startswith("learned<b>")
    assert "the model has learned from it" in page.text("#videos li:last-child")
    page.wait("[...document.querySelectorAll('#videos img')].every((image) => image.naturalWidth === 192)")
    assert page.page.locator("#videos img").count() == 4
    own = page.page.locator("#videos button[aria-current=true]").inner_text()
    assert "12 May 2024 08:15:00" in own
    assert "12 May 2024 08:15:00" in page.text("#video-facts")
    lost = page.page.locator("#videos button", has_text="lost.mp4").inner_text()
    assert "12 May 2024 06:15:00 UTC" in lost  # its name tells nothing, but its metadata do
    page("gepc.page.stage.seek(7)")
    assert page.text("#clock").endswith("08:15:07")
    page("gepc.page.setStop(0)")
    events = page.page.locator("#events li")
    assert events.count() == page.page.locator("#events .thumb").count() > 0
    assert page("gepc.page.videos.left(gepc.page.clip.video)") == events.count()
    assert page("gepc.page.videos.left({...gepc.page.clip.video, learned: true})") == 0
    page.open("learned")
    page.wait("gepc.page.clip.video.learned")
    assert page.text("#remarks li >> nth=0").startswith("The model has learned from this video")
    assert page("gepc.page.clip.video.remarks.length") == page.page.locator("#remarks li").count() - 1


def test_the_page_finds_the_events_that_python_finds_at_every_threshold(opened, report, truth_workspace):
    page = opened()
    scorer = load_scorer(truth_workspace / "model")
    tracks = simulate_clip("falling<b>", 50, StreetSettings(seconds=SECONDS), ("falling",)).truth
    score = np.concatenate([part.frames.score for _, _, part in score_chunks(scorer, tracks)]).astype(
        np.float32
    )
    time_s, end_s = tracks.time_s, np.append(tracks.time_s[1:], tracks.time_s[-1] + 1 / tracks.fps)
    assert page("[...gepc.page.clip.score]") == pytest.approx(score.tolist())
    found, stops, counts = page(
        """[gepc.page.report.stops.map((stop) => gepc.page.clip.events(stop).map((event) => [event.start, event.end])),
          gepc.page.report.stops, gepc.page.clip.video.counts]"""
    )
    for events, threshold, count in zip(found, stops, counts, strict=True):
        wanted = spans(time_s, end_s, score > np.float32(threshold), scorer.settings.events)
        assert [tuple(event) for event in events] == wanted
        assert count == len(wanted)
    event = page("gepc.page.clip.events(gepc.page.report.stops[0])[0]")
    assert event["startS"] == pytest.approx(time_s[event["start"]])
    assert event["endS"] == pytest.approx(end_s[event["end"] - 1])
    assert event["peak"] == event["start"] + int(score[event["start"] : event["end"]].argmax())


def test_a_click_on_the_curve_goes_there(opened):
    page = opened()
    page.wait("document.getElementById('video').readyState >= 2")
    box = page.page.locator("#curve").bounding_box()
    gutter = page("gepc.page.timeline.gutter")
    x = gutter + 0.73 * (box["width"] - gutter)
    page.page.mouse.click(box["x"] + x, box["y"] + 60)
    page.wait("!document.getElementById('video').seeking")
    assert page.now == pytest.approx(0.73 * SECONDS, abs=0.06)
    assert page("document.getElementById('video').currentTime") == pytest.approx(0.73 * SECONDS, abs=0.06)
    head = page("document.getElementById('playhead').getBoundingClientRect().x")
    assert head - box["x"] == pytest.approx(x, abs=6)


def test_keys_go_from_event_to_event_and_on_through_the_videos(opened):
    page = opened()
    assert page.stop_with_events(2) >= 0, "no stop of the slider has two events in the clip of a fall"
    wanted = page(
        """() => {
          const {shown} = gepc.page.videos;
          const others = shown.filter((video) => !video.learned && video.counts[gepc.page.stop]);
          const at = others.indexOf(gepc.page.clip.video);
          return [...others.slice(at), ...others.slice(0, at)].map((video) => [video.id, video.counts[gepc.page.stop]]);
        }"""
    )
    here = "[gepc.page.clip.video.id, gepc.page.selected?.number]"
    expected = [[video, number + 1] for video, count in wanted for number in range(count)]
    page("gepc.page.choose(gepc.page.events[0])")
    for event in [*expected[1:], expected[0]]:
        page.press("n")
        page.wait(f"JSON.stringify({here}) === '{json.dumps(event, separators=(',', ':'))}'")
    assert page.page.locator("#events button[aria-current=true]").count() == 1
    page.press("p")
    page.wait(f"JSON.stringify({here}) === '{json.dumps(expected[-1], separators=(',', ':'))}'")
    assert page.now == pytest.approx(page("gepc.page.selected.peakS"), abs=0.05)


def test_what_is_not_reviewed_is_counted_found_and_can_be_undone(opened):
    page = opened()
    assert page.stop_with_events(2) >= 0
    total = page(
        """gepc.page.report.videos.filter((video) => !video.learned)
          .reduce((sum, video) => sum + video.counts[gepc.page.stop], 0)"""
    )
    assert page.text("#left") == f"{total} of {total} events left to review"
    seen = set()
    for left in range(total - 1, -1, -1):
        before = page("gepc.page.clip.video.id")
        page.press("u")
        page.wait("gepc.page.selected && !gepc.page.marks.verdict(gepc.page.clip.video, gepc.page.selected)")
        if page("gepc.page.clip.video.id") != before:  # a video is left when nothing is left in it
            left_there = (
                "id => gepc.page.videos.left(gepc.page.report.videos.find((video) => video.id === id))"
            )
            assert page(left_there, before) == 0
        seen.add((page("gepc.page.clip.video.id"), page("gepc.page.selected.number")))
        page.press("r" if left % 2 else "f")
        wanted = f"{left} of {total} events left to review" if left else f"All {total} events reviewed"
        assert page.text("#left") == wanted
    assert len(seen) == total
    assert page.page.is_disabled("#unreviewed")
    # At every other threshold too, the count is that of the events that have no mark.
    unmarked = page(
        """async () => {
          const found = [];
          for (const video of gepc.page.report.videos.filter((video) => !video.learned)) {
            const clip = await gepc.Clip.open(video);
            found.push(gepc.page.report.stops.map((stop) =>
              clip.events(stop).filter((event) => !gepc.page.marks.verdict(video, event)).length));
          }
          return found;
        }"""
    )
    counted = page(
        """gepc.page.report.videos.filter((video) => !video.learned).map((video) =>
          gepc.page.report.stops.map((_, stop) => (gepc.page.videos.stop = stop, gepc.page.videos.left(video))))"""
    )
    assert counted == unmarked
    page("gepc.page.showVideos()")
    last = page("[gepc.page.clip.video.id, gepc.page.selected.number]")
    page.open("normal")
    page.press("z")
    page.wait("gepc.page.selected && gepc.page.clip.video.clip.startsWith('normal') === false")
    assert page("[gepc.page.clip.video.id, gepc.page.selected.number]") == last
    assert page.text("#left") == f"1 of {total} events left to review"
    for _ in range(total - 1):
        page.press("Control+z")
        page.page.wait_for_timeout(60)
    page.wait(f"document.getElementById('left').textContent === '{total} of {total} events left to review'")
    assert page.page.is_disabled("#undo")
    assert page.complaints == []


def test_other_keys_do_what_the_help_says(opened):
    page = opened()
    page("gepc.page.stage.seek(3)")
    page.page.keyboard.press("ArrowRight")
    assert page.now == pytest.approx(4, abs=0.05)
    page.page.keyboard.press("Shift+ArrowLeft")
    assert page.now == pytest.approx(0, abs=1e-3)
    page.page.keyboard.press(".")
    assert page.now == pytest.approx(1 / 24, abs=1e-3)
    stop = page("gepc.page.stop")
    page.page.keyboard.press("]")
    assert page("gepc.page.stop") == stop + 1
    page.page.keyboard.press("[")
    page.page.keyboard.press("+")
    assert page("gepc.page.timeline.view[1] - gepc.page.timeline.view[0]") == pytest.approx(SECONDS / 2)
    page.page.keyboard.press("0")
    assert page("gepc.page.timeline.view[1] - gepc.page.timeline.view[0]") == pytest.approx(SECONDS)
    page.page.keyboard.press("v")
    page.wait("!gepc.page.clip.video.clip.startsWith('falling')")
    page.page.keyboard.press("?")
    assert page.page.locator("#help[open]").count() == 1
    assert page.page.locator("#keys dt").count() == page("gepc.page.keys.list.length")
    page.page.keyboard.press("n")  # no shortcut while the help is open
    page.page.keyboard.press("Escape")
    assert page.page.locator("#help[open]").count() == 0


def test_the_slider_changes_events_counts_and_expected_false_alarms(opened):
    page = opened()
    facts, seconds = [], page("gepc.page.report.reference.seconds")
    for key in ("Home", "End"):
        page.page.focus("#threshold")
        page.page.keyboard.press(key)
        stop = page("gepc.page.stop")
        assert page.page.locator("#events li").count() == page("s => gepc.page.clip.video.counts[s]", stop)
        total = sum(page("s => gepc.page.report.videos.map((video) => video.counts[s])", stop))
        assert page.page.inner_text("#fact-events").endswith(f"/ {total}")
        found = page("s => gepc.page.report.false_alarms[s]", stop)
        # A few seconds of held-out video tell nothing of an hour.
        assert page.page.inner_text("#fact-false") == "–"
        assert "too little to say how many an hour: 10 min or more" in page.page.inner_text("#fact-note")
        page("() => { gepc.page.report.reference.seconds = 1200; gepc.page.setStop(gepc.page.stop); }")
        hours = 1200 / 3600
        shown = page.page.inner_text("#fact-false")
        number = float(re.search(r"[\d.,]+", shown)[0].replace(",", ""))
        assert number == pytest.approx((found or 3) / hours, rel=0.01)
        assert shown.startswith("under") == (found == 0)
        page("seconds => { gepc.page.report.reference.seconds = seconds; }", seconds)
        facts.append((total, page.page.inner_text("#fact-threshold")))
    assert facts[0][0] > facts[1][0] == 0
    page.page.click("#usual")
    assert page("gepc.page.stop") == page("gepc.page.report.usual")


def test_marks_are_kept_counted_and_saved_as_json_and_csv(opened, tmp_path):
    page = opened()
    assert page.stop_with_events(2) >= 0, "no stop of the slider has two events in the clip of a fall"
    events = page("gepc.page.events")
    page.page.locator("#events button").nth(0).click()
    page.page.keyboard.press("r")
    page.page.locator("#events button").nth(1).click()
    page.page.click("#false")
    assert page.page.get_attribute("#false", "aria-pressed") == "true"
    page.page.reload()
    page.ready()
    assert page.page.inner_text("#marks-count") == "2 marks"
    with page.page.expect_download() as json_file:
        page.page.click("#save-json")
    with page.page.expect_download() as csv_file:
        page.page.click("#save-csv")
    assert (json_file.value.suggested_filename, csv_file.value.suggested_filename) == (
        "marks.json",
        "marks.csv",
    )
    json_file.value.save_as(tmp_path / "marks.json")
    csv_file.value.save_as(tmp_path / "marks.csv")
    saved = json.loads((tmp_path / "marks.json").read_text())
    assert (saved["format"], saved["version"]) == ("gepc-marks", 1)
    columns = "video,clip,start_frame,end_frame,start_s,end_s,peak_s,score,percentile,verdict"
    assert [",".join(mark) for mark in saved["marks"]] == [columns] * 2
    assert [mark["verdict"] for mark in saved["marks"]] == ["right", "false"]
    for mark, event in zip(saved["marks"], events, strict=False):
        assert (mark["video"], mark["clip"]) == (NASTY, "falling<b>")
        assert (mark["start_frame"], mark["end_frame"]) == (event["start"], event["end"])
        assert mark["start_s"] <= mark["peak_s"] < mark["end_s"]
    for name in ("marks.json", "marks.csv"):
        read = read_marks(tmp_path / name)
        assert [(mark.clip, mark.verdict) for mark in read] == [
            ("falling<b>", "right"),
            ("falling<b>", "false"),
        ]
    with open(tmp_path / "marks.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [{k: str(v) for k, v in mark.items()} for mark in saved["marks"]] == rows
    page.page.locator("#events button").nth(0).click()
    page.page.keyboard.press("r")  # again: the mark is taken back
    assert page.page.inner_text("#marks-count") == "1 mark"
    page.page.set_input_files("#marks-file", tmp_path / "marks.json")
    page.wait("document.getElementById('marks-count').textContent === '2 marks'")
    assert page("JSON.parse(gepc.page.marks.json())") == saved
    page.page.set_input_files("#marks-file", tmp_path / "marks.csv")
    page.wait("!document.getElementById('notice').hidden")
    assert page.page.inner_text("#notice").startswith("marks.csv holds no marks")
    assert page.complaints == []


def test_a_mark_stays_with_its_event_at_another_threshold(opened):
    page = opened()
    page("gepc.page.setStop(0)")
    page("gepc.page.choose(gepc.page.events.reduce((a, b) => (a.score >= b.score ? a : b)))")
    page.page.keyboard.press("r")
    highest = page("gepc.page.clip.video.counts.findLastIndex((count) => count > 0)")
    page("stop => gepc.page.setStop(stop)", highest)
    assert page.page.locator("#events .verdict-sign.right").count() == 1


def test_skeletons_are_drawn_where_the_people_are(opened):
    page = opened()
    tracks = simulate_clip("falling<b>", 50, StreetSettings(seconds=SECONDS), ("falling",)).truth
    page.wait("document.getElementById('video').readyState >= 2")
    page.wait("gepc.page.clip.pieces.get(0)")
    for frame in (48, 101):  # the second one lies between two samples
        page("time => gepc.page.stage.seek(time)", float(tracks.time_s[frame]))
        page.wait("!document.getElementById('video').seeking")
        assert page("gepc.page.clip.frame(gepc.page.stage.now)") == frame
        rows = np.flatnonzero(tracks.frame == frame)
        seen = tracks.keypoints[rows][..., 2] >= 0.9
        points = tracks.keypoints[rows][..., :2][seen]
        inside = points[((points > 8) & (points < np.array(tracks.frame_size) - 8)).all(axis=1)]
        assert len(inside) > 10
        alphas = page(
            """points => {
              const canvas = document.getElementById('people');
              const context = canvas.getContext('2d');
              const [width, height] = gepc.page.clip.video.size;
              const [sx, sy] = [canvas.width / width, canvas.height / height];
              return points.map(([x, y]) => context.getImageData(x * sx, y * sy, 1, 1).data[3]);
            }""",
            inside.tolist(),
        )
        assert np.mean(np.array(alphas) > 100) > 0.9
    corner = page("document.getElementById('people').getContext('2d').getImageData(2, 2, 1, 1).data[3]")
    assert corner == 0
    page.page.keyboard.press("s")
    assert not page(DRAWN)


def test_playing_moves_picture_poses_and_playhead_together(opened):
    page = opened()
    page("gepc.page.stage.seek(1)")
    page.wait("document.getElementById('video').readyState >= 3")
    page.page.keyboard.press(" ")
    page.wait("gepc.page.stage.now > 1.4")
    page.page.keyboard.press(" ")
    page.wait("document.getElementById('video').paused")
    page.page.wait_for_timeout(300)
    assert page("Math.abs(gepc.page.stage.now - document.getElementById('video').currentTime)") < 0.1
    assert float(page.page.get_attribute("#curve", "aria-valuenow")) >= 1.4


@pytest.mark.parametrize("name", ["running", "normal"])
def test_without_its_video_a_clip_shows_skeletons_and_a_clock(opened, name):
    page = opened(name=name)
    page.wait("!document.getElementById('stage-note').hidden")
    assert ("lost.mp4" in page.page.inner_text("#stage-note")) == (name == "running")
    page.wait("gepc.page.clip.pieces.get(0)")
    page("gepc.page.stage.seek(2)")
    page.page.keyboard.press("k")
    page.wait("gepc.page.stage.now > 2.3")
    page.page.keyboard.press("k")
    assert page(DRAWN)


def test_the_peak_is_explained_by_people_words_and_joints(opened):
    page = opened()
    page("gepc.page.setStop(0)")
    page("gepc.page.choose(gepc.page.events.reduce((a, b) => (a.score >= b.score ? a : b)))")
    assert re.match(r"Why event \d+\?", page.page.inner_text("#why-title"))
    assert page.page.locator("#why .chip").count() >= 1
    words = page.page.locator("#why .words .meter").all_inner_texts()
    assert 1 <= len(words) <= 3
    assert all(re.match(r"Word \d+", text) for text in words)
    joints = page.page.locator("#why .joints .meter").all_inner_texts()
    assert len(joints) == 3
    assert all(re.search(r"\d+ %$", text) for text in joints)
    page.page.locator("#why .chip").first.click()
    assert page("gepc.page.stage.selected") == int(
        re.search(r"\d+", page.page.inner_text("#why .chip >> nth=0"))[0]
    )


def test_of_a_sum_the_reasons_are_told_in_words_with_their_rarity(tab, report, truth_workspace, tmp_path):
    tracks = simulate_clip("falling", 50, StreetSettings(seconds=SECONDS), ("falling",)).truth
    video = VideoSource(report.parent / "videos" / NASTY, "video", "falling")
    clip = ReportClip(ClipTracks(**{**vars(tracks), "provenance": {"key": "falling"}}), video)
    scorer = load_scorer(truth_workspace / "model", ["scoring.by=sum", "scoring.tail=linear"])
    write(tmp_path / "page", [clip], scorer, videos="none")
    for picture in (tmp_path / "page/data").rglob("*.jpg"):  # skeletons, and nothing of the colourful video
        assert np.ptp(cv2.imread(str(picture)).astype(int), axis=2).max() < 40
    tab.go(tmp_path / "page")
    tab("gepc.page.setStop(0)")
    tab("gepc.page.choose(gepc.page.events.reduce((a, b) => (a.score >= b.score ? a : b)))")
    reasons = tab.page.locator("#why .reasons li").all_inner_texts()
    assert 1 <= len(reasons) <= 3
    assert all(
        re.search(r"^(moves|holds|goes|does|makes) .*\s(not )?1 in [\d,]+$", text, re.S) for text in reasons
    )
    assert not tab.complaints


def test_an_event_says_what_thing_it_is_about_and_shows_it(opened):
    page = opened()
    page("gepc.page.setStop(0)")
    event = page("gepc.page.clip.events(gepc.page.threshold).reduce((a, b) => (a.score >= b.score ? a : b))")
    assert event["about"]["cause"] == "movement"
    made_up = """({start, end, peak}) => {
      const {clip, stage, report} = gepc.page;
      clip.causes = [[start, end, report.causes.indexOf('things'), 5, 2, 0.002, '1 in 500']];
      clip.peopled = null;
      const [car, dog] = [[20, 200, 60, 240], [100, 200, 140, 240]];
      clip.things = () => [{id: 5, name: 'car', box: car}, {id: 6, name: 'dog', box: dog}];
      clip.people = () => [];
      gepc.page.setStop(0);
      gepc.page.choose(gepc.page.events.find((event) => event.peak === peak));
      stage.draw();
    }"""
    page(made_up, event)
    assert "car, unusual here" in page.text("#events [aria-current]")
    assert page.page.locator("#why .reasons li").all_inner_texts() == ["car, unusual here\n1 in 500"]
    assert "car 5" in page.text("#why")
    assert not page.page.locator("#why .chip").count()
    assert "car, unusual here" in page("(gepc.page.choose(gepc.page.selected), gepc.$('live').textContent)")
    assert page("gepc.page.selected.culprits.size") == 0
    red = """([x1, x2]) => {
      const {canvas, clip} = gepc.page.stage;
      const across = canvas.width / clip.video.size[0];
      const {data} = canvas.getContext('2d').getImageData(x1 * across, 0, (x2 - x1) * across, canvas.height);
      let count = 0;
      for (let i = 0; i < data.length; i += 4) count += data[i] > 180 && data[i + 1] < 80 && data[i + 3] > 200;
      return count;
    }"""
    assert page(red, [10, 80]) > 60
    assert page(red, [90, 150]) == 0
    page(axe_core())
    for scheme in ("light", "dark"):
        page.show(1366, 768, scheme)
        assert page(SERIOUS) == []


def axe_core() -> str:
    """The script of axe-core, as it is released."""
    from axe_playwright_python.base import AXE_SCRIPT

    return AXE_SCRIPT


SERIOUS = """async () => {
  const found = await axe.run({ resultTypes: ['violations'] });
  return found.violations.filter(({impact}) => ['serious', 'critical'].includes(impact))
    .map(({id, nodes}) => [id, nodes.length, nodes[0].html.slice(0, 120)]);
}"""


def test_every_window_shows_all_of_it_and_axe_finds_nothing_serious(opened):
    page = opened()
    page(axe_core())
    for width, height in ((390, 844), (1024, 768), (1366, 768), (1440, 900), (1920, 1080)):
        for scheme in ("light", "dark"):
            page.show(width, height, scheme)
            page.page.wait_for_timeout(50)
            where = f"{width}x{height}, {scheme}"
            assert page("document.documentElement.scrollWidth") <= width, where
            red, green, blue = page(
                "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
            )
            assert (red + green + blue > 600) == (scheme == "light"), where
            if width >= 1366:  # the curve, its axis too, without scrolling; and what it is for
                bottom = page("document.getElementById('curve').getBoundingClientRect().bottom")
                assert bottom <= height, where
                assert page("document.getElementById('right').getBoundingClientRect().bottom") <= height, (
                    where
                )
            if width == 390:  # in reach of a thumb, wherever the page is scrolled to
                page("scrollTo(0, 900)")
                box = page.page.locator("#right").bounding_box()
                assert height - 80 < box["y"] < box["y"] + box["height"] <= height, where
                assert box["height"] >= 44, where
                small = page(
                    """[...document.querySelectorAll('button')]
                      .filter((button) => button.offsetParent && button.getBoundingClientRect().height < 24).length"""
                )
                assert small == 0, where
                page("scrollTo(0, 0)")
            if width in (390, 1366):
                assert page(SERIOUS) == [], where
    page.press("?")
    assert page(SERIOUS) == []
    page.press("Escape")


def test_forced_colours_leave_what_is_chosen_marked_and_what_is_drawn_visible(opened):
    page = opened()
    page(axe_core())
    page.stop_with_events(1)
    page("gepc.page.choose(gepc.page.events[0])")
    page.page.click("#false")
    for scheme in ("light", "dark"):
        page.show(1366, 768, scheme, "active")
        page.wait("matchMedia('(forced-colors: active)').matches")
        colour = """([element, what]) => getComputedStyle(document.querySelector(element))[what]"""
        highlight, canvas = (
            page(
                """name => { const i = document.createElement('i'); document.body.append(i);
                  i.style.forcedColorAdjust = 'none'; i.style.color = name;
                  const found = getComputedStyle(i).color; i.remove(); return found; }""",
                name,
            )
            for name in ("Highlight", "Canvas")
        )
        for chosen in ("#videos [aria-current]", "#events [aria-current]", "#false"):
            assert page(colour, [chosen, "backgroundColor"]) == highlight, chosen
        assert page(colour, ["#videos li:last-child button", "backgroundColor"]) != highlight
        assert page(colour, ["#playhead", "backgroundColor"]) != canvas
        assert page(SERIOUS) == [], scheme
        page("gepc.page.stage.seek(0)")
        if not page("document.getElementById('stage').classList.contains('alarming')"):
            shown = "getComputedStyle(document.getElementById('stage'), '::after').display"
            assert page(shown) == "none"  # a border that is transparent elsewhere
        drawn = page(
            """() => { const c = document.getElementById('curve');
              const {data} = c.getContext('2d').getImageData(0, 0, c.width, c.height);
              return new Set(new Uint32Array(data.buffer)).size; }"""
        )
        assert drawn > 10


def test_what_hovers_over_the_curve_goes_with_its_video(opened):
    page = opened()
    box = page.page.locator("#curve").bounding_box()
    page.page.mouse.move(box["x"] + 300, box["y"] + 40)
    page.wait("!document.getElementById('tip').hidden")
    assert "08:15:0" in page.text("#tip")
    page.press("v")
    page.wait("!gepc.page.clip.video.clip.startsWith('falling')")
    assert not page.page.is_visible("#tip")


def test_lists_are_one_stop_of_the_tab_key_and_arrows_go_through_them(opened):
    page = opened()
    page("gepc.page.setStop(0)")
    for name in ("videos", "events"):
        stops = f"[...document.querySelectorAll('#{name} button')].filter((button) => button.tabIndex === 0)"
        assert page(f"{stops}.length") == 1
        page(f"{stops}[0].focus()")
        page.press("Home", "ArrowDown")
        at = f"[...document.querySelectorAll('#{name} button')].indexOf(document.activeElement)"
        assert page(at) == 1
        page.press("Tab")
        assert page(at) == -1
        page.press("Shift+Tab")
        assert page(at) == 1
    page.press("Enter")  # chooses the event, and stays on it
    assert page("gepc.page.selected.number") == 2
    assert page(at) == 1


def contrast(a: list[float], b: list[float]) -> float:
    def luminance(rgb):
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in rgb)]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_words_stand_out_from_their_background(opened):
    page = opened()
    colour = """name => {
      const probe = document.createElement('i');
      document.body.append(probe);
      probe.style.color = `var(--${name})`;
      const rgb = getComputedStyle(probe).color.match(/[\\d.]+/g).slice(0, 3).map(Number);
      probe.remove();
      return rgb;
    }"""
    pairs = (
        ("text", "panel"), ("muted", "panel"), ("muted", "raised"), ("alarm", "panel"), ("on-accent", "accent"),
        ("panel", "alarm"), ("good", "good-soft"), ("alarm", "bad-soft"), ("muted", "accent-soft"),
    )  # fmt: skip
    for scheme in ("light", "dark"):
        page.show(1400, 900, scheme)
        for ink, paper in pairs:
            assert contrast(page(colour, ink), page(colour, paper)) >= 4.5, (scheme, ink, paper)


def test_everything_can_be_reached_and_has_a_name(opened):
    page = opened()
    unnamed = page(
        """() => [...document.querySelectorAll('button, input, select, canvas[role], [tabindex="0"]')]
          .filter((e) => !e.getAttribute('aria-label') && !e.textContent.trim() && !e.labels?.length)
          .map((e) => e.outerHTML.slice(0, 80))"""
    )
    assert unnamed == []
    reached = set()
    for _ in range(40):
        page.page.keyboard.press("Tab")
        reached.add(page("document.activeElement.id || document.activeElement.closest('[id]')?.id"))
    wanted = {
        "videos",
        "play",
        "next",
        "previous",
        "curve",
        "threshold",
        "events",
        "right",
        "false",
        "unreviewed",
        "order",
        "help-open",
        "zoom-in",
        "speed",
    }
    assert wanted <= reached
    page.page.focus("#curve")
    before = page.now
    page.page.keyboard.press("ArrowRight")
    assert page.now != before
    assert "percentile" in page.page.get_attribute("#curve", "aria-valuetext")


def test_a_day_of_video_keeps_a_peak_of_one_frame_at_every_zoom(opened):
    page = opened()
    result = page(
        """() => {
          const frames = 24 * 3600 * 25;
          const scores = new Float32Array(frames);
          scores[1234567] = 9;
          let text = '';
          const bytes = new Uint8Array(scores.buffer);
          for (let i = 0; i < bytes.length; i += 32768) text += String.fromCharCode(...bytes.subarray(i, i + 32768));
          const video = {...gepc.page.report.videos[0], id: 'day', fps: 25, frames, seconds: frames / 25};
          const clip = new gepc.Clip(video, {score: btoa(text), worst: '', culprit_share: 0.1, not_judged: [],
            knots: [[0, 0], [frames - 1, (frames - 1) / 25]],
            lane_s: 0.5, lanes: [], cell_s: 2, cells: [], poses: {step: 2, samples: 250, joints: 17, pieces: []}});
          const seen = [];
          for (const columns of [90, 1000, 2000]) {
            const highs = [];
            const first = (i) => Math.floor(i * frames / columns);
            for (let i = 0; i < columns; i++) highs.push(clip.extremes(first(i), first(i + 1))[1]);
            seen.push([Math.max(...highs), highs.indexOf(9) === Math.floor(1234567 * columns / frames)]);
          }
          gepc.page.timeline.open(clip);
          gepc.page.timeline.draw();
          return {seen, frame: clip.frame(clip.time(1234567)), at: clip.time(1234567)};
        }"""
    )
    assert result == {"seen": [[9, True]] * 3, "frame": 1234567, "at": pytest.approx(1234567 / 25)}
    assert page.complaints == []


def test_damaged_data_is_said(tab, report, tmp_path):
    shutil.copytree(report, tmp_path / "copy")
    for clip in (tmp_path / "copy/data").glob("*/clip.js"):
        clip.write_text("")
    tab.page.goto((tmp_path / "copy/index.html").as_uri())
    tab.wait("!document.getElementById('notice').hidden")
    assert "missing or damaged" in tab.text("#notice")
    (tmp_path / "copy/data/report.js").unlink()
    tab.page.reload()
    tab.wait("!document.getElementById('notice').hidden")
    assert "data/report.js" in tab.text("#notice")


def test_the_command_writes_a_page_that_replaces_an_older_one(truth_workspace, cli, tmp_path):
    tracks = truth_workspace / "tracks" / "normal_0.npz"
    for _ in range(2):
        done = cli(
            "report", tracks, "--workspace", truth_workspace, "--out", tmp_path / "page", "--title", "T"
        )
        assert done.code == 0, done.err
        assert "index.html" in done.out
    assert sorted(p.name for p in (tmp_path / "page/data").iterdir() if p.is_file()) == ["report.js"]
    (tmp_path / "other").mkdir()
    (tmp_path / "other/index.html").write_text("mine")
    done = cli("report", tracks, "--workspace", truth_workspace, "--out", tmp_path / "other")
    assert done.code != 0
    assert "not of a report" in done.err
    assert (tmp_path / "other/index.html").read_text() == "mine"
