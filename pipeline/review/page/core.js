"use strict";
// What all parts of the page use. Everything hangs on one object: pages opened from a disk may not load modules,
// and may not fetch, so that data comes as scripts that call gepc.receive.

const gepc = {
  data: {}, // what has come, by name
  waiting: {}, // who waits for what has not

  receive(name, data) {
    gepc.data[name] = data;
    const wait = gepc.waiting[name];
    delete gepc.waiting[name];
    wait?.resolve(data);
  },

  // The data under a name; its script is loaded if need be. What was forgotten comes again.
  load(name) {
    if (name in gepc.data) return Promise.resolve(gepc.data[name]);
    gepc.waiting[name] ??= gepc.script(name);
    return gepc.waiting[name].promise;
  },

  script(name) {
    const script = document.createElement("script");
    const wait = { came: false };
    wait.promise = new Promise((resolve, reject) => {
      wait.resolve = (data) => {
        wait.came = true;
        resolve(data);
      };
      script.onload = script.onerror = () => {
        script.remove();
        if (wait.came) return;
        delete gepc.waiting[name];
        reject(new Error(`data/${name}.js is missing or damaged: make the report again, or copy the whole folder`));
      };
    });
    script.src = `data/${name}.js`;
    document.head.append(script);
    return wait;
  },

  forget(name) {
    delete gepc.data[name];
  },

  // base64 of little-endian numbers -> typed array
  unpack(text, Type) {
    const binary = atob(text);
    const bytes = new Uint8Array(binary.length);
    for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
    return new Type(bytes.buffer);
  },

  $(id) {
    return document.getElementById(id);
  },

  // An element with attributes and children. Text becomes text nodes: no name can become markup.
  el(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (value === true) node.setAttribute(name, "");
      else if (value !== false && value != null) node.setAttribute(name, value);
    }
    node.append(...children.filter((child) => child != null));
    return node;
  },

  // A file name that may be broken after its signs rather than within a word.
  breakable(name) {
    return name.split(/(?<=[_\-. ])/).flatMap((part, i) => (i ? [document.createElement("wbr"), part] : [part]));
  },

  svg(tag, attributes) {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    return node;
  },

  clock(seconds, digits = 0) {
    const unit = 10 ** digits;
    const ticks = Math.floor(Math.max(0, seconds) * unit + 1e-4);
    const whole = Math.floor(ticks / unit);
    const two = (n) => String(n).padStart(2, "0");
    const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
    const rest = digits ? "." + String(ticks % unit).padStart(digits, "0") : "";
    return (h ? `${h}:${two(m)}` : m) + `:${two(s)}${rest}`;
  },

  // The time of day, and the day if asked for, at a moment of a video; empty where its file does not tell when it was
  // recorded. By the clock that the file tells it by, whatever the zone of this computer.
  wall(video, seconds, day = false) {
    const { at } = video.recorded;
    if (!at) return "";
    const moment = new Date(Date.parse(`${at.slice(0, 19)}Z`) + Math.round(1000 * seconds));
    const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    const date = `${moment.getUTCDate()} ${months[moment.getUTCMonth()]} ${moment.getUTCFullYear()} `;
    const zone = at.slice(19);
    return (day ? date : "") + moment.toISOString().slice(11, 19) + (zone === "+00:00" ? " UTC" : zone && ` UTC${zone}`);
  },

  length(seconds) {
    if (seconds < 1) return `${seconds.toFixed(1)} s`;
    if (seconds < 90) return `${Math.round(seconds)} s`;
    if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
    return `${(seconds / 3600).toFixed(1)} h`;
  },

  number: new Intl.NumberFormat("en").format,

  // 99.98 must not read as 100.
  percentileText(value) {
    if (value >= 100) return "100";
    const digits = value >= 99.9 ? 2 : value >= 90 ? 1 : 0;
    const unit = 10 ** digits;
    return (Math.floor(value * unit + 1e-9) / unit).toFixed(digits);
  },

  percent(value) {
    return `${gepc.percentileText(value)} %`;
  },

  plural(count, one, many = one + "s") {
    return `${gepc.number(count)} ${count === 1 ? one : many}`;
  },

  // Where x lies among increasing values: how many are smaller.
  search(values, x) {
    let low = 0;
    let high = values.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (values[middle] < x) low = middle + 1;
      else high = middle;
    }
    return low;
  },

  // Piecewise linear function through (xs, ys), constant beyond its ends.
  interpolate(xs, ys, x) {
    const i = gepc.search(xs, x);
    if (i === 0) return ys[0];
    if (i === xs.length) return ys[i - 1];
    return ys[i - 1] + ((x - xs[i - 1]) / (xs[i] - xs[i - 1])) * (ys[i] - ys[i - 1]);
  },

  // A canvas as large as it is shown, in device pixels; returns its context, in CSS pixels.
  context(canvas) {
    const ratio = window.devicePixelRatio || 1;
    const width = Math.max(1, Math.round(canvas.clientWidth * ratio));
    const height = Math.max(1, Math.round(canvas.clientHeight * ratio));
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, canvas.clientWidth, canvas.clientHeight);
    return context;
  },

  colours: {}, // of the style sheet, by name: read anew when the scheme changes

  colour(name) {
    return (gepc.colours[name] ??= getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim());
  },

  // Colours of people, those of the overlay video (pipeline/pictures/drawing.py), which come with the report.
  heatOf(percentile) {
    const { at, rgb, unknown } = gepc.data.report.colours;
    if (percentile == null) return unknown;
    return [0, 1, 2].map((c) => Math.round(gepc.interpolate(at, rgb.map((one) => one[c]), percentile)));
  },

  heat(percentile) {
    return `rgb(${gepc.heatOf(percentile).join(" ")})`;
  },

  // The same of the bytes that poses have.
  get heats() {
    return (gepc.everyHeat ??= Array.from({ length: 256 }, (_, level) => gepc.heat(gepc.percentileOf(level))));
  },

  // Bytes 1..255 -> percentiles; 0: not scored
  percentileOf(level) {
    return level ? (level - 1) / 2.54 : null;
  },
};
