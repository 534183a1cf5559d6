"use strict";
// The list of events, and why the chosen one is unusual.

gepc.Inspector = class {
  static most = 200; // events in the list at once

  constructor({ choose, choosePerson }) {
    Object.assign(this, { choose, choosePerson });
    gepc.roving(gepc.$("events"));
  }

  // ---- the list

  list(clip, events, selected, verdictOf) {
    const worstFirst = gepc.$("order").value === "worst";
    const order = worstFirst ? [...events].sort((a, b) => b.score - a.score) : events;
    const most = gepc.Inspector.most;
    const at = Math.max(0, order.indexOf(selected));
    const from = Math.max(0, Math.min(order.length - most, at - most / 2));
    const top = Math.max(...events.map((event) => event.score), gepc.data.report.reference.score.at(-1));
    const low = gepc.data.report.reference.score[0];
    const rows = order.slice(from, from + most).map((event) => this.row(clip, event, event === selected, verdictOf(event), (event.score - low) / (top - low)));
    const list = gepc.$("events");
    const focused = list.contains(document.activeElement);
    list.replaceChildren(...rows);
    if (focused) (list.querySelector("[aria-current]") ?? list.querySelector("button"))?.focus({ preventScroll: true });
    gepc.oneStop(list);
    const left = clip.video.learned ? 0 : events.filter((event) => !verdictOf(event)).length;
    gepc.$("events-count").textContent = gepc.number(events.length) + (left && left < events.length ? `, ${gepc.number(left)} left` : "");
    gepc.$("events-note").textContent = !events.length
      ? "No frame of this video is above the threshold for long enough."
      : rows.length < order.length
        ? `${gepc.number(from + 1)} to ${gepc.number(from + rows.length)} of ${gepc.number(order.length)}: a higher threshold leaves fewer.`
        : "";
    const current = gepc.$("events").querySelector("[aria-current]");
    if (current) gepc.scrollWithin(gepc.$("events"), current);
  }

  row(clip, event, chosen, verdict, share) {
    const sign = { right: "✓", false: "✕" }[verdict];
    const bar = gepc.el("span", { class: "bar", "aria-hidden": "true" });
    bar.style.setProperty("--share", share.toFixed(3));
    const button = gepc.el(
      "button",
      { type: "button", "aria-current": chosen ? "true" : null, onclick: () => this.choose(event) },
      gepc.thumbnail(clip.video, event.peak),
      gepc.el("span", { class: "number" }, gepc.el("span", { class: "sr" }, "event "), String(event.number)),
      gepc.el("span", { class: "when" }, gepc.clock(event.startS, 1), gepc.el("small", {}, ` ${(event.endS - event.startS).toFixed(1)} s`), gepc.el("small", { class: "wall" }, gepc.wall(clip.video, event.startS - clip.start))),
      bar,
      gepc.el("span", { class: "score" }, gepc.el("span", { class: "sr" }, "score "), event.score.toFixed(2)),
      gepc.el("span", { class: `verdict-sign ${verdict ?? ""}` }, sign ? gepc.el("span", { "aria-hidden": "true" }, sign) : null, verdict ? gepc.el("span", { class: "sr" }, verdict === "right" ? "marked right" : "marked false alarm") : null),
      event.about.text ? gepc.el("small", { class: "about" }, event.about.text) : null,
    );
    return gepc.el("li", {}, button);
  }

  // ---- why

  explain(clip, event, verdict, person) {
    gepc.$("why-title").textContent = event ? `Why event ${event.number}?` : "No event chosen";
    for (const name of ["right", "false"]) {
      gepc.$(name).disabled = !event;
      gepc.$(name).setAttribute("aria-pressed", String(Boolean(event) && verdict === name));
    }
    this.explained = null;
    if (!event) {
      gepc.$("why-lead").replaceChildren("Choose an event in the list, or press n for the next one.");
      gepc.$("why").replaceChildren();
      return;
    }
    const { window: cell, people } = clip.explain(event);
    const higher = event.percentile >= 100 ? ["every", " normal frame."] : [gepc.percent(event.percentile), " of normal frames."];
    const wall = gepc.wall(clip.video, event.peakS - clip.start);
    gepc.$("why-lead").replaceChildren("Peak at ", gepc.el("b", {}, gepc.clock(event.peakS, 1)), `${wall && ` (${wall})`}, score ${event.score.toFixed(2)}: higher than `, gepc.el("b", {}, higher[0]), higher[1]);
    const { about } = event;
    const parts = about.text ? this.what(about) : [];
    if (people.length) {
      const named = people.filter((one, i) => event.culprits.has(one.track) || one.track === person || (i === 0 && about.cause === "movement"));
      const chips = named.slice(0, 8).map((one) => this.chip(one, one.track === person));
      if (chips.length) parts.push(gepc.el("h3", {}, "Who"), gepc.el("div", { class: "chips" }, ...chips));
      const others = people.filter((one) => !named.includes(one)).map((one) => one.track);
      if (others.length) parts.push(gepc.el("p", { class: "hint" }, `Also there: ${others.slice(0, 20).join(", ")}`));
    }
    const moved = about.cause === "movement";
    if (cell && moved) parts.push(...this.movement(clip, cell));
    else if (moved) parts.push(gepc.el("p", { class: "hint" }, "Nobody was seen long enough here to explain it."));
    gepc.$("why").replaceChildren(...parts);
    this.explained = cell && moved ? { clip, cell } : null;
    this.drawFigures();
  }

  // What else than somebody's movement an event is about.
  what({ text, rarity, things }) {
    const parts = [gepc.el("h3", {}, "What"), gepc.el("ul", { class: "reasons" }, gepc.el("li", {}, gepc.el("span", {}, text), " ", gepc.el("b", {}, rarity)))];
    parts.push(gepc.el("p", { class: "hint" }, "So rare it is among the moments of normal video."));
    if (things.length) parts.push(gepc.el("p", { class: "hint" }, `In the picture: ${things.slice(0, 8).map(({ name, id }) => `${name} ${id}`).join(", ")}`));
    return parts;
  }

  chip(person, chosen) {
    const dot = gepc.el("span", { class: "dot", "aria-hidden": "true" });
    dot.style.background = gepc.heat(person.percentile);
    return gepc.el(
      "button",
      { type: "button", class: "chip", "aria-pressed": String(chosen), title: "Point this person out. Share of normal people who score lower", onclick: () => this.choosePerson(chosen ? null : person.track) },
      dot,
      `Person ${person.track}`,
      gepc.el("small", {}, ` ${gepc.percent(person.percentile)}`),
    );
  }

  movement(clip, cell) {
    const words = gepc.data.report.words;
    const parts = [gepc.el("h3", {}, `What person ${cell.track} does`, gepc.el("small", {}, ` ${gepc.clock(clip.time(cell.first), 1)} to ${gepc.clock(clip.time(cell.last), 1)}`))];
    const reasons = cell.reasons.map(([does, rarity]) => gepc.el("li", {}, gepc.el("span", {}, does), " ", gepc.el("b", {}, rarity)));
    parts.push(gepc.el("ol", { class: "reasons" }, ...reasons));
    parts.push(gepc.el("p", { class: "hint" }, "So rare it is among the held-out moments of normal people."));
    parts.push(gepc.el("canvas", { class: "figure", id: "figure-person", role: "img", "aria-label": `Poses of person ${cell.track} at the peak, left to right` }));
    parts.push(gepc.el("h3", {}, "Nearest action words"));
    const list = gepc.el("ol", { class: "words" });
    for (const [word, weight] of cell.words.filter(([, weight], i) => i === 0 || weight >= 0.01)) {
      const canvas = words?.poses[word - 1] ? gepc.el("canvas", { class: "figure", "data-word": word, role: "img", "aria-label": `Typical poses of word ${word}, left to right` }) : null;
      const name = gepc.el("span", { class: "word" }, `Word ${word}`);
      if (words?.shares[word - 1] != null) name.append(gepc.el("small", {}, ` ${(100 * words.shares[word - 1]).toFixed(1)} % of normal`));
      list.append(gepc.el("li", {}, this.meter(weight, name, `${Math.round(100 * weight)} %`), canvas));
    }
    parts.push(list);
    if (cell.joints.length) {
      parts.push(gepc.el("h3", {}, "Joints that fit least"));
      const most = cell.joints[0][1];
      const rows = cell.joints.map(([joint, share]) => gepc.el("li", {}, this.meter(share / most, gepc.el("span", {}, joint.replaceAll("_", " ")), `${Math.round(100 * share)} %`)));
      parts.push(gepc.el("ol", { class: "joints" }, ...rows));
    }
    return parts;
  }

  meter(share, name, text) {
    const meter = gepc.el("div", { class: "meter" }, name, gepc.el("span", {}, text));
    meter.style.setProperty("--share", share.toFixed(3));
    return meter;
  }

  drawFigures() {
    if (!this.explained) return;
    const { clip, cell } = this.explained;
    const words = gepc.data.report.words;
    const skeleton = gepc.data.report.skeletons[clip.video.skeleton];
    const poses = gepc.figures.person(clip, cell.track, cell.first, cell.last);
    const rings = cell.joints.map((joint) => joint[0]);
    if (poses) gepc.figures.draw(gepc.$("figure-person"), poses, skeleton, rings);
    for (const canvas of gepc.$("why").querySelectorAll("canvas[data-word]")) {
      gepc.figures.draw(canvas, words.poses[canvas.dataset.word - 1], words);
    }
  }
};
