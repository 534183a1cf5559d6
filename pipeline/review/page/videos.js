"use strict";
// The list of videos, in the order in which they are reviewed, and how much of each is left to review.

gepc.Videos = class {
  constructor(report, marks, open) {
    Object.assign(this, { report, marks });
    this.shown = report.videos;
    const high = Math.max(...report.videos.map((video) => video.score), report.reference.score.at(-1));
    this.rows = new Map(report.videos.map((video) => [video.id, this.row(video, high, open)]));
    this.peaks = new Map();
    gepc.roving(gepc.$("videos"));
  }

  // One video in the list; its curve in small, on the same scale for all.
  row(video, high, open) {
    const { el } = gepc;
    const low = this.report.reference.score[0];
    const values = gepc.unpack(video.spark, Float32Array);
    const points = [...values].map((value, i) => `${((i / Math.max(values.length - 1, 1)) * 100).toFixed(1)} ${(19 - 18 * Math.max(0, (value - low) / (high - low))).toFixed(1)}`);
    const [first, ...rest] = points.length ? points : ["0 19"];
    const line = [first, ...rest, ...(rest.length ? [] : ["100 19"])].join("L");
    const spark = gepc.svg("svg", { viewBox: "0 0 100 20", preserveAspectRatio: "none", class: "spark", "aria-hidden": "true" });
    spark.append(gepc.svg("path", { class: "area", d: `M0 20L${line}L100 20z` }), gepc.svg("path", { class: "line", d: `M${line}` }));
    const [count, badge, facts] = [el("span", { class: "sr" }), el("span", { class: "badge", "aria-hidden": "true" }), el("small")];
    const { camera } = video.recorded;
    const when = [camera, gepc.wall(video, 0, true)].filter(Boolean);
    const button = el(
      "button",
      { type: "button", tabindex: "-1", onclick: () => open(video) },
      gepc.thumbnail(video, video.picture),
      el("span", { class: "name", title: video.path || video.name }, ...gepc.breakable(video.name)),
      badge,
      count,
      el("span", { class: "lines" }, ...when.map((line) => el("small", {}, line)), facts),
      spark,
    );
    return { video, button, badge, count, facts, item: el("li", {}, button) };
  }

  // Worst first; what the model has learned from comes last, since its scores say little there.
  show(stop) {
    this.stop = stop;
    const worst = (video) => video.worst[stop] ?? -Infinity;
    const ranked = [...this.report.videos].sort((a, b) => a.learned - b.learned || worst(b) - worst(a) || b.score - a.score);
    const wanted = gepc.$("filter").value.trim().toLowerCase();
    this.shown = ranked.filter((video) => `${video.name} ${video.recorded.camera}`.toLowerCase().includes(wanted));
    for (const video of ranked) {
      const row = this.rows.get(video.id);
      const [count, left] = [video.counts[stop], this.left(video)];
      const done = count > 0 && !left && !video.learned;
      row.badge.textContent = done ? "✓" : count ? gepc.number(count) : "–";
      row.count.textContent = done ? `${gepc.plural(count, "event")}, all reviewed` : gepc.plural(count, "event");
      row.badge.classList.toggle("some", left > 0);
      row.badge.classList.toggle("done", done);
      const said = video.learned ? "the model has learned from it" : left && left < count ? `${gepc.number(left)} left` : "";
      row.facts.textContent = [gepc.length(video.seconds), gepc.plural(video.people, "person", "people"), said].filter(Boolean).join(" · ");
    }
    const items = this.shown.map((video) => this.rows.get(video.id).item);
    const list = gepc.$("videos");
    if (items.length !== list.children.length || items.some((item, i) => item !== list.children[i])) list.replaceChildren(...items);
    gepc.oneStop(list);
  }

  choose(video) {
    for (const row of this.rows.values()) {
      if (row.video === video) row.button.setAttribute("aria-current", "true");
      else row.button.removeAttribute("aria-current");
    }
    const list = gepc.$("videos");
    gepc.oneStop(list);
    if (this.rows.get(video.id).item.isConnected) gepc.scrollWithin(list, this.rows.get(video.id).item);
  }

  // Events without a mark; none is asked for of a video that the model has learned from.
  left(video) {
    if (video.learned) return 0;
    const marks = this.marks.ofVideo(video);
    if (!marks.length) return video.counts[this.stop];
    if (!this.peaks.has(video.id)) this.peaks.set(video.id, new gepc.Peaks(video.peaks));
    return video.counts[this.stop] - this.peaks.get(video.id).marked(this.stop, marks);
  }

  // How many events are left in all videos, and how many there are.
  get toReview() {
    const videos = this.report.videos.filter((video) => !video.learned);
    const sum = (each) => videos.reduce((total, video) => total + each(video), 0);
    return [sum((video) => this.left(video)), sum((video) => video.counts[this.stop])];
  }

  // The next video in the list, round at its end, that is wanted; the one given comes last.
  after(video, way, wanted) {
    const list = this.shown.filter((one) => one === video || !one.learned);
    const at = Math.max(0, list.indexOf(video));
    for (let i = 1; i <= list.length; i++) {
      const next = list[(at + way * i + i * list.length) % list.length];
      if (wanted(next)) return next;
    }
    return null;
  }
};

// The small picture of a frame, where the report has one.
gepc.thumbnail = (video, frame) => {
  if (!video.pictures.includes(frame)) return gepc.el("span", { class: "thumb none", "aria-hidden": "true" });
  const image = gepc.el("img", { class: "thumb", alt: "", width: "192", height: "108", loading: "lazy", decoding: "async", src: `data/${video.id}/${frame}.jpg` });
  image.addEventListener("error", () => image.replaceWith(gepc.el("span", { class: "thumb none", "aria-hidden": "true" })), { once: true });
  return image;
};

// A list of buttons is one stop of the Tab key; arrows, Home and End go through it.
gepc.roving = (list) => {
  list.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    const buttons = [...list.querySelectorAll("button")];
    const at = buttons.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowRight: at + 1, ArrowUp: at - 1, ArrowLeft: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    buttons[Math.max(0, Math.min(buttons.length - 1, to))].focus();
  });
  list.addEventListener("focusin", () => gepc.oneStop(list));
};

gepc.oneStop = (list) => {
  const stop = list.contains(document.activeElement) ? document.activeElement : (list.querySelector("[aria-current]") ?? list.querySelector("button"));
  for (const button of list.querySelectorAll("button")) button.tabIndex = button === stop ? 0 : -1;
};

// Scrolls a list to one of its rows, and never the page.
gepc.scrollWithin = (list, row) => {
  const [box, own] = [list.getBoundingClientRect(), row.getBoundingClientRect()];
  if (own.top < box.top) list.scrollTop -= box.top - own.top + 8;
  else if (own.bottom > box.bottom) list.scrollTop += own.bottom - box.bottom + 8;
  if (own.left < box.left) list.scrollLeft -= box.left - own.left + 8;
  else if (own.right > box.right) list.scrollLeft += own.right - box.right + 8;
};
