"use strict";
// The page as a whole: which video, which event, which threshold; keys; marks.

gepc.fail = (error) => {
  gepc.$("notice").textContent = error.message;
  gepc.$("notice").hidden = false;
};

gepc.Page = class {
  constructor(report) {
    this.report = report;
    this.marks = new gepc.Marks(report);
    this.videos = new gepc.Videos(report, this.marks, (video) => this.open(video));
    this.stop = report.usual;
    this.clip = null;
    this.events = [];
    this.selected = null;
    this.person = null;
    this.stage = new gepc.Stage((time) => this.showTime(time));
    this.timeline = new gepc.Timeline({ seek: (time) => this.stage.seek(time), choosePerson: (track) => this.choosePerson(track === this.person ? null : track) });
    this.timeline.verdictOf = (event) => this.marks.verdict(this.clip.video, event);
    this.inspector = new gepc.Inspector({ choose: (event) => this.choose(event), choosePerson: (track) => this.choosePerson(track) });
    this.describe();
    this.listen();
    this.readPlace();
    this.setStop(this.stop, false);
    this.showMarks();
    const wanted = report.videos.find((video) => video.id === this.place.get("v")) ?? this.videos.shown[0];
    if (wanted) this.open(wanted, this.place.has("t") ? Number(this.place.get("t")) : null);
    performance.mark("gepc-list");
  }

  get threshold() {
    return this.report.stops[this.stop];
  }

  // ---- what stays the same

  describe() {
    const { report } = this;
    const seconds = report.videos.reduce((sum, video) => sum + video.seconds, 0);
    document.title = report.title;
    gepc.$("title").textContent = report.title;
    gepc.$("worth").textContent = report.worth;
    gepc.$("worth").hidden = !report.worth;
    gepc.$("subtitle").textContent = `${gepc.plural(report.videos.length, "video")}, ${gepc.length(seconds)} · scored ${report.made.slice(0, 10)}`;
    document.body.classList.toggle("single", report.videos.length < 2 && !report.failed.length);
    gepc.$("videos-count").textContent = gepc.number(report.videos.length);
    gepc.$("filter").hidden = report.videos.length < 9;
    gepc.$("threshold").max = report.stops.length - 1;
    gepc.$("about").textContent = `gepc-pipeline ${report.program} · score by ${report.scoring.by}, ${report.scoring.frames}, smoothed over ${report.scoring.smoothing_s} s · calibrated on ${gepc.length(report.reference.seconds)} of held-out normal video · alarms up to ${report.events.merge_gap_s} s apart are one event, of ${report.events.min_s} s at least`;
    if (report.failed.length) {
      gepc.$("failed").hidden = false;
      gepc.$("failed").querySelector("summary").textContent = `${gepc.plural(report.failed.length, "video")} not used`;
      gepc.$("failed").querySelector("ul").append(...report.failed.map(([name, why]) => gepc.el("li", {}, gepc.el("b", {}, name), " ", why)));
    }
    if (!report.videos.length) gepc.fail(new Error("None of the videos could be used."));
  }

  // ---- threshold

  setStop(stop, tell = true) {
    this.stop = Math.max(0, Math.min(this.report.stops.length - 1, stop));
    const { report } = this;
    const slider = gepc.$("threshold");
    slider.value = this.stop;
    const above = report.normal_above[this.stop];
    const share = 100 * (1 - above / report.reference.frames);
    const hours = report.reference.seconds / 3600;
    const found = report.false_alarms[this.stop];
    const rate = (perHour) => (perHour >= 10 ? gepc.number(Math.round(perHour)) : perHour.toFixed(1));
    const all = report.videos.reduce((sum, video) => sum + video.counts[this.stop], 0);
    gepc.$("fact-threshold").textContent = above ? `${gepc.percent(share)} of normal` : "above all normal";
    // With no false alarm in h hours, more than 3 / h an hour are ruled out at 95 %.
    const enough = report.reference.seconds >= report.reference.fewest_s;
    gepc.$("fact-false").textContent = !enough ? "–" : found ? `${rate(found / hours)} an hour` : `under ${rate(3 / hours)} an hour`;
    const note = enough ? "." : `, which is too little to say how many an hour: ${gepc.length(report.reference.fewest_s)} or more would tell.`;
    gepc.$("fact-note").textContent = `${found ? found : "None"} in ${gepc.length(report.reference.seconds)} of held-out normal video${note}`;
    gepc.$("usual").disabled = this.stop === report.usual;
    this.stage.threshold = this.timeline.threshold = this.threshold;
    this.showVideos();
    if (this.clip) this.findEvents();
    const here = this.clip ? `${gepc.number(this.events.length)} / ` : "";
    gepc.$("fact-events").textContent = here + gepc.number(all);
    slider.setAttribute("aria-valuetext", `${gepc.$("fact-threshold").textContent}; ${gepc.plural(all, "event")} in all videos; ${gepc.$("fact-false").textContent} false alarms`);
    if (tell) this.keepPlace();
  }

  findEvents() {
    const before = this.selected;
    this.events = this.clip.events(this.threshold);
    this.selected = before && (this.events.find((event) => before.peakS >= event.startS && before.peakS < event.endS) ?? null);
    this.showEvents();
  }

  // ---- videos

  showVideos() {
    this.videos.show(this.stop);
    const [left, all] = this.videos.toReview;
    const text = !all ? "No events to review" : left ? `${gepc.number(left)} of ${gepc.plural(all, "event")} left to review` : `All ${gepc.plural(all, "event")} reviewed`;
    gepc.$("left").textContent = text;
    gepc.$("left-number").textContent = left ? gepc.number(left) : "";
    gepc.$("unreviewed").disabled = !left;
  }

  async open(video, time = null) {
    this.opening = video;
    this.videos.choose(video);
    let clip;
    try {
      clip = await gepc.Clip.open(video);
    } catch (error) {
      gepc.fail(error);
      return;
    }
    if (this.opening !== video) return; // another one was chosen meanwhile
    this.clip = clip;
    this.selected = this.person = null;
    gepc.$("video-name").textContent = video.name;
    const told = { name: "its name says", metadata: "its metadata say; some cameras write when they stopped" }[video.recorded.told_by] || "its metadata say";
    const when = [video.recorded.camera, gepc.wall(video, 0, true)].filter(Boolean).join(", ");
    gepc.$("video-facts").textContent = [when, gepc.clock(video.seconds), video.size.join(" × "), `${Number(video.fps.toFixed(2))} frames/s`].filter(Boolean).join(" · ");
    gepc.$("video-facts").title = when ? `Recorded as ${told}` : "";
    const learned = "The model has learned from this video: it is used to it, and its scores say little here.";
    gepc.$("remarks").replaceChildren(...[...(video.learned ? [learned] : []), ...video.remarks].map((text) => gepc.el("li", {}, text)));
    this.timeline.threshold = this.threshold;
    this.timeline.open(clip);
    this.stage.open(clip);
    clip.arrived = () => {
      this.stage.draw();
      this.inspector.drawFigures();
    };
    this.setStop(this.stop, false);
    const worst = this.events.reduce((a, b) => (a && a.score >= b.score ? a : b), null);
    if (time !== null && Number.isFinite(time)) this.stage.seek(time);
    else if (worst) this.choose(worst, { closer: false, tell: false }); // first of all, the whole video
    performance.mark("gepc-curve");
    document.body.classList.add("ready");
  }

  nextVideo(way) {
    const { shown } = this.videos;
    const video = shown[(shown.indexOf(this.clip?.video) + way + shown.length) % shown.length];
    if (video && video !== this.clip?.video) this.open(video).then(() => this.say(`${video.name}: ${gepc.plural(this.events.length, "event")}`));
  }

  // ---- events

  choose(event, { closer = true, tell = true, video = false } = {}) {
    this.selected = event;
    this.choosePersonQuietly(null);
    if (closer) this.timeline.lookAt(event);
    this.stage.seek(event.peakS);
    this.showEvents();
    const where = video ? `${this.clip.video.name}: ` : "";
    if (tell) this.say(`${where}Event ${event.number} of ${this.events.length}, ${gepc.clock(event.startS)}, percentile ${gepc.percentileText(event.percentile)}${event.about.text && `: ${event.about.text}`}`);
  }

  // From event to event, and on into the next video that has some; round at the end of the list.
  nextEvent(way) {
    const now = this.stage.now;
    const at = this.events.indexOf(this.selected);
    const inside = at >= 0 && Math.abs(now - this.selected.peakS) < 0.5;
    const next = inside
      ? this.events[at + way]
      : way > 0
        ? this.events.find((event) => event.peakS > now + 0.01)
        : this.events.findLast((event) => event.peakS < now - 0.01);
    if (next) return this.choose(next);
    const video = this.videos.after(this.clip.video, way, (one) => one.counts[this.stop] > 0);
    return video ? this.chooseIn(video, () => this.events.at(way > 0 ? 0 : -1)) : this.say("No events at this threshold");
  }

  // The next event without a mark: of this video as long as it has one.
  nextUnreviewed() {
    const { video } = this.clip;
    const open = video.learned ? [] : this.events.filter((event) => event !== this.selected && !this.marks.verdict(video, event));
    const next = open.find((event) => event.peakS > this.stage.now + 0.01) ?? open[0];
    if (next) return this.choose(next);
    const other = this.videos.after(video, 1, (one) => this.videos.left(one) > 0);
    if (!other) return this.say("All events are reviewed");
    return this.chooseIn(other, () => this.events.find((event) => !this.marks.verdict(other, event)));
  }

  // Chooses an event of a video, which is opened if need be.
  async chooseIn(video, which) {
    if (this.clip.video !== video) await this.open(video);
    const event = this.clip.video === video ? which() : null;
    if (event) this.choose(event, { video: true });
  }

  showEvents() {
    const verdictOf = (event) => this.marks.verdict(this.clip.video, event);
    this.timeline.events = this.events;
    this.timeline.selected = this.stage.event = this.selected;
    this.timeline.draw();
    this.stage.draw();
    this.inspector.list(this.clip, this.events, this.selected, verdictOf);
    this.inspector.explain(this.clip, this.selected, this.selected && verdictOf(this.selected), this.person);
  }

  choosePersonQuietly(track) {
    this.person = this.stage.selected = this.timeline.person = track;
  }

  choosePerson(track) {
    this.choosePersonQuietly(track);
    this.showEvents();
    this.say(track === null ? "Everybody" : `Person ${track}`);
  }

  // ---- marks

  mark(verdict) {
    if (!this.selected) return this.say("No event chosen");
    const { video } = this.clip;
    const same = this.marks.verdict(video, this.selected) === verdict;
    this.marks.set(video, this.selected, same ? null : verdict);
    this.showMarks();
    this.showEvents();
    this.say(`Event ${this.selected.number}: ${same ? "mark taken back" : verdict === "right" ? "right" : "false alarm"}; ${gepc.$("left").textContent}`);
    if (!this.marks.stored) gepc.fail(new Error("This browser keeps no data of this page: save the marks before you close it."));
  }

  // Takes the last mark back, and shows the event that it was of.
  undo() {
    const last = this.marks.undo();
    if (!last) return this.say("Nothing to undo");
    this.showMarks();
    this.showEvents();
    const said = `Undone: ${last.did}`;
    if (!last.video) return this.say(said);
    return this.chooseIn(last.video, () => this.events.find((event) => last.peakS >= event.startS && last.peakS < event.endS)).then(() => this.say(said));
  }

  async openMarks(input) {
    const file = input.files[0];
    input.value = ""; // so that the same file can be opened again
    if (!file) return;
    try {
      const { taken, unknown } = this.marks.read(await file.text());
      this.showMarks();
      if (this.clip) this.showEvents();
      this.say(`${gepc.plural(taken, "mark")} taken` + (unknown ? `, ${gepc.number(unknown)} of videos that are not here` : ""));
    } catch {
      gepc.fail(new Error(`${file.name} holds no marks: expected the JSON that this page saves`));
    }
  }

  showMarks() {
    const count = this.marks.marks.length;
    gepc.$("marks-count").textContent = count ? gepc.plural(count, "mark") : "No marks yet";
    for (const id of ["save-json", "save-csv"]) gepc.$(id).disabled = !count;
    gepc.$("undo").disabled = !this.marks.past.length;
    this.showVideos();
  }

  // ---- time

  showTime(time) {
    if (!this.clip) return;
    const score = this.clip.score[this.clip.frame(time)];
    const wall = gepc.wall(this.clip.video, time - this.clip.start);
    gepc.$("clock").replaceChildren(`${gepc.clock(time, 1)} / ${gepc.clock(this.clip.seconds)}`, ...(wall ? [" ", gepc.el("small", {}, wall)] : []));
    gepc.$("level").textContent = score === undefined ? "" : `percentile ${gepc.percentileText(gepc.percentile(score))}`;
    gepc.$("level").classList.toggle("high", score > this.threshold);
    this.timeline.setNow(time, this.stage.playing);
    if (!this.stage.playing) this.keepPlace();
  }

  // The place is kept in the address, so that reloading, or a link, comes back to it.
  keepPlace() {
    clearTimeout(this.keeping);
    this.keeping = setTimeout(() => {
      if (!this.clip) return;
      const place = new URLSearchParams({ v: this.clip.video.id, t: this.stage.now.toFixed(2) });
      if (this.stop !== this.report.usual) place.set("k", this.stop);
      try {
        history.replaceState(null, "", `#${place}`);
      } catch {
        // some browsers refuse for pages from a disk
      }
    }, 300);
  }

  readPlace() {
    this.place = new URLSearchParams(location.hash.slice(1));
    const stop = Number(this.place.get("k"));
    if (this.place.has("k") && Number.isInteger(stop) && stop >= 0 && stop < this.report.stops.length) this.stop = stop;
  }

  say(text) {
    gepc.$("live").textContent = text;
  }

  // ---- listening

  listen() {
    const on = (id, type, act) => gepc.$(id).addEventListener(type, act);
    on("threshold", "input", (event) => this.setStop(Number(event.target.value)));
    on("usual", "click", () => this.setStop(this.report.usual));
    on("filter", "input", () => this.showVideos());
    on("order", "change", () => this.showEvents());
    on("play", "click", () => this.stage.toggle());
    on("next", "click", () => this.nextEvent(1));
    on("previous", "click", () => this.nextEvent(-1));
    on("skeletons", "change", () => this.stage.draw());
    on("speed", "change", (event) => this.stage.setRate(Number(event.target.value)));
    on("full", "click", () => this.fullScreen());
    on("zoom-in", "click", () => this.timeline.zoom(0.5));
    on("zoom-out", "click", () => this.timeline.zoom(2));
    on("zoom-all", "click", () => this.timeline.all());
    on("undo", "click", () => this.undo());
    on("unreviewed", "click", () => this.nextUnreviewed());
    on("right", "click", () => this.mark("right"));
    on("false", "click", () => this.mark("false"));
    on("save-json", "click", () => this.marks.save("marks.json", "application/json", this.marks.json()));
    on("save-csv", "click", () => this.marks.save("marks.csv", "text/csv", this.marks.csv()));
    on("open-marks", "click", () => gepc.$("marks-file").click());
    on("marks-file", "change", (event) => this.openMarks(event.target));
    on("help-open", "click", () => this.keys.help());
    for (const scheme of ["(prefers-color-scheme: dark)", "(forced-colors: active)"]) {
      matchMedia(scheme).addEventListener("change", () => {
        gepc.colours = {};
        this.timeline.draw();
        if (this.clip) this.showEvents();
      });
    }
    this.keys = new gepc.Keys(this);
  }

  fullScreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else gepc.$("stage").requestFullscreen?.();
  }
};

if (gepc.data.report) gepc.page = new gepc.Page(gepc.data.report);
else gepc.fail(new Error("data/report.js is missing or damaged: make the report again, or copy the whole folder"));
