// Search runs in a worker, and browsers start none from a file of this machine. Where the site is opened without a
// server, this runs the worker's script in a hidden frame instead, so that search works there too.
if (location.protocol === "file:") {
  window.IFrameWorker = window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.waiting = [];
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.documentElement.append(frame);
      const inner = frame.contentWindow;
      const load = (address) => new Promise((done, failed) => {
        const script = inner.document.createElement("script");
        script.src = address;
        script.onload = done;
        script.onerror = () => failed(new Error(`cannot load ${address}`));
        inner.document.head.append(script);
      });
      inner.importScripts = (...addresses) =>
        addresses.reduce((before, address) => before.then(() => load(address)), Promise.resolve());
      inner.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      this.deliver = (data) => inner.dispatchEvent(new MessageEvent("message", { data }));
      load(url).then(() => {
        this.waiting.splice(0).forEach(this.deliver);
        this.waiting = null;
      });
    }

    postMessage(data) {
      this.waiting ? this.waiting.push(data) : this.deliver(data);
    }

    terminate() {}
  };
}
