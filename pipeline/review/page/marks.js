"use strict";
// Your judgement of events: kept in this browser, saved as JSON or CSV.

gepc.Marks = class {
  static columns = ["video", "clip", "start_frame", "end_frame", "start_s", "end_s", "peak_s", "score", "percentile", "verdict"];

  static optional = ["score", "percentile"]; // pipeline/review/marks.py

  constructor(report) {
    this.key = `gepc-marks:${report.id}`;
    this.videos = report.videos;
    this.stored = true;
    this.marks = [];
    this.past = []; // what can be undone: the marks before, and what was done
    try {
      const kept = JSON.parse(localStorage.getItem(this.key) ?? "[]");
      const known = new Set(report.videos.map((video) => video.id));
      if (Array.isArray(kept)) this.marks = kept.filter((mark) => known.has(mark?.id));
    } catch {
      this.stored = false;
    }
  }

  keep() {
    try {
      localStorage.setItem(this.key, JSON.stringify(this.marks));
      this.stored = true;
    } catch {
      this.stored = false;
    }
  }

  // At another threshold an event begins and ends elsewhere, but a mark's peak still lies in it.
  static within(mark, video, event) {
    return mark.id === video.id && mark.peak_s >= event.startS - 1e-6 && mark.peak_s < event.endS + 1e-6;
  }

  verdict(video, event) {
    return this.marks.findLast((mark) => gepc.Marks.within(mark, video, event))?.verdict ?? null;
  }

  remember(did, video = null, peakS = null) {
    this.past.push({ marks: this.marks, did, video, peakS });
  }

  // Takes the last change back; returns what it was, or null.
  undo() {
    const last = this.past.pop() ?? null;
    if (last) {
      this.marks = last.marks;
      this.keep();
    }
    return last;
  }

  set(video, event, verdict) {
    const did = verdict === "right" ? "marked right" : verdict ? "marked a false alarm" : "mark taken back";
    this.remember(`event ${event.number} ${did}`, video, event.peakS);
    this.marks = this.marks.filter((mark) => !gepc.Marks.within(mark, video, event));
    const rounded = (value, digits) => Number(value.toFixed(digits));
    if (verdict) {
      this.marks.push({ // onto a new list: that of before can be undone to
        id: video.id,
        video: video.name,
        clip: video.clip,
        start_frame: event.start,
        end_frame: event.end,
        start_s: rounded(event.startS, 6),
        end_s: rounded(event.endS, 6),
        peak_s: rounded(event.peakS, 6),
        score: rounded(event.score, 6),
        percentile: rounded(event.percentile, 3),
        verdict,
      });
    }
    this.keep();
  }

  ofVideo(video) {
    return this.marks.filter((mark) => mark.id === video.id);
  }

  sorted() {
    const order = new Map(this.videos.map((video, index) => [video.id, index]));
    return [...this.marks].sort((a, b) => order.get(a.id) - order.get(b.id) || a.start_s - b.start_s);
  }

  json() {
    const marks = this.sorted().map((mark) => Object.fromEntries(gepc.Marks.columns.map((name) => [name, mark[name]])));
    return JSON.stringify({ format: "gepc-marks", version: 1, marks }, null, 1) + "\n";
  }

  csv() {
    const cell = (value) => {
      const text = String(value ?? "");
      const plain = typeof value === "string" && /^[=+\-@]/.test(text) ? `'${text}` : text; // no formula
      return /[",\r\n]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
    };
    const rows = this.sorted().map((mark) => gepc.Marks.columns.map((name) => cell(mark[name])));
    return [gepc.Marks.columns, ...rows].map((row) => row.join(",") + "\r\n").join("");
  }

  // Takes in what json() made, perhaps on another machine; marks of the same event are replaced.
  read(text) {
    const { format, version, marks } = JSON.parse(text);
    if (format !== "gepc-marks" || version !== 1 || !Array.isArray(marks)) throw new Error("no marks");
    this.remember("marks opened");
    let [taken, unknown] = [0, 0];
    const fits = (mark, name) => Number.isFinite(mark[name]) || (mark[name] == null && gepc.Marks.optional.includes(name));
    for (const mark of marks) {
      const same = this.videos.filter((video) => video.clip === mark?.clip);
      const video = same.find((one) => one.name === mark.video) ?? same[0];
      const numbers = video && gepc.Marks.columns.slice(2, -1).every((name) => fits(mark, name));
      if (!numbers || !["right", "false"].includes(mark.verdict)) {
        unknown++;
        continue;
      }
      const kept = Object.fromEntries(gepc.Marks.columns.map((name) => [name, mark[name]]));
      this.marks = this.marks.filter((old) => !gepc.Marks.within(old, video, { startS: mark.start_s, endS: mark.end_s }));
      this.marks = [...this.marks, { id: video.id, ...kept, video: video.name }];
      taken++;
    }
    this.keep();
    return { taken, unknown };
  }

  save(name, type, text) {
    const link = gepc.el("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }
};
