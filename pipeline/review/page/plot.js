"use strict";
// Drawing the curve with threshold, alarms and events; the whole video in small; a lane for each person.

gepc.Plot = class {
  static lanesShown = 10;
  static laneHeight = 18;

  constructor() {
    this.curve = gepc.$("curve");
    this.overview = gepc.$("overview");
    this.lanes = gepc.$("lanes");
    this.playhead = gepc.$("playhead");
    this.clip = null;
    this.view = [0, 1]; // seconds
    this.events = [];
    this.selected = null; // event
    this.person = null; // track id
    this.now = 0;
    this.threshold = Infinity;
    this.verdictOf = () => null; // of an event
  }

  // ---- places: a gutter on the left for labels, the rest is time

  get gutter() {
    return this.curve.clientWidth < 480 ? 40 : 46;
  }

  x(time) {
    return this.gutter + ((time - this.view[0]) / (this.view[1] - this.view[0])) * (this.curve.clientWidth - this.gutter);
  }

  timeAt(x) {
    const share = (x - this.gutter) / (this.curve.clientWidth - this.gutter);
    return this.view[0] + Math.max(0, Math.min(1, share)) * (this.view[1] - this.view[0]);
  }

  // Scores with a long tail are drawn by their logarithm.
  bend(score) {
    const bend = gepc.data.report.bend;
    return bend ? Math.asinh((score - bend[0]) / bend[1]) : score;
  }

  scale(height, margin = 0) {
    const { reference } = gepc.data.report;
    const [low, high] = this.clip.extremes(0, this.clip.score.length);
    const bottom = this.bend(Math.min(reference.score[0], low));
    const top = this.bend(Math.max(this.threshold, reference.score.at(-1), high));
    return (score) => height - 1 - ((this.bend(score) - bottom) / Math.max(top - bottom, 1e-9)) * (height - margin - 4);
  }

  // ---- drawing

  draw() {
    if (!this.clip || !this.curve.clientWidth) return;
    this.drawCurve();
    this.drawOverview();
    this.drawLanes();
    this.placePlayhead();
  }

  placePlayhead() {
    const inside = this.now >= this.view[0] && this.now <= this.view[1];
    this.playhead.hidden = !inside;
    if (inside) this.playhead.style.transform = `translateX(${this.x(this.now).toFixed(1)}px)`;
  }

  drawCurve() {
    const context = gepc.context(this.curve);
    const [width, full] = [this.curve.clientWidth, this.curve.clientHeight];
    const height = full - 22; // the time axis is below
    const y = this.scale(height, 20);
    context.font = "11px system-ui, sans-serif";
    this.drawLevels(context, width, y);
    context.save();
    context.beginPath();
    context.rect(this.gutter, 0, width - this.gutter, full);
    context.clip();
    this.drawNotJudged(context, height);
    const inView = this.events.filter((event) => event.endS >= this.view[0] && event.startS <= this.view[1]);
    for (const event of inView) {
      const chosen = event === this.selected;
      const [x1, x2] = [this.x(event.startS), Math.max(this.x(event.endS), this.x(event.startS) + 1.5)];
      context.fillStyle = gepc.colour(chosen ? "alarm-band-chosen" : "alarm-band");
      context.fillRect(x1, 0, x2 - x1, height);
    }
    this.drawScore(context, this.gutter, width, height, y, this.view);
    const at = Math.round(y(this.threshold)) + 0.5;
    context.strokeStyle = gepc.colour("alarm");
    context.lineWidth = 1;
    context.setLineDash([5, 4]);
    context.beginPath();
    context.moveTo(this.gutter, at);
    context.lineTo(width, at);
    context.stroke();
    context.setLineDash([]);
    context.fillStyle = gepc.colour("alarm");
    context.textAlign = "right";
    context.lineWidth = 3; // of a border that keeps the word readable on the curve
    context.strokeStyle = gepc.colour("panel");
    context.strokeText("alarm", width - 4, at - 7);
    context.fillText("alarm", width - 4, at - 7);
    this.drawNumbers(context, inView, y);
    context.restore();
    this.drawTimes(context, width, height);
  }

  // Where people are seen, but too shortly or too little to be judged: the curve there says nothing.
  drawNotJudged(context, height) {
    context.textAlign = "center";
    for (const [first, stop] of this.clip.notJudged) {
      const [x1, x2] = [this.x(this.clip.time(first)), this.x(this.clip.time(stop))];
      if (x2 < this.gutter || x1 > this.curve.clientWidth) continue;
      context.fillStyle = gepc.colour("grid");
      context.fillRect(x1, 0, Math.max(x2 - x1, 1), height);
      context.fillStyle = gepc.colour("muted");
      if (x2 - x1 > 70) context.fillText("not judged", (x1 + x2) / 2, 12);
    }
  }

  // What normal video looks like, at the left: its middle, its upper end, and its highest score.
  drawLevels(context, width, y) {
    const { score, percentile } = gepc.data.report.reference;
    context.textAlign = "right";
    context.textBaseline = "middle";
    const taken = [];
    for (const level of [100, 50, 90, 99, 10]) {
      const at = y(level === 100 ? score.at(-1) : gepc.interpolate(percentile, score, level));
      if (taken.some((other) => Math.abs(other - at) < 13)) continue;
      taken.push(at);
      context.fillStyle = gepc.colour("grid");
      context.fillRect(this.gutter, Math.round(at), width - this.gutter, 1);
      context.fillStyle = gepc.colour("muted");
      context.fillText(`${level} %`, this.gutter - 6, at);
    }
  }

  // The highest and lowest score of each pixel's frames, red above the threshold.
  drawScore(context, left, width, height, y, view) {
    const columns = Math.max(1, Math.round(width - left));
    const frames = Array.from({ length: columns + 1 }, (_, i) => this.clip.frame(view[0] + (i / columns) * (view[1] - view[0])));
    const line = new Path2D();
    const area = new Path2D();
    area.moveTo(left, height);
    let previous = null;
    for (let i = 0; i < columns; i++) {
      if (frames[i] === previous && i < columns - 1) continue; // zoomed in: a frame is wider than a pixel
      previous = frames[i];
      const [low, high] = this.clip.extremes(frames[i], Math.max(frames[i + 1], frames[i] + 1));
      const at = left + i;
      line.lineTo(at, y(high));
      area.lineTo(at, y(high));
      if (high !== low) line.lineTo(at, y(low));
    }
    area.lineTo(width, height);
    area.closePath();
    const split = y(this.threshold);
    for (const [name, top, tall] of [["curve", split, height - split + 2], ["alarm", 0, split]]) {
      context.save();
      context.beginPath();
      context.rect(left, top, width - left, Math.max(0, tall));
      context.clip();
      context.fillStyle = gepc.colour(`${name}-fill`);
      context.fill(area);
      context.strokeStyle = gepc.colour(name);
      context.lineWidth = 1.5;
      context.lineJoin = "round";
      context.stroke(line);
      context.restore();
    }
  }

  // Numbers at the peaks, the highest ones first where there is not room for all; judged ones say how.
  drawNumbers(context, events, y) {
    const placed = [];
    context.font = "600 11px system-ui, sans-serif";
    context.textAlign = "center";
    context.textBaseline = "middle";
    const order = [...events].sort((a, b) => (b === this.selected) - (a === this.selected) || b.score - a.score);
    for (const event of order.slice(0, 400)) {
      const verdict = this.verdictOf(event);
      const text = String(event.number) + (verdict === "right" ? " ✓" : verdict === "false" ? " ✕" : "");
      const wide = Math.max(18, context.measureText(text).width + 10);
      const right = this.curve.clientWidth - wide / 2 - 1;
      const aside = event === this.selected ? wide / 2 + 4 : 0; // where the playhead does not cross it
      const x = Math.max(this.gutter + wide / 2, Math.min(right, this.x(event.peakS) + aside));
      if (placed.some((one) => Math.abs(one.x - x) < (one.wide + wide) / 2 + 2)) continue;
      placed.push({ x, wide });
      const top = Math.max(1, y(event.score) - 21);
      context.fillStyle = gepc.colour(event === this.selected ? "text" : verdict === "right" ? "good" : verdict ? "muted" : "alarm");
      context.beginPath();
      context.roundRect(x - wide / 2, top, wide, 17, 8.5);
      context.fill();
      context.fillStyle = gepc.colour("panel");
      context.fillText(text, x, top + 9);
    }
  }

  drawTimes(context, width, height) {
    const span = this.view[1] - this.view[0];
    const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200];
    const most = Math.max(2, (width - this.gutter) / 70);
    const step = steps.find((one) => span / one <= most) ?? 86400;
    context.font = "11px system-ui, sans-serif";
    context.textBaseline = "alphabetic";
    for (let tick = Math.ceil(this.view[0] / step - 1e-9); tick * step <= this.view[1] + 1e-9; tick++) {
      const x = this.x(tick * step);
      context.fillStyle = gepc.colour("grid");
      context.fillRect(Math.round(x), height, 1, 5);
      context.fillStyle = gepc.colour("muted");
      context.textAlign = x < this.gutter + 16 ? "left" : x > width - 16 ? "right" : "center";
      context.fillText(gepc.clock(tick * step, step < 1 ? 1 : 0), x, height + 17);
    }
  }

  drawOverview() {
    const [start, end] = [this.clip.start, this.clip.start + this.clip.seconds];
    const whole = this.view[1] - this.view[0] > 0.999 * (end - start);
    this.overview.classList.toggle("idle", whole);
    const context = gepc.context(this.overview);
    const [width, height] = [this.overview.clientWidth, this.overview.clientHeight];
    this.drawScore(context, this.gutter, width, height, this.scale(height), [start, end]);
    if (whole) return;
    const x = (time) => this.gutter + ((time - start) / (end - start)) * (width - this.gutter);
    const [x1, x2] = this.view.map(x);
    context.fillStyle = gepc.colour("veil");
    context.fillRect(this.gutter, 0, x1 - this.gutter, height);
    context.fillRect(x2, 0, width - x2, height);
    context.strokeStyle = gepc.colour("accent");
    context.lineWidth = 1.5;
    context.strokeRect(x1 + 0.75, 0.75, Math.max(3, x2 - x1 - 1.5), height - 1.5);
  }

  // The people of the view who move most unusually.
  lanesInView() {
    const seconds = this.clip.laneSeconds;
    const [first, stop] = [Math.floor(this.view[0] / seconds), Math.ceil(this.view[1] / seconds)];
    const found = [];
    for (const lane of this.clip.lanes) {
      const [a, b] = [Math.max(0, first - lane.first), Math.min(lane.levels.length, stop - lane.first)];
      let worst = -1;
      for (let i = a; i < b; i++) if (lane.levels[i] > worst) worst = lane.levels[i];
      if (worst >= 0) found.push({ ...lane, worst });
    }
    const rank = (lane) => (lane.track === this.person ? 256 : lane.worst);
    return found.sort((a, b) => rank(b) - rank(a) || a.track - b.track);
  }

  drawLanes() {
    const all = this.lanesInView();
    const shown = (this.shownLanes = all.slice(0, gepc.Plot.lanesShown));
    const tall = gepc.Plot.laneHeight;
    this.lanes.style.height = `${Math.max(1, shown.length) * tall}px`;
    gepc.$("lanes-note").textContent = all.length > shown.length ? `the ${shown.length} most unusual of ${gepc.number(all.length)} in view` : all.length ? `${all.length} in view` : "nobody in view";
    const context = gepc.context(this.lanes);
    const width = this.lanes.clientWidth;
    context.font = "11px system-ui, sans-serif";
    context.textBaseline = "middle";
    context.textAlign = "right";
    shown.forEach((lane, row) => {
      const top = row * tall;
      const chosen = lane.track === this.person;
      context.fillStyle = gepc.colour(chosen ? "text" : "muted");
      context.font = `${chosen ? 700 : 400} 11px system-ui, sans-serif`;
      context.fillText(String(lane.track), this.gutter - 6, top + tall / 2);
      context.fillStyle = gepc.colour("lane");
      context.fillRect(this.gutter, top + 2, width - this.gutter, tall - 4);
      this.drawLane(context, lane, top + 2, tall - 4, width);
    });
    const names = shown.slice(0, 5).map((lane) => `person ${lane.track}`).join(", ");
    this.lanes.setAttribute("aria-label", names ? `How unusual each person is over time; the most unusual first: ${names}` : "Nobody in view");
  }

  drawLane(context, lane, top, tall, width) {
    const seconds = this.clip.laneSeconds;
    const place = (i) => Math.max(this.gutter, Math.min(width, Math.round(this.x((lane.first + i) * seconds))));
    const pixel = Math.max(1, Math.floor((this.view[1] - this.view[0]) / seconds / (width - this.gutter)));
    const first = Math.max(0, Math.floor(this.view[0] / seconds) - lane.first);
    const stop = Math.min(lane.levels.length, Math.ceil(this.view[1] / seconds) - lane.first);
    for (let i = first; i < stop; i += pixel) {
      let level = 0;
      for (let k = i; k < Math.min(i + pixel, stop); k++) level = Math.max(level, lane.levels[k]);
      if (!level) continue;
      context.fillStyle = gepc.heats[level];
      context.fillRect(place(i), top, Math.max(place(Math.min(i + pixel, stop)) - place(i), 1), tall);
    }
  }
};
