// The picture on a canvas: zoom, pan, and what lies under the pointer. Draws nothing itself: see paint.js.

const MOST = 32; // screen pixels per pixel of the image
const STEP = 1.35;

export class Viewer {
  /** `paint(context, view)` draws; `find(x, y)` names what lies at a pixel; `onHover(id)` and `onPick(id)` are told. */
  constructor(canvas, { paint, find, onHover, onPick, onView }) {
    Object.assign(this, { canvas, paint, find, onHover, onPick, onView });
    this.context = canvas.getContext("2d");
    this.size = { width: 0, height: 0 };
    this.image = { width: 1, height: 1 };
    this.fitted = true;
    this.scale = 1;
    this.left = 0;
    this.top = 0;
    this.pointers = new Map();
    new ResizeObserver(() => this.resize()).observe(canvas);
    this.watchRatio();
    this.listen();
  }

  /** Notices a move to a screen with other pixels, which changes no size. */
  watchRatio() {
    matchMedia(`(resolution: ${window.devicePixelRatio}dppx)`).addEventListener("change", () => {
      this.resize();
      this.watchRatio();
    }, { once: true });
  }

  /** Shows an image of another size, fitted to the window. */
  open(width, height) {
    this.image = { width, height };
    this.fit();
  }

  resize() {
    const ratio = window.devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    // The middle stays where it is.
    this.left += (width - this.size.width) / 2;
    this.top += (height - this.size.height) / 2;
    this.size = { width, height };
    this.canvas.width = Math.max(1, Math.round(width * ratio));
    this.canvas.height = Math.max(1, Math.round(height * ratio));
    if (this.fitted || this.scale <= this.least * 1.001) this.fit();
    else this.moveBy(0, 0);
    this.drawNow(); // a canvas is blank after a change of its size
  }

  get least() {
    const margin = Math.min(24, this.size.width / 30);
    const { width, height } = this.image;
    return Math.min((this.size.width - 2 * margin) / width, (this.size.height - 2 * margin) / height, 4);
  }

  fit() {
    this.fitted = true;
    this.scale = Math.max(this.least, 0.001);
    this.left = (this.size.width - this.image.width * this.scale) / 2;
    this.top = (this.size.height - this.image.height * this.scale) / 2;
    this.changed();
  }

  /** Zooms by a factor around a place on the screen, the middle if none is given. */
  zoomBy(factor, x = this.size.width / 2, y = this.size.height / 2) {
    const scale = Math.min(Math.max(this.scale * factor, this.least), Math.max(MOST, this.least));
    if (scale <= this.least * 1.001) return this.fit();
    this.fitted = false;
    const ratio = scale / this.scale;
    this.scale = scale;
    this.left = x - (x - this.left) * ratio;
    this.top = y - (y - this.top) * ratio;
    this.moveBy(0, 0);
  }

  moveBy(x, y) {
    const held = (offset, length, room) => {
      const spare = room - length;
      // A picture that is smaller than the room stays in its middle; of a larger one half the room may be empty.
      return spare > 0 ? spare / 2 : Math.min(Math.max(offset, spare - room / 2), room / 2);
    };
    if (this.fitted && (x || y)) return;
    this.left = held(this.left + x, this.image.width * this.scale, this.size.width);
    this.top = held(this.top + y, this.image.height * this.scale, this.size.height);
    this.changed();
  }

  /** Brings a box [x, y, width, height] of the image into the middle. */
  show([x, y, width, height]) {
    const roomy = Math.min(this.size.width / (width * 3), this.size.height / (height * 3));
    this.scale = Math.min(Math.max(roomy, this.least), Math.max(8, this.least));
    if (this.scale <= this.least * 1.001) return this.fit();
    this.fitted = false;
    this.left = this.size.width / 2 - (x + width / 2) * this.scale;
    this.top = this.size.height / 2 - (y + height / 2) * this.scale;
    this.moveBy(0, 0);
  }

  changed() {
    this.canvas.classList.toggle("zoomed", !this.fitted);
    this.onView(this);
    this.draw();
  }

  draw() {
    this.frame ??= requestAnimationFrame(() => this.drawNow());
  }

  drawNow() {
    cancelAnimationFrame(this.frame);
    this.frame = undefined;
    if (!this.size.width) return;
    const ratio = window.devicePixelRatio || 1;
    this.context.setTransform(1, 0, 0, 1, 0, 0);
    this.context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.paint(this.context, { ratio, scale: this.scale, left: this.left, top: this.top });
  }

  at(event) {
    const bounds = this.canvas.getBoundingClientRect();
    return [event.clientX - bounds.left, event.clientY - bounds.top];
  }

  under(event) {
    const [x, y] = this.at(event);
    return this.find((x - this.left) / this.scale, (y - this.top) / this.scale, 6 / this.scale);
  }

  listen() {
    const on = (name, handler, options) => this.canvas.addEventListener(name, handler, options);
    on("wheel", (event) => {
      event.preventDefault();
      this.zoomBy(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0015)), ...this.at(event));
    }, { passive: false });
    on("dblclick", (event) => this.zoomBy(this.fitted ? STEP ** 3 : 1 / 1e6, ...this.at(event)));
    on("pointerdown", (event) => this.press(event));
    on("pointermove", (event) => this.move(event));
    on("pointerup", (event) => this.release(event));
    on("pointercancel", (event) => {
      this.pointers.delete(event.pointerId);
      this.canvas.classList.remove("grabbing");
    });
    on("pointerleave", () => this.onHover(null));
  }

  press(event) {
    if (event.button > 0) return;
    if (!this.fitted || event.pointerType !== "touch") this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, this.at(event));
    this.pinched = this.pointers.size > 1;
    this.travelled = 0;
  }

  move(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) {
      const found = this.under(event);
      this.canvas.classList.toggle("over-object", found !== null);
      return this.onHover(found);
    }
    const now = this.at(event);
    if (this.pointers.size === 2) this.pinch(event.pointerId, now);
    else this.moveBy(now[0] - before[0], now[1] - before[1]);
    this.travelled += Math.abs(now[0] - before[0]) + Math.abs(now[1] - before[1]);
    this.pointers.set(event.pointerId, now);
    this.canvas.classList.toggle("grabbing", this.travelled > 4 && !this.fitted);
  }

  pinch(id, now) {
    const [other] = [...this.pointers].filter(([key]) => key !== id).map(([, place]) => place);
    const before = this.pointers.get(id);
    const distance = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]) || 1;
    this.zoomBy(distance(now, other) / distance(before, other), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
  }

  release(event) {
    this.canvas.classList.remove("grabbing");
    if (!this.pointers.delete(event.pointerId)) return;
    if (this.travelled < 5 && !this.pinched) this.onPick(this.under(event));
  }

  /** Answers a key; gives whether it meant the picture. */
  key(name) {
    const move = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] }[name];
    if (move && !this.fitted) this.moveBy(...move);
    else if (name === "+" || name === "=") this.zoomBy(STEP);
    else if (name === "-") this.zoomBy(1 / STEP);
    else if (name === "0") this.fit();
    else return false;
    return true;
  }
}
