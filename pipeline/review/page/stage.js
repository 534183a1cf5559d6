"use strict";
// The video with its people and things drawn over it. Without a video (or with one that cannot be played) a clock stands in.

gepc.Stage = class {
  static rare = 242; // the level of the 95th percentile: from here on a box is thicker, whatever its colour
  static meant = "rgb(235 40 40)"; // a thing, or who stays, that the chosen event is about

  constructor(changed) {
    this.changed = changed; // called with the time whenever it changes
    this.video = gepc.$("video");
    this.canvas = gepc.$("people");
    this.frameElement = gepc.$("stage");
    this.clip = null;
    this.selected = null; // track id
    this.event = null; // that is chosen
    this.threshold = Infinity;
    this.timer = null; // of the clock: {from, at}
    this.now = 0;
    this.rate = 1;
    this.video.addEventListener("error", () => this.withoutVideo());
    this.video.addEventListener("loadedmetadata", () => this.fit());
    this.video.addEventListener("pause", () => this.playable && !this.video.seeking && this.show(this.time()));
    for (const name of ["play", "pause", "ended"]) this.video.addEventListener(name, () => this.showPlaying());
    this.video.addEventListener("seeking", () => this.frameElement.classList.add("seeking"));
    this.video.addEventListener("seeked", () => {
      this.frameElement.classList.remove("seeking");
      if (this.clip && Math.abs(this.time() - this.now) > 0.01) this.show(this.time());
    });
    this.frameElement.addEventListener("click", () => this.toggle());
    new ResizeObserver(() => this.draw()).observe(this.frameElement);
    this.showLegend();
    this.follow();
  }

  // Poses in step with pictures: the browser says which picture it shows, where it can.
  follow() {
    if (this.video.requestVideoFrameCallback) {
      const shown = (_, picture) => {
        // The shown picture decides. After a seek one of before it may still come: it is not the one of this time.
        if (this.playable && !this.video.seeking) {
          const time = this.time();
          const pictured = this.clip.ofFilm(picture.mediaTime);
          const own = !this.video.paused || (pictured <= time + 0.003 && this.clip.frame(pictured) === this.clip.frame(time));
          if (own) this.show(pictured);
        }
        this.video.requestVideoFrameCallback(shown);
      };
      this.video.requestVideoFrameCallback(shown);
    } else {
      const tick = () => {
        if (this.playable && !this.video.paused) this.show(this.time());
        requestAnimationFrame(tick);
      };
      requestAnimationFrame(tick);
    }
  }

  // The clip's time that the video is at.
  time() {
    return this.clip.ofFilm(this.video.currentTime);
  }

  open(clip) {
    this.pause();
    this.clip = clip;
    this.selected = this.event = null;
    this.now = clip.start;
    this.playable = Boolean(clip.video.url);
    this.frameElement.classList.remove("seeking");
    if (this.playable) {
      this.video.src = clip.video.url;
      this.video.playbackRate = this.rate;
    } else {
      this.video.removeAttribute("src");
      this.video.load();
    }
    this.note(this.playable ? "" : "Skeletons alone: the report was made without the video");
    this.fit();
    this.show(this.now);
  }

  withoutVideo() {
    if (!this.clip || !this.playable) return;
    this.playable = false;
    this.frameElement.classList.remove("seeking");
    let where = this.clip.video.url;
    try {
      where = decodeURIComponent(where);
    } catch {
      // a name that is no UTF-8
    }
    this.note(`This browser finds or plays no video at ${where}; skeletons alone. To hand the page on: --videos copy`);
    this.showPlaying();
  }

  note(text) {
    gepc.$("stage-note").textContent = text;
    gepc.$("stage-note").hidden = !text;
  }

  fit() {
    const [width, height] = this.playable && this.video.videoWidth ? [this.video.videoWidth, this.video.videoHeight] : this.clip.video.size;
    this.frameElement.style.setProperty("--aspect", width / height);
  }

  // ---- playing

  get playing() {
    return this.timer !== null || Boolean(this.playable && !this.video.paused && !this.video.ended);
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  play() {
    if (!this.clip) return;
    if (this.playable) {
      this.video.play().catch(() => {}); // the "error" event says why
      return;
    }
    const end = this.clip.start + this.clip.seconds;
    this.timer = { at: performance.now(), from: this.now >= end - 0.1 ? this.clip.start : this.now };
    const tick = () => {
      if (this.timer === null) return;
      const time = this.timer.from + ((performance.now() - this.timer.at) / 1000) * this.rate;
      this.show(Math.min(time, end));
      if (time >= end) this.pause();
      else requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
    this.showPlaying();
  }

  pause() {
    this.timer = null;
    this.video.pause();
    this.showPlaying();
  }

  seek(time) {
    if (!this.clip) return;
    time = Math.max(this.clip.start, Math.min(this.clip.start + this.clip.seconds, time));
    time = this.clip.time(this.clip.frame(time)); // a frame's own time: what is shown and what is drawn are one frame
    // A little into the frame: rounding must not show the one before it.
    if (this.playable) this.video.currentTime = this.clip.toFilm(time) + 0.002;
    if (this.timer) this.timer = { at: performance.now(), from: time };
    this.show(time);
  }

  step(frames) {
    this.pause();
    this.seek(this.clip.time(Math.max(0, this.clip.frame(this.now) + frames)));
  }

  setRate(rate) {
    this.rate = rate;
    this.video.playbackRate = rate;
    if (this.timer) this.timer = { at: performance.now(), from: this.now };
  }

  showPlaying() {
    gepc.$("play").classList.toggle("playing", this.playing);
    gepc.$("play-text").textContent = this.playing ? "Pause" : "Play";
  }

  // What the colours of people mean.
  showLegend() {
    const { at, rgb, unknown } = gepc.data.report.colours;
    const bar = gepc.el("span", { class: "scale" });
    bar.style.backgroundImage = `linear-gradient(to right, ${rgb.map((one) => `rgb(${one.join(" ")})`).join(", ")})`;
    const ticks = gepc.el("span", { class: "ticks" }, ...at.map((one) => gepc.el("span", {}, String(one))));
    const grey = gepc.el("span", { class: "dot" });
    grey.style.backgroundColor = `rgb(${unknown.join(" ")})`;
    gepc.$("legend").append(
      gepc.el("span", {}, "above"),
      gepc.el("span", { class: "scale-ticks" }, bar, ticks),
      gepc.el("span", {}, "% of normal people"),
      gepc.el("span", { class: "not-judged" }, grey, " not judged"),
    );
  }

  // ---- drawing

  show(time) {
    this.now = time;
    this.draw();
    this.changed(time);
  }

  draw() {
    if (!this.clip) return;
    const frame = this.clip.frame(this.now);
    const alarm = this.clip.score[frame] > this.threshold;
    this.frameElement.classList.toggle("alarming", alarm);
    gepc.$("alarm").hidden = !alarm;
    const context = gepc.context(this.canvas);
    if (!gepc.$("skeletons").checked) return;
    const [width, height] = this.clip.video.size;
    const [sx, sy] = [this.canvas.clientWidth / width, this.canvas.clientHeight / height];
    const { event } = this;
    const about = event && frame >= event.start && frame < event.end ? event.about : null;
    const things = this.clip.things(frame).map((thing) => ({ ...thing, meant: Boolean(about?.things.some((one) => one.id === thing.id)) }));
    things.sort((a, b) => a.meant - b.meant);
    for (const thing of things) this.drawThing(context, thing, sx, sy);
    const people = this.clip.people(frame);
    people.sort((a, b) => (a.track === this.selected) - (b.track === this.selected) || a.level - b.level);
    const staying = (track) => about?.cause === "stays" && event.culprits.has(track);
    for (const person of people) this.drawPerson(context, person, sx, sy, staying(person.track));
  }

  // Thin and faint, unless the chosen event is about it.
  drawThing(context, { id, name, box, meant }, sx, sy) {
    const [x1, y1, x2, y2] = box.map((value, i) => value * (i % 2 ? sy : sx));
    context.globalAlpha = meant ? 1 : 0.55;
    for (const [ink, width] of meant ? [["rgb(12 14 18 / 85%)", 5], [gepc.Stage.meant, 3]] : [["rgb(190 190 190)", 1]]) {
      context.strokeStyle = ink;
      context.lineWidth = width;
      context.strokeRect(x1, y1, x2 - x1, y2 - y1);
    }
    context.font = `${meant ? 600 : 400} 11px system-ui, sans-serif`;
    const label = `${name} ${id}`;
    const [left, top] = [Math.max(0, x1 - 0.5), Math.max(0, y1 - 15)];
    context.fillStyle = meant ? "rgb(200 24 24)" : "rgb(12 14 18)";
    context.fillRect(left, top, context.measureText(label).width + 8, 15);
    context.globalAlpha = 1;
    context.fillStyle = meant ? "#fff" : "rgb(210 210 210)";
    context.fillText(label, left + 4, top + 11.5);
  }

  drawPerson(context, person, sx, sy, stays) {
    const skeleton = gepc.data.report.skeletons[this.clip.video.skeleton];
    const colour = gepc.heats[person.level];
    const dark = "rgb(12 14 18 / 85%)"; // an outline: visible on any background
    const chosen = person.track === this.selected;
    const [x1, y1, x2, y2] = person.box.map((value, i) => value * (i % 2 ? sy : sx));
    const thick = Math.max(1.25, Math.min(4, (y2 - y1) / 60));
    const path = new Path2D();
    for (const [a, b] of skeleton.edges) {
      if (!person.joints[a] || !person.joints[b]) continue;
      path.moveTo(person.joints[a][0] * sx, person.joints[a][1] * sy);
      path.lineTo(person.joints[b][0] * sx, person.joints[b][1] * sy);
    }
    const dots = new Path2D();
    for (const joint of person.joints) {
      if (!joint) continue;
      dots.moveTo(joint[0] * sx, joint[1] * sy);
      dots.arc(joint[0] * sx, joint[1] * sy, thick * 0.8, 0, 7);
    }
    context.globalAlpha = this.selected !== null && !chosen ? 0.35 : 1;
    context.lineCap = context.lineJoin = "round";
    const boxed = chosen || stays ? 3 : person.level > gepc.Stage.rare ? 2 : 1;
    for (const [ink, more] of [[dark, 2], [stays ? gepc.Stage.meant : colour, 0]]) {
      context.strokeStyle = context.fillStyle = ink;
      context.lineWidth = boxed + more;
      context.strokeRect(x1, y1, x2 - x1, y2 - y1);
    }
    for (const [ink, more] of [[dark, 2.5], [colour, 0]]) {
      context.strokeStyle = context.fillStyle = ink;
      context.lineWidth = thick + more;
      context.stroke(path);
      if (more) context.stroke(dots);
      context.fill(dots);
    }
    const label = String(person.track);
    context.font = "600 11px system-ui, sans-serif";
    const wide = context.measureText(label).width + 8;
    const top = Math.max(0, y1 - 15);
    context.fillRect(x1 - 0.5, top, wide, 15);
    const [red, green, blue] = gepc.heatOf(gepc.percentileOf(person.level));
    context.fillStyle = 0.3 * red + 0.59 * green + 0.11 * blue < 110 ? "#fff" : "#101418";
    context.fillText(label, x1 + 3.5, top + 11.5);
    context.globalAlpha = 1;
  }
};
