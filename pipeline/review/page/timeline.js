"use strict";
// The plot as something to act on: zoom, follow, seek, point at.

gepc.Timeline = class extends gepc.Plot {
  constructor({ seek, choosePerson }) {
    super();
    Object.assign(this, { seek, choosePerson });
    this.tip = gepc.$("tip");
    this.listen();
    new ResizeObserver(() => this.draw()).observe(this.curve);
  }

  open(clip) {
    this.clip = clip;
    this.selected = this.person = null;
    this.view = [clip.start, clip.start + clip.seconds];
    this.now = clip.start;
    this.tip.hidden = true; // it told of the video before
    this.curve.setAttribute("aria-valuemax", clip.seconds.toFixed(1));
  }

  // ---- zoom

  zoom(factor, around = this.now) {
    const [a, b] = this.view;
    const centre = around >= a && around <= b ? around : (a + b) / 2;
    const span = Math.max(1, Math.min(this.clip.seconds, (b - a) * factor));
    const share = (centre - a) / (b - a);
    this.setView(centre - share * span, centre + (1 - share) * span);
  }

  setView(from, to) {
    const [start, end] = [this.clip.start, this.clip.start + this.clip.seconds];
    const span = Math.min(Math.max(to - from, Math.min(1, this.clip.seconds)), this.clip.seconds);
    const first = Math.max(start, Math.min(end - span, from));
    this.view = [first, first + span];
    this.tip.hidden = true;
    this.draw();
  }

  all() {
    this.setView(-Infinity, Infinity);
  }

  // An event that would be a hair's breadth wide is worth a closer look.
  lookAt(event) {
    const span = this.view[1] - this.view[0];
    const wide = event.endS - event.startS;
    if (wide < span / 60 && span > 90) {
      const around = Math.max(60, 8 * wide);
      this.setView(event.peakS - around / 2, event.peakS + around / 2);
    } else if (event.startS < this.view[0] || event.endS > this.view[1]) {
      this.setView(event.peakS - span / 2, event.peakS + span / 2);
    }
  }

  follow(time) {
    const [a, b] = this.view;
    if (time < a || time > b) this.setView(time - (b - a) * 0.1, time + (b - a) * 0.9);
  }

  setNow(time, playing) {
    this.now = time;
    if (playing) this.follow(time);
    this.placePlayhead();
    const frame = this.clip.frame(time);
    this.curve.setAttribute("aria-valuenow", (time - this.clip.start).toFixed(1));
    const percentile = gepc.percentileText(gepc.percentile(this.clip.score[frame]));
    this.curve.setAttribute("aria-valuetext", `${gepc.clock(time, 1)}, percentile ${percentile}`);
  }

  // ---- pointer and wheel

  listen() {
    const along = (element, act) => {
      element.addEventListener("pointerdown", (event) => {
        if (event.button !== 0 || !this.clip) return;
        element.setPointerCapture(event.pointerId);
        act(event.offsetX, event, true);
      });
      element.addEventListener("pointermove", (event) => {
        if (element.hasPointerCapture(event.pointerId)) act(event.offsetX, event, false);
      });
    };
    along(this.curve, (x) => this.seek(this.timeAt(x)));
    along(this.lanes, (x, event, down) => {
      const lane = this.shownLanes?.[Math.floor(event.offsetY / gepc.Plot.laneHeight)];
      if (x > this.gutter) this.seek(this.timeAt(x));
      if (down && lane) this.choosePerson(lane.track);
    });
    let from = 0;
    along(this.overview, (x, _, down) => {
      const width = this.overview.clientWidth;
      const share = Math.max(0, Math.min(1, (x - this.gutter) / (width - this.gutter)));
      const time = this.clip.start + share * this.clip.seconds;
      if (down) from = time;
      const half = (this.view[1] - this.view[0]) / 2;
      if (Math.abs(time - from) > this.clip.seconds / 100) this.setView(Math.min(from, time), Math.max(from, time));
      else if (down && half < this.clip.seconds / 2) this.setView(time - half, time + half);
    });
    this.curve.addEventListener("pointermove", (event) => this.showTip(event.offsetX));
    this.curve.addEventListener("pointerleave", () => (this.tip.hidden = true));
    this.curve.addEventListener(
      "wheel",
      (event) => {
        if (!this.clip) return;
        const span = this.view[1] - this.view[0];
        if (event.ctrlKey || event.metaKey || event.altKey) {
          event.preventDefault();
          this.zoom(Math.exp(event.deltaY / 300), this.timeAt(event.offsetX));
        } else if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
          event.preventDefault();
          this.setView(this.view[0] + (event.deltaX / 800) * span, this.view[1] + (event.deltaX / 800) * span);
        }
      },
      { passive: false },
    );
  }

  showTip(x) {
    if (!this.clip || x < this.gutter) return;
    const time = this.timeAt(x);
    const next = this.timeAt(x + 1);
    const [first, stop] = [this.clip.frame(time), this.clip.frame(next)];
    const score = this.clip.extremes(first, Math.max(stop, first + 1))[1];
    const wall = gepc.wall(this.clip.video, time - this.clip.start);
    this.tip.textContent = `${gepc.clock(time, 1)}${wall && `   ${wall}`}   percentile ${gepc.percentileText(gepc.percentile(score))}   score ${score.toFixed(2)}`;
    this.tip.hidden = false;
    const room = this.curve.clientWidth - this.tip.offsetWidth - 4;
    this.tip.style.transform = `translateX(${Math.max(0, Math.min(room, x + 10))}px)`;
  }
};
