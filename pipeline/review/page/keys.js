"use strict";
// The keys, which the help lists too.

gepc.Keys = class {
  static names = { " ": "space", ArrowLeft: "←", ArrowRight: "→" };

  constructor(page) {
    this.page = page;
    this.list = [
      { keys: ["n"], does: "next event, on into the next video", act: () => page.nextEvent(1) },
      { keys: ["p"], does: "previous event", act: () => page.nextEvent(-1) },
      { keys: ["u"], does: "next event that is not reviewed", act: () => page.nextUnreviewed() },
      { keys: ["r"], does: "mark the event as right", act: () => page.mark("right") },
      { keys: ["f"], does: "mark it as a false alarm", act: () => page.mark("false") },
      { keys: ["z"], does: "undo the last mark; also Ctrl Z", act: () => page.undo() },
      { keys: [" ", "k"], does: "play or pause", act: () => page.stage.toggle() },
      { keys: ["ArrowLeft", "ArrowRight"], does: "one second back or on; ten with shift", act: (event) => page.stage.seek(page.stage.now + (event.key === "ArrowLeft" ? -1 : 1) * (event.shiftKey ? 10 : 1)) },
      { keys: [",", "."], does: "one frame back or on", act: (event) => page.stage.step(event.key === "," ? -1 : 1) },
      { keys: ["[", "]"], does: "lower or raise the threshold", act: (event) => page.setStop(page.stop + (event.key === "[" ? -1 : 1)) },
      { keys: ["+", "=", "-", "0"], does: "zoom in, out, whole video", act: (event) => (event.key === "0" ? page.timeline.all() : page.timeline.zoom(event.key === "-" ? 2 : 0.5)) },
      { keys: ["v", "V"], does: "next or previous video", act: (event) => page.nextVideo(event.key === "v" ? 1 : -1) },
      { keys: ["s"], does: "skeletons on or off", act: () => gepc.$("skeletons").click() },
      { keys: ["?"], does: "this help", act: () => this.help(), always: true },
    ];
    document.addEventListener("keydown", (event) => this.key(event));
  }

  help() {
    if (!gepc.$("keys").children.length) {
      for (const { keys, does } of this.list) {
        gepc.$("keys").append(gepc.el("dt", {}, ...keys.filter((key) => key !== "=").map((key) => gepc.el("kbd", {}, gepc.Keys.names[key] ?? key))), gepc.el("dd", {}, does));
      }
    }
    gepc.$("help").showModal();
  }

  key(event) {
    const field = event.target.matches?.("textarea, input:not([type=checkbox]):not([type=range])");
    if ((event.ctrlKey || event.metaKey) && !event.shiftKey && event.key === "z" && !field && !gepc.$("help").open) {
      event.preventDefault();
      return this.page.undo();
    }
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || gepc.$("help").open) return;
    const target = event.target;
    if (target.matches?.("select, textarea, input:not([type=checkbox]):not([type=range])")) return;
    if (target.matches?.("input[type=range]") && event.key.startsWith("Arrow")) return;
    if (target.matches?.("button, summary, a, input") && event.key === " ") return;
    const found = this.list.find(({ keys }) => keys.includes(event.key));
    const single = event.key.length === 1 && event.key !== " ";
    if (!found || (!this.page.clip && !found.always) || (single && !gepc.$("use-keys").checked && !found.always)) return;
    event.preventDefault();
    found.act(event);
  }
};
