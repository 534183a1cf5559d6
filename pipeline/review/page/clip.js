"use strict";
// One clip: its curve, its events at a threshold, why they are unusual, and its people's poses.

gepc.Clip = class {
  static async open(video) {
    const data = await gepc.load(`${video.id}/clip`);
    gepc.forget(`${video.id}/clip`); // its base64 is large, and is unpacked now
    return new gepc.Clip(video, data);
  }

  constructor(video, data) {
    this.video = video;
    this.score = gepc.unpack(data.score, Float32Array);
    this.worst = gepc.unpack(data.worst, Int32Array); // the most unusual person of each frame, 0: nobody
    this.culpritShare = data.culprit_share;
    this.causes = data.causes; // stretches that are about no movement: first frame, stop, cause, who, kind, how rare
    this.notJudged = data.not_judged; // stretches of a second or more: first frame, frame after the last
    this.knotFrames = data.knots.map((knot) => knot[0]);
    this.knotTimes = data.knots.map((knot) => knot[1]);
    // Frames that come after a hole in the clip's time: nothing goes on through it (pose_extract/tracks/clip_time.py).
    const longest = Math.max(1, 2.5 / video.fps);
    this.resumed = new Set(data.knots.filter(([k, t], i) => i && k === data.knots[i - 1][0] + 1 && t - data.knots[i - 1][1] > longest).map(([k]) => k));
    this.seconds = video.seconds;
    this.start = this.knotTimes[0] ?? 0;
    this.laneSeconds = data.lane_s;
    this.lanes = data.lanes.map(([track, first, levels]) => ({ track, first, levels: gepc.unpack(levels, Uint8Array) }));
    this.cellSeconds = data.cell_s;
    this.cells = new Map(data.cells);
    this.poses = data.poses;
    this.pieces = new Map();
    this.arrived = () => {}; // called when poses that were asked for are here
    this.pyramid = this.makePyramid();
  }

  // ---- frames and times

  time(frame) {
    const last = this.score.length - 1;
    const beyond = Math.max(0, frame - last) / this.video.fps;
    return gepc.interpolate(this.knotFrames, this.knotTimes, Math.min(frame, last)) + beyond;
  }

  // A copy of a video with holes goes on without them: times of the clip and of that film.
  ofFilm(time) {
    const cut = this.video.cuts.findLast(([film]) => film <= time + 0.001);
    return cut ? time - cut[0] + cut[1] : time;
  }

  toFilm(time) {
    const cut = this.video.cuts.findLast(([, own]) => own <= time + 0.001);
    return cut ? time - cut[1] + cut[0] : time;
  }

  // When a frame is no longer shown.
  end(frame) {
    return this.resumed.has(frame + 1) ? this.time(frame) + 1 / this.video.fps : this.time(frame + 1);
  }

  // Whether there is a hole between two frames.
  hole(before, after) {
    for (const frame of this.resumed) if (frame > before && frame <= after) return true;
    return false;
  }

  // The frame that is shown then; times are kept to a millisecond.
  frame(time) {
    const frame = gepc.interpolate(this.knotTimes, this.knotFrames, time + 0.00125);
    return Math.max(0, Math.min(this.score.length - 1, Math.floor(frame)));
  }

  // ---- the curve, for any zoom: extremes of 8, 64, 512, ... frames, so that no peak is lost

  makePyramid() {
    const levels = [{ low: this.score, high: this.score }];
    while (levels.at(-1).low.length > 8) {
      const { low, high } = levels.at(-1);
      const count = Math.ceil(low.length / 8);
      const next = { low: new Float32Array(count).fill(Infinity), high: new Float32Array(count).fill(-Infinity) };
      for (let i = 0; i < low.length; i++) {
        const k = i >> 3;
        if (low[i] < next.low[k]) next.low[k] = low[i];
        if (high[i] > next.high[k]) next.high[k] = high[i];
      }
      levels.push(next);
    }
    return levels;
  }

  // Lowest and highest score of the frames first..stop-1.
  extremes(first, stop) {
    let low = Infinity;
    let high = -Infinity;
    let [a, b, level] = [first, stop, 0];
    const take = (i) => {
      low = Math.min(low, this.pyramid[level].low[i]);
      high = Math.max(high, this.pyramid[level].high[i]);
    };
    while (a < b) {
      if (level === this.pyramid.length - 1) {
        for (; a < b; a++) take(a);
        break;
      }
      for (; a < b && a % 8; a++) take(a);
      for (; a < b && b % 8; b--) take(b - 1);
      [a, b, level] = [a / 8, b / 8, level + 1];
    }
    return [low, high];
  }

  // ---- events: the rule of pipeline/events.py

  events(threshold) {
    const { merge_gap_s: gap, min_s: shortest } = gepc.data.report.events;
    const score = this.score;
    const found = [];
    let event = null;
    for (let i = 0; i < score.length; i++) {
      if (!(score[i] > threshold)) continue;
      const first = i;
      let peak = i;
      while (i < score.length && score[i] > threshold && (i === first || !this.resumed.has(i))) {
        if (score[i] > score[peak]) peak = i;
        i++;
      }
      const run = { start: first, end: i, peak, startS: this.time(first), endS: this.end(i - 1) };
      i--; // the loop goes on with the frame after the run
      if (event && !this.hole(event.end - 1, first) && run.startS - event.endS <= gap + 1e-5) {
        if (score[peak] > score[event.peak]) event.peak = peak;
        Object.assign(event, { end: run.end, endS: run.endS });
      } else {
        found.push((event = run));
      }
    }
    const long = found.filter((one) => one.endS - one.startS >= shortest - 1e-5);
    return long.map((one, index) => ({
      ...one,
      number: index + 1,
      peakS: this.time(one.peak),
      score: score[one.peak],
      percentile: gepc.percentile(score[one.peak]),
      about: this.about(one, threshold),
    })).map((one) => ({ ...one, culprits: ["movement", "stays"].includes(one.about.cause) ? this.culprits(one, threshold) : new Set() }));
  }

  alarms(first, stop, threshold) {
    let count = 0;
    for (let i = first; i < stop; i++) count += this.score[i] > threshold;
    return count;
  }

  // What an event is about, by the rule of pipeline/events/events.py: the cause of most of its alarm frames, in words and
  // with how rare it is; and its things, that of most frames first.
  about(event, threshold) {
    const { causes, about: words, kinds } = gepc.data.report;
    const frames = [this.alarms(event.start, event.end, threshold), ...causes.slice(1).map(() => 0)];
    const things = new Map();
    const found = [];
    for (const [first, stop, cause, who, kind, share, rarity] of this.causes) {
      const count = this.alarms(Math.max(first, event.start), Math.min(stop, event.end), threshold);
      if (!count) continue;
      frames[0] -= count;
      frames[cause] += count;
      found.push({ cause, share, rarity });
      if (causes[cause] === "things") things.set(who, { id: who, kind, count: count + (things.get(who)?.count ?? 0) });
    }
    const cause = frames.indexOf(Math.max(...frames));
    const listed = [...things.values()].sort((a, b) => b.count - a.count).map((one) => ({ ...one, name: kinds[one.kind] }));
    const rarest = found.filter((one) => one.cause === cause).reduce((a, b) => (b.share < a.share ? b : a), { share: Infinity });
    const text = causes[cause] === "things" ? words.kinds[listed[0].kind] : words[causes[cause]];
    return { cause: causes[cause], text, rarity: rarest.rarity, things: listed };
  }

  // Who an event is about beside its most unusual person, as in pipeline/events/events.py; the others are bystanders.
  culprits(event, threshold) {
    const frames = new Map();
    const ofPeople = this.ofPeople();
    let alarms = 0;
    for (let i = event.start; i < event.end; i++) {
      if (!(this.score[i] > threshold) || !ofPeople[i]) continue;
      alarms++;
      frames.set(this.worst[i], (frames.get(this.worst[i]) ?? 0) + 1);
    }
    return new Set([...frames].filter(([track, count]) => track && count > this.culpritShare * alarms).map(([track]) => track));
  }

  // Whether each frame's score is about somebody, and not about a thing or a crowd.
  ofPeople() {
    if (!this.peopled) {
      this.peopled = new Uint8Array(this.score.length).fill(1);
      for (const [first, stop, cause] of this.causes) {
        if (gepc.data.report.causes[cause] !== "stays") this.peopled.fill(0, first, stop);
      }
    }
    return this.peopled;
  }

  // ---- why: the most unusual window about the peak, and the people of the whole event

  explain(event) {
    const among = (from, to) => {
      const cells = [];
      for (let c = Math.floor(from / this.cellSeconds); c <= Math.floor(to / this.cellSeconds); c++) {
        if (this.cells.has(c)) cells.push(this.cells.get(c));
      }
      return cells;
    };
    const reach = 1.5;
    const near = among(event.peakS - reach, event.peakS + reach).filter(
      (cell) => this.time(cell.first) <= event.peakS + reach && this.time(cell.last) >= event.peakS - reach,
    );
    const all = among(event.startS - reach, event.endS);
    const worst = [near, all, [...this.cells.values()]].find((cells) => cells.length) ?? [];
    const people = new Map();
    for (const [track, score, percentile] of all.flatMap((cell) => cell.people)) {
      if (!(people.get(track)?.score >= score)) people.set(track, { track, score, percentile });
    }
    return {
      window: worst.reduce((a, b) => (b.score > a.score ? b : a), worst[0]),
      people: [...people.values()].sort((a, b) => b.score - a.score),
    };
  }

  // ---- poses

  // A piece of the poses; null if it is not here yet (it is asked for) or nobody is in it.
  piece(number) {
    if (this.pieces.has(number)) return this.pieces.get(number);
    if (!(this.hasPiece ??= new Set(this.poses.pieces)).has(number)) return null;
    this.pieces.set(number, null);
    const name = `${this.video.id}/poses-${number}`;
    gepc.load(name).then((data) => {
      gepc.forget(name);
      if (this.pieces.size > 12) this.pieces.delete(this.pieces.keys().next().value); // memory stays small
      this.pieces.set(number, {
        start: gepc.unpack(data.start, Uint32Array),
        track: gepc.unpack(data.track, Uint32Array),
        level: gepc.unpack(data.level, Uint8Array),
        box: gepc.unpack(data.box, Int16Array),
        joints: gepc.unpack(data.joints, Uint8Array),
        things: data.things && {
          frame: gepc.unpack(data.things.frame, Uint32Array),
          start: gepc.unpack(data.things.start, Uint32Array),
          id: gepc.unpack(data.things.id, Uint32Array),
          kind: gepc.unpack(data.things.kind, Uint8Array),
          box: gepc.unpack(data.things.box, Int16Array),
        },
      });
      this.arrived();
    }, gepc.fail);
    return null;
  }

  // People of one sample, by track; joints in pixels of the clip, null where not seen.
  sample(number) {
    const { samples, joints: count } = this.poses;
    const piece = this.piece(Math.floor(number / samples));
    const people = new Map();
    if (!piece) return people;
    const within = number % samples;
    for (let row = piece.start[within]; row < piece.start[within + 1]; row++) {
      const box = [...piece.box.subarray(4 * row, 4 * row + 4)];
      const joints = [];
      for (let j = 0; j < count; j++) {
        const [x, y] = [piece.joints[2 * (row * count + j)], piece.joints[2 * (row * count + j) + 1]];
        const place = (low, high, byte) => low + (Math.max(high - low, 1) * byte) / 254;
        joints.push(x === 255 ? null : [place(box[0], box[2], x), place(box[1], box[3], y)]);
      }
      people.set(piece.track[row], { track: piece.track[row], level: piece.level[row], box, joints });
    }
    return people;
  }

  // Things of a frame, as they were at the look before it.
  things(frame) {
    if (!this.poses) return [];
    const frames = this.poses.samples * this.poses.step; // of a piece
    const things = this.piece(Math.floor(frame / frames))?.things;
    const look = things ? gepc.search(things.frame, (frame % frames) + 1) - 1 : -1;
    const found = [];
    for (let row = look < 0 ? 0 : things.start[look]; look >= 0 && row < things.start[look + 1]; row++) {
      found.push({ id: things.id[row], name: gepc.data.report.kinds[things.kind[row]], box: [...things.box.subarray(4 * row, 4 * row + 4)] });
    }
    return found;
  }

  // People of a frame, between two samples where there are two.
  people(frame) {
    if (!this.poses) return [];
    const at = frame / this.poses.step;
    const [before, share] = [Math.floor(at), at % 1];
    const now = this.sample(before);
    this.piece(Math.floor(before / this.poses.samples) + 1); // the next one, ahead of time
    if (!share) return [...now.values()];
    const next = this.sample(before + 1);
    return [...now.values()].map((person) => {
      const later = next.get(person.track);
      if (!later) return person;
      const mix = (a, b) => a.map((value, i) => value + share * (b[i] - value));
      const joints = person.joints.map((joint, j) => (joint && later.joints[j] ? mix(joint, later.joints[j]) : joint));
      return { ...person, box: mix(person.box, later.box), joints };
    });
  }
};

// The share, 0 to 100, of held-out normal frames that score lower: anomaly.scoring.calibration.percentile.
gepc.percentile = (score) => {
  const reference = gepc.data.report.reference;
  reference.unpacked ??= gepc.unpack(reference.sorted, Float32Array);
  return (100 * gepc.search(reference.unpacked, score)) / Math.max(1, reference.unpacked.length);
};
