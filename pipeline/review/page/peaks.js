"use strict";
// The peaks of a video's events at every stop of the slider, which tell of a video that is not open how many of its
// events are reviewed. pipeline/review/thresholds.py says what they are.

gepc.Peaks = class {
  static never = 255;

  constructor({ ms, last, join }) {
    this.ms = gepc.unpack(ms, Uint32Array);
    this.last = gepc.unpack(last, Uint8Array);
    this.join = gepc.unpack(join, Uint8Array);
  }

  // The events of a stop, each as its first peak and the one after its last.
  events(stop) {
    const found = [];
    let event = null;
    for (let i = 0; i < this.ms.length; i++) {
      if (this.last[i] < stop) event = null;
      else if (event && this.join[i - 1] !== gepc.Peaks.never && this.join[i - 1] >= stop) event[1] = i + 1;
      else found.push((event = [i, i + 1]));
    }
    return found;
  }

  // How many events of a stop have one of these marks.
  marked(stop, marks) {
    if (!marks.length) return 0;
    const peaks = marks.map((mark) => this.nearest(mark)).filter((peak) => peak >= 0);
    return this.events(stop).filter(([first, end]) => peaks.some((peak) => peak >= first && peak < end)).length;
  }

  // The peak that a mark is of; a mark that was made of other scores may have none.
  nearest(mark) {
    const at = 1000 * mark.peak_s;
    const after = gepc.search(this.ms, at);
    const near = [after - 1, after].filter((i) => i >= 0 && i < this.ms.length);
    const best = near.reduce((a, b) => (Math.abs(this.ms[b] - at) < Math.abs(this.ms[a] - at) ? b : a), near[0] ?? -1);
    const own = best >= 0 && (Math.abs(this.ms[best] - at) <= 3 || (this.ms[best] >= 1000 * mark.start_s && this.ms[best] < 1000 * mark.end_s));
    return own ? best : -1;
  }
};
