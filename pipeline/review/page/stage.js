"use strict";
// The video with its people drawn over it. Without a video (or with one that cannot be played) a clock stands in.

gepc.Stage = class {
  constructor(changed) {
    this.changed = changed; // called with the time whenever it changes
    this.video = gepc.$("video");
    this.canvas = gepc.$("people");
    this.frameElement = gepc.$("stage");
    this.clip = null;
    this.selected = null; // track id
    this.threshold = Infinity;
    this.timer = null; // of the clock: {from, at}
    this.now = 0;
    this.rate = 1;
    this.video.addEventListener("error", () => this.withoutVideo());
    this.video.addEventListener("loadedmetadata", () => this.fit());
    this.video.addEventListener("pause", () => this.playable && !this.video.seeking && this.show(this.time()));
    for (const name of ["play", "pause", "ended"]) this.video.addEventListener(name, () => this.showPlaying());
    this.video.addEventListener("seeked", () => {
      if (this.clip && Math.abs(this.time() - this.now) > 0.01) this.show(this.time());
    });
    this.frameElement.addEventListener("click", () => this.toggle());
    new ResizeObserver(() => this.draw()).observe(this.frameElement);
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
    this.selected = null;
    this.now = clip.start;
    this.playable = Boolean(clip.video.url);
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
    const people = this.clip.people(frame);
    people.sort((a, b) => (a.track === this.selected) - (b.track === this.selected) || a.level - b.level);
    for (const person of people) this.drawPerson(context, person, sx, sy);
  }

  drawPerson(context, person, sx, sy) {
    const skeleton = gepc.data.report.skeletons[this.clip.video.skeleton];
    const colour = gepc.heats[person.level];
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
    context.strokeStyle = "rgb(0 0 0 / 45%)"; // visible on any background
    context.lineWidth = 1.6 * thick;
    context.stroke(path);
    context.strokeStyle = context.fillStyle = colour;
    context.lineWidth = thick;
    context.stroke(path);
    context.fill(dots);
    context.lineWidth = chosen ? 2.5 : 1;
    context.strokeRect(x1, y1, x2 - x1, y2 - y1);
    const label = String(person.track);
    context.font = "600 11px system-ui, sans-serif";
    const wide = context.measureText(label).width + 8;
    const top = Math.max(0, y1 - 15);
    context.fillRect(x1 - 0.5, top, wide, 15);
    context.fillStyle = "#101418";
    context.fillText(label, x1 + 3.5, top + 11.5);
    context.globalAlpha = 1;
  }
};
