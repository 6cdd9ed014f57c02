// The network on the front page: a network of `export_c`, compiled to WebAssembly, learns from the reader's points.
// Its equations are the export's: LiveNetwork calls its functions, and all else shows the numbers.
"use strict";

const LIVE_LIMIT = 2; // the plane shows inputs from -LIMIT to LIMIT
const LIVE_CLASSES = [0, 1, 2];
const LIVE_UNITS = [2, 4, 8, 16];
const LIVE_RATES = [0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 3];
const LIVE_FIRST = 8000; // samples that are learned before the reader presses a button

const LIVE_TEXT = {
  en: {
    run: "Run", pause: "Pause", step: "Step", restart: "Start over", rate: "Learning rate",
    units: "Hidden units", place: "Place", class: "class", clear: "Clear points", arms: "Three arms",
    sample: "Sample", softmax: "softmax", target: "target", unit: "unit", learned: "Samples learned",
    correct: "correct", positive: "positive weight", negative: "negative",
    forward: "forward", error: "error", back: "back", update: "update", inputs: "inputs", hidden: "hidden",
    outputs: "outputs", samples: "samples", chance: "chance", mean: "mean error",
    plane: (points) => `Regions of three classes, and ${points} points. Arrow keys move a cross, Enter places a ` +
      "point of the chosen class, 0, 1 and 2 choose it.",
    network: (units) => `The network: two inputs, ${units} hidden units, each with a picture of where it is active, ` +
      "and three outputs. Lines are weights, wide where they are large. The numbers of a sample are in the table.",
    curve: (first, last) => `Curve of the mean error, from ${first} to ${last}`,
    state: (n, error) => `${n} samples learned, mean error ${error}`,
    stepped: (k, before, after) => `One sample of class ${k} learned: its error went from ${before} to ${after}`,
    placed: (k, x0, x1) => `Point of class ${k} at ${x0}, ${x1}`,
  },
  ja: {
    run: "実行", pause: "一時停止", step: "1 サンプル学習", restart: "最初から", rate: "学習率",
    units: "隠れユニット", place: "点を置く", class: "クラス", clear: "点を消す", arms: "3 本の腕",
    sample: "サンプル", softmax: "ソフトマックス", target: "目標値", unit: "ユニット", learned: "学習",
    correct: "正解", positive: "正の重み", negative: "負の重み",
    forward: "順伝播", error: "誤差", back: "逆伝播", update: "更新", inputs: "入力", hidden: "隠れ層",
    outputs: "出力", samples: "サンプル", chance: "当て推量", mean: "平均誤差",
    plane: (points) => `3 クラスの領域と ${points} 個の点。矢印キーで十字を動かし、Enter で選んだクラスの点を置きます。` +
      "クラスは 0、1、2 のキーで選びます。",
    network: (units) => `ネットワーク: 入力 2 個、隠れユニット ${units} 個 (それぞれに、活性になる場所の図)、出力 3 個。` +
      "線は重みで、太いほど大きい。サンプルの数値は表にあります。",
    curve: (first, last) => `平均誤差の曲線: ${first} から ${last} まで`,
    state: (n, error) => `${n} サンプルを学習、平均誤差 ${error}`,
    stepped: (k, before, after) => `クラス ${k} のサンプルを 1 個学習し、その誤差は ${before} から ${after} になりました`,
    placed: (k, x0, x1) => `クラス ${k} の点を (${x0}, ${x1}) に置きました`,
  },
};

// ---- the network

class LiveNetwork {
  static async load(units) {
    const bytes = Uint8Array.from(atob(LIVE_MODULES[units]), (character) => character.charCodeAt(0));
    const {instance} = await WebAssembly.instantiate(bytes);
    return new LiveNetwork(instance.exports, units);
  }

  constructor(module, units) { // the arrays are those of the module, in its memory
    const array = (name, length) => new Float64Array(module.memory.buffer, module[name].value, length);
    Object.assign(this, {module, units});
    this.w = array("live_w", 3 * units); // (M, D+1)
    this.v = array("live_v", 3 * (units + 1)); // (K, M+1)
    this.x = array("x", 2);
    for (const name of ["t", "a", "y", "error"]) this[name] = array(name, 3);
    for (const name of ["b", "z", "e"]) this[name] = array(name, units);
    this.initial = {w: this.w.slice(), v: this.v.slice()};
  }

  set({w, v}) {
    this.w.set(w);
    this.v.set(v);
  }

  present(point) {
    this.x.set(point.x);
    for (const k of LIVE_CLASSES) this.t[k] = Number(k === point.k);
  }

  forward(point) { // returns E_n; b, z, a and y are in their arrays
    this.present(point);
    return this.module.forward();
  }

  learn(point, rate) { // returns E_n before the update
    this.present(point);
    return this.module.learn(rate);
  }

  explain(point, rate) { // the same, with a copy of all symbols
    const E_n = this.forward(point);
    this.module.backward();
    const sample = {point, rate, E_n};
    for (const name of ["b", "z", "a", "y", "t", "error", "e"]) sample[name] = this[name].slice();
    sample.before = {w: this.w.slice(), v: this.v.slice()};
    this.learn(point, rate);
    sample.after = {w: this.w.slice(), v: this.v.slice()};
    return sample;
  }

  evaluate(points) { // the mean error (2), and how many points are classified correctly
    let sum = 0, correct = 0;
    for (const point of points) {
      sum += this.forward(point);
      correct += Number(liveLargest(this.y) === point.k);
    }
    return {error: sum / points.length, correct};
  }
}

function liveLargest(values) { // the index of the largest
  return values.reduce((largest, value, index) => value > values[largest] ? index : largest, 0);
}

// ---- the points

function liveRandom(seed) { // mulberry32: every visit sees the same
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let bits = Math.imul(seed ^ (seed >>> 15), seed | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  };
}

function liveArms() { // three arms of a spiral, which two hidden units cannot separate, and eight can
  const random = liveRandom(3), points = [];
  for (const k of LIVE_CLASSES)
    for (let m = 0; m < 26; m++) {
      const radius = 0.25 + 1.5 * (m + random()) / 26;
      const angle = 2 * Math.PI * k / 3 + 2 * radius + 0.36 * (random() - 0.5);
      points.push({x: [radius * Math.cos(angle), radius * Math.sin(angle)], k});
    }
  return points;
}

// ---- the pictures

class LiveCanvas { // a canvas in pixels of CSS, with the colors of the theme
  constructor(canvas) {
    Object.assign(this, {canvas, pen: canvas.getContext("2d")});
  }

  begin() { // clears it, at the size and in the colors that it has now
    const {canvas, pen} = this, style = getComputedStyle(canvas), ratio = window.devicePixelRatio || 1;
    [this.width, this.height] = [canvas.clientWidth, canvas.clientHeight];
    const sizes = [this.width, this.height].map((size) => Math.round(size * ratio));
    if (sizes[0] !== canvas.width || sizes[1] !== canvas.height) [canvas.width, canvas.height] = sizes;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, this.width, this.height);
    const color = (name) => style.getPropertyValue(`--live-${name}`).trim();
    this.classes = LIVE_CLASSES.map((k) => color(k));
    for (const name of ["ink", "soft", "paper", "negative", "back"]) this[name] = color(name);
    this.font = style.fontFamily;
  }

  text(words, x, y, {align = "left", color = this.soft, size = 12, style = ""} = {}) {
    Object.assign(this.pen, {fillStyle: color, textAlign: align, textBaseline: "middle"});
    this.pen.font = `${style} ${size}px ${this.font}`;
    this.pen.fillText(words, x, y);
  }

  shape(k, x, y, size) { // classes differ in shape, too: a path to fill or stroke
    const {pen} = this;
    pen.beginPath();
    if (k === 0) pen.arc(x, y, size, 0, 2 * Math.PI);
    if (k === 1) pen.rect(x - 0.88 * size, y - 0.88 * size, 1.76 * size, 1.76 * size);
    if (k === 2) {
      pen.moveTo(x, y - 1.2 * size);
      pen.lineTo(x + 1.15 * size, y + 0.85 * size);
      pen.lineTo(x - 1.15 * size, y + 0.85 * size);
      pen.closePath();
    }
  }
}

class LivePlane extends LiveCanvas { // regions and points; its grid of samples also draws the pictures of the units
  static GRID = 84;
  static STEP = 4; // of which every fourth sample, along each axis, for the units

  constructor(canvas) {
    super(canvas);
    this.regions = document.createElement("canvas");
    this.regions.width = this.regions.height = LivePlane.GRID;
    this.cross = [0, 0];
  }

  place([x0, x1]) { // where an input is on the canvas
    return [(x0 / LIVE_LIMIT + 1) / 2 * this.width, (1 - x1 / LIVE_LIMIT) / 2 * this.height];
  }

  input(left, top) { // and back, within the plane
    return [2 * left / this.width - 1, 1 - 2 * top / this.height].map((part) => this.inside(part * LIVE_LIMIT));
  }

  inside(part) {
    return Math.max(-0.97 * LIVE_LIMIT, Math.min(0.97 * LIVE_LIMIT, part));
  }

  survey(network) { // colors the regions; returns z of the grid, for the pictures of the units
    const {GRID, STEP} = LivePlane, brush = this.regions.getContext("2d"), image = brush.createImageData(GRID, GRID);
    const [first, second, third] = this.classes.map((color) => // red, green and blue of each
      [1, 3, 5].map((start) => parseInt(color.slice(start, start + 2), 16)));
    const {y} = network, z = [], center = (index) => LIVE_LIMIT * ((2 * index + 1) / GRID - 1);
    for (let row = 0, pixel = 0; row < GRID; row++)
      for (let column = 0; column < GRID; column++, pixel += 4) {
        network.forward({x: [center(column), -center(row)], k: 0});
        for (let part = 0; part < 3; part++) // mixed as the network mixes the classes
          image.data[pixel + part] = y[0] * first[part] + y[1] * second[part] + y[2] * third[part];
        image.data[pixel + 3] = 150 * Math.max(y[0], y[1], y[2]) - 20; // pale where it is unsure
        if (row % STEP === 1 && column % STEP === 1) z.push(network.z.slice());
      }
    brush.putImageData(image, 0, 0);
    return z;
  }

  draw(network, points, sample, focused, k) {
    this.begin();
    const z = this.survey(network);
    this.pen.drawImage(this.regions, 0, 0, this.width, this.height);
    for (const point of points) this.point(point);
    if (sample) this.point(sample.point, true);
    if (focused) this.drawCross(k);
    this.text("x₁", 8, 14, {color: this.ink});
    this.text("x₀", this.width - 8, this.height - 12, {align: "right", color: this.ink});
    return z;
  }

  point({x, k}, chosen) {
    const {pen} = this;
    this.shape(k, ...this.place(x), chosen ? 8 : 5);
    Object.assign(pen, {
      fillStyle: this.classes[k], strokeStyle: chosen ? this.ink : this.paper, lineWidth: chosen ? 2.5 : 1.25});
    pen.fill();
    pen.stroke();
  }

  drawCross(k) {
    const {pen} = this, [left, top] = this.place(this.cross);
    pen.beginPath();
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      pen.moveTo(left + 5 * dx, top + 5 * dy);
      pen.lineTo(left + 16 * dx, top + 16 * dy);
    }
    Object.assign(pen, {strokeStyle: this.ink, lineWidth: 2});
    pen.stroke();
    this.shape(k, left, top, 3);
    pen.fillStyle = this.classes[k];
    pen.fill();
  }
}

// A sample passes the network in steps, each of which has its equations and its time on the screen
const LIVE_STEPS = ["forward", "forward", "error", "back", "update"]; // first to z, then to y
const LIVE_STEP_TIME = 750; // in milliseconds
const LIVE_DONE = [LIVE_STEPS.length, 0]; // the step that a sample has reached, and the part of it

class LiveDiagram extends LiveCanvas { // units, weights, and a sample on its way through them
  small = document.createElement("canvas"); // of one unit

  layout(units) {
    const {width, height} = this, top = 30, room = height - top - 12;
    const column = (count, left) =>
      Array.from({length: count}, (_, index) => [left, top + (index + 0.5) * room / count]);
    this.size = Math.min(34, 0.8 * room / (units + 1)); // of the picture of a hidden unit
    this.inputs = column(3, 30); // the last one is 1
    this.hidden = column(units + 1, 0.47 * width); // and here
    this.outputs = column(3, width - 80);
  }

  draw(network, z, text, sample, step, progress) {
    this.begin();
    this.layout(network.units);
    if (LIVE_STEPS[step] === "update") this.glow(sample, network.units, progress);
    this.weights(network);
    if (sample) this.flow(sample, network.units, step, progress);
    this.nodes(network, z, sample, step);
    const middle = [this.inputs, this.hidden, this.outputs].map((column) => column[0][0]);
    for (const [index, [name, symbol]] of [["inputs", "x"], ["hidden", "z"], ["outputs", "y"]].entries())
      this.text(`${text[name]} ${symbol}`, index ? middle[index] : 6, 10, {align: index ? "center" : "left"});
    for (const [index, symbol] of ["w", "v"].entries())
      this.text(symbol, (middle[index] + middle[index + 1]) / 2, 10, {align: "center", style: "italic"});
  }

  lines(units, show) { // calls show(from, to, layer, index of the weight)
    for (let j = 0; j < units; j++)
      for (let i = 0; i < 3; i++) show(this.inputs[i], this.hidden[j], "w", 3 * j + i, i, j);
    for (const k of LIVE_CLASSES)
      for (let j = 0; j <= units; j++) show(this.hidden[j], this.outputs[k], "v", (units + 1) * k + j, j, k);
  }

  path([left, top], [right, bottom]) {
    const middle = (left + right) / 2;
    this.pen.beginPath();
    this.pen.moveTo(left, top);
    this.pen.bezierCurveTo(middle, top, middle, bottom, right, bottom);
  }

  weights(network) {
    const {pen} = this;
    this.lines(network.units, (from, to, layer, index) => {
      const weight = network[layer][index], size = Math.abs(weight);
      this.path(from, to);
      pen.strokeStyle = weight < 0 ? this.negative : this.ink;
      Object.assign(pen, {globalAlpha: 0.25 + 0.55 * size / (size + 3), lineWidth: 0.4 + 5.6 * size / (size + 5)});
      pen.stroke();
    });
    pen.globalAlpha = 1;
  }

  glow({before, after}, units, progress) { // around the weights that change
    const {pen} = this, change = (name) => after[name].map((weight, index) => Math.abs(weight - before[name][index]));
    const changes = {w: change("w"), v: change("v")}, largest = Math.max(...changes.w, ...changes.v);
    Object.assign(pen, {strokeStyle: this.back, globalAlpha: 0.6 * Math.sin(Math.PI * progress)});
    this.lines(units, (from, to, layer, index) => {
      this.path(from, to);
      pen.lineWidth = 8 * changes[layer][index] / largest;
      pen.stroke();
    });
    pen.globalAlpha = 1;
  }

  flow(sample, units, step, progress) { // activations go forward, errors go back
    const largest = Math.max(0.2, ...sample.error.map(Math.abs));
    this.lines(units, (from, to, layer, index, source, target) => {
      if (step === 0 && layer === "w") this.pulse(from, to, progress, this.ink, 3);
      if (step === 1 && layer === "v") this.pulse(from, to, progress, this.ink, 1 + 3 * (sample.z[source] ?? 1));
      if (step === 3 && layer === "v" && source < units)
        this.pulse(from, to, 1 - progress, this.back, 1 + 4 * Math.abs(sample.error[target]) / largest);
    });
  }

  pulse([left, top], [right, bottom], at, color, size) { // on the curve of `path`
    const turn = 1 - at, smooth = at * at * (3 - 2 * at), {pen} = this;
    const x = left * (turn ** 3 + 1.5 * turn * at) + right * (at ** 3 + 1.5 * turn * at);
    pen.beginPath();
    pen.arc(x, top + smooth * (bottom - top), size, 0, 2 * Math.PI);
    pen.fillStyle = color;
    pen.fill();
  }

  nodes(network, z, sample, step) {
    const {units} = network, largest = sample && Math.max(...sample.e.map(Math.abs));
    for (const [i, [left, top]] of this.inputs.entries()) this.node(left, top, ["x₀", "x₁", "1"][i]);
    this.node(...this.hidden[units], "1");
    for (let j = 0; j < units; j++) {
      this.picture(...this.hidden[j], z.map((each) => each[j]));
      if (sample && step > 3 && largest) this.ring(...this.hidden[j], this.size / 2 + 1, sample.e[j] / largest);
    }
    if (sample && step > 3) this.name(liveLargest(sample.e.map(Math.abs)));
    for (const k of LIVE_CLASSES) this.output(k, sample, step);
  }

  node(left, top, words) {
    const {pen} = this;
    pen.beginPath();
    pen.arc(left, top, Math.min(15, Math.max(8, this.size / 2)), 0, 2 * Math.PI);
    Object.assign(pen, {fillStyle: this.paper, strokeStyle: this.soft, lineWidth: 1});
    pen.fill();
    pen.stroke();
    this.text(words, left, top + 1, {align: "center", color: this.ink, size: Math.min(13, this.size / 2 + 3)});
  }

  picture(left, top, z) { // where in the plane a hidden unit is active
    const {pen, size, small} = this, brush = small.getContext("2d");
    small.width = small.height = Math.round(Math.sqrt(z.length));
    const image = brush.createImageData(small.width, small.height);
    for (const [index, z_j] of z.entries()) image.data[4 * index + 3] = 190 * z_j;
    brush.putImageData(image, 0, 0);
    Object.assign(brush, {globalCompositeOperation: "source-in", fillStyle: this.ink}).fillRect(0, 0, size, size);
    pen.fillStyle = this.paper;
    pen.fillRect(left - size / 2, top - size / 2, size, size);
    pen.drawImage(small, left - size / 2, top - size / 2, size, size);
    Object.assign(pen, {strokeStyle: this.soft, lineWidth: 1});
    pen.strokeRect(left - size / 2, top - size / 2, size, size);
  }

  ring(left, top, radius, part) { // the error of a unit
    const {pen} = this, width = 4 * Math.abs(part);
    Object.assign(pen, {strokeStyle: this.back, lineWidth: width});
    pen.strokeRect(left - radius - width / 2, top - radius - width / 2, 2 * radius + width, 2 * radius + width);
  }

  name(j) { // the number of the unit whose numbers are in the table
    const {pen} = this, [left, top] = this.hidden[j], right = left - this.size / 2 - 8;
    pen.font = `italic 12px ${this.font}`;
    const words = `j = ${j}`, width = pen.measureText(words).width + 6;
    pen.fillStyle = this.paper;
    pen.fillRect(right - width, top - 8, width, 16);
    this.text(words, right - 3, top, {align: "right", color: this.back, style: "italic"});
  }

  output(k, sample, step) { // its circle is as full as y_k is large; its error is a ring
    const {pen} = this, [left, top] = this.outputs[k], radius = 17, shown = sample && step > 1;
    const circle = (size, color, width) => {
      pen.beginPath();
      pen.arc(left, top, size, 0, 2 * Math.PI);
      Object.assign(pen, {strokeStyle: color, lineWidth: width});
    };
    circle(radius, this.classes[k], 2.5);
    pen.fillStyle = this.paper;
    pen.fill();
    if (shown) {
      pen.save();
      pen.clip();
      Object.assign(pen, {fillStyle: this.classes[k], globalAlpha: 0.55});
      pen.fillRect(left - radius, top + radius * (1 - 2 * sample.y[k]), 2 * radius, 2 * radius);
      pen.restore();
    }
    pen.stroke();
    this.text(String(k), left, top + 1, {align: "center", color: this.ink, size: 14});
    if (!shown) return;
    const width = 5 * Math.abs(sample.error[k]);
    circle(radius + 2 + width / 2, this.back, width);
    if (width) pen.stroke();
    this.text(sample.y[k].toFixed(2), left + radius + 12, top - 9, {color: this.ink});
    this.text(liveNumber(sample.error[k], 2, true), left + radius + 12, top + 9, {color: this.back});
  }
}

class LiveCurve extends LiveCanvas { // the mean error (2) against the samples learned
  clear() {
    this.values = [];
  }

  add(n, error) {
    this.values.push([n, error]);
    if (this.values.length > 500) this.values = this.values.filter((_, index) => index % 2 === 0);
  }

  draw(text) {
    this.begin();
    const {pen, width, height, values} = this, left = 28, right = width - 4, bottom = height - 20;
    const last = Math.max(200, values.at(-1)?.[0] ?? 0), highest = Math.max(1.2, ...values.map(([, error]) => error));
    const place = ([n, error]) => [left + (right - left) * n / last, bottom - (bottom - 26) * error / highest];
    this.axes(text, place, last, right, bottom);
    pen.beginPath();
    for (const value of values) pen.lineTo(...place(value));
    Object.assign(pen, {strokeStyle: this.back, lineWidth: 2, lineJoin: "round"});
    pen.stroke();
  }

  axes(text, place, last, right, bottom) {
    const {pen} = this, [left] = place([0, 0]), chance = Math.log(3); // E of y = 1/3, 1/3, 1/3
    for (const error of [0, 0.5, 1]) {
      const top = place([0, error])[1];
      this.text(String(error), left - 6, top, {align: "right", size: 11});
      this.line(left, top, right, top, 0.25);
    }
    pen.setLineDash([4, 3]);
    this.line(left, place([0, chance])[1], right, place([0, chance])[1], 0.6);
    pen.setLineDash([]);
    this.text(`${text.chance}: log 3`, right, place([0, chance])[1] - 8, {align: "right", size: 11});
    this.text(`${text.mean} E`, 0, 8, {color: this.ink});
    this.text("0", left, bottom + 12, {size: 11});
    this.text(`${liveCount(last)} ${text.samples}`, right, bottom + 12, {align: "right", size: 11});
  }

  line(left, top, right, bottom, alpha) {
    const {pen} = this;
    Object.assign(pen, {strokeStyle: this.soft, lineWidth: 1, globalAlpha: alpha});
    pen.beginPath();
    pen.moveTo(left, top);
    pen.lineTo(right, bottom);
    pen.stroke();
    pen.globalAlpha = 1;
  }
}

// ---- the page

function liveNumber(value, digits = 3, sign = false) {
  return (sign && value >= 0 ? "+" : "") + value.toFixed(digits).replace("-", "−");
}

function liveCount(n) {
  return n.toLocaleString(document.documentElement.lang);
}

function liveEquation(name, words) { // a link to an equation of the derivation
  return `<a href="mathematics.html#${name}">${words}</a>`;
}

function liveFill(words) { // {name} is a number that changes, (13) links to the equation of that number
  return words.replace(/\{(\w+)\}/g, '<span data-show="$1"></span>')
    .replace(/\((\d+)\)/g, (number, digits) => liveEquation(`eq-${digits}`, number));
}

function liveControls(text) {
  const classes = LIVE_CLASSES.map((k) => `<label class="live-class-${k}"><input type="radio" name="live-class"
    value="${k}" ${k ? "" : "checked"}><span><b aria-hidden="true">${"●■▲"[k]}</b> ${text.class} ${k}</span></label>`);
  const units = LIVE_UNITS.map((count) => `<label><input type="radio" name="live-units" value="${count}"
    ${count === 8 ? "checked" : ""}><span>${count}</span></label>`);
  const bar = `
<button type="button" data-part="run" class="live-main">${text.run}</button>
<button type="button" data-part="step">${text.step}</button>
<button type="button" data-part="restart">${text.restart}</button>
<label class="live-rate">${text.rate} <i>α</i> = <output>{alpha}</output>
<input type="range" data-part="rate" max="${LIVE_RATES.length - 1}" value="6"></label>
<fieldset class="live-choice"><legend>${text.units}</legend>${units.join("")}</fieldset>`;
  return {bar, classes: classes.join("")};
}

function liveTable(text) {
  const row = (step, head, name) => `<tr data-step="${step}"><th scope="row">${head}</th>` +
    LIVE_CLASSES.map((k) => `<td>{${name}${k}}</td>`).join("") + "</tr>";
  return `
<p data-step="0">${text.sample}: <i>x</i> = ({x0}, {x1}), ${text.class} {class}</p>
<table><thead><tr><td></td>${LIVE_CLASSES.map((k) =>
    `<th scope="col" class="live-class-${k}">${k ? "" : "<i>k</i> = "}${k}</th>`).join("")}</tr></thead><tbody>
${row(2, "(13) <i>a<sub>k</sub></i>", "a")}
${row(2, `${liveEquation("softmax", text.softmax)} <i>y<sub>k</sub></i>`, "y")}
${row(2, `${text.target} <i>t<sub>k</sub></i>`, "t")}
${row(3, "(12) <i>y<sub>k</sub></i> − <i>t<sub>k</sub></i>", "error")}
</tbody></table>
<p data-step="3">(1) <i>E<sub>n</sub></i> = −log <i>y</i><sub>{class}</sub> = {E_n}</p>
<p data-step="4">${text.unit} <i>j</i> = {j}: ${liveEquation("hidden_sum", "<i>b<sub>j</sub></i>")} = {b},
${liveEquation("sigmoid", "<i>z<sub>j</sub></i>")} = {z},
${liveEquation("hidden_error", "∂<i>E<sub>n</sub></i>/∂<i>b<sub>j</sub></i>")} = {e}</p>
<p data-step="5">(17) (16) <i>v</i><sub>{class},{j}</sub> ← {v} − {rate} · ({error}) · {z} = {newV}<br>
(17) (18) <i>w</i><sub>{j},0</sub> ← {w} − {rate} · ({e}) · ({x0}) = {newW}</p>`;
}

function liveSteps(text) {
  return Object.entries({forward: 13, error: 12, back: 18, update: 17}).map(([name, number]) =>
    `<li data-name="${name}">${text[name]} (${number})</li>`).join("");
}

function liveMarkup(text) {
  const {bar, classes} = liveControls(text);
  return `
<div class="live-bar">${bar}</div>
<div class="live-left">
<canvas data-part="plane" class="live-plane" tabindex="0" role="application"></canvas>
<div class="live-bar">
<fieldset class="live-choice"><legend>${text.place}</legend>${classes}</fieldset>
<button type="button" data-part="clear">${text.clear}</button>
<button type="button" data-part="arms">${text.arms}</button>
</div>
<canvas data-part="curve" class="live-curve" role="img"></canvas>
<p>${text.learned}: {n} · (2) <i>E</i> = {E} · ${text.correct}: {correct}</p>
</div>
<div class="live-right">
<ol class="live-steps">${liveSteps(text)}</ol>
<canvas data-part="network" class="live-network" role="img"></canvas>
<p class="live-legend"><span>${text.positive}</span><span class="live-negative">${text.negative}</span></p>
<div class="live-table">${liveTable(text)}</div>
</div>
<p class="live-spoken" role="status" data-part="spoken"></p>`;
}

class LivePage {
  constructor(root) {
    this.root = root;
    this.text = LIVE_TEXT[document.documentElement.lang] ?? LIVE_TEXT.en;
    root.innerHTML = liveFill(liveMarkup(this.text));
    this.parts = Object.fromEntries(
      Array.from(root.querySelectorAll("[data-part]"), (element) => [element.dataset.part, element]));
    this.plane = new LivePlane(this.parts.plane);
    this.diagram = new LiveDiagram(this.parts.network);
    this.curve = new LiveCurve(this.parts.curve);
    this.points = liveArms();
    this.calm = matchMedia("(prefers-reduced-motion: reduce)");
    Object.assign(this, {class: 0, limit: LIVE_FIRST, visible: true, began: 0, at: LIVE_DONE});
    this.listen();
    this.observe();
  }

  async start() {
    this.changeRate();
    await this.choose(8);
    if (!this.calm.matches) this.run();
    return this;
  }

  listen() {
    const {parts} = this, press = (name, act) => { parts[name].onclick = act; };
    press("run", () => this.running ? this.pause() : this.run(Infinity));
    press("step", () => this.step());
    press("restart", () => this.restart());
    press("clear", () => this.setPoints([]));
    press("arms", () => this.setPoints(liveArms()));
    press("plane", (event) => this.put(this.plane.input(event.offsetX, event.offsetY)));
    parts.rate.oninput = () => this.changeRate();
    parts.plane.onkeydown = (event) => this.key(event);
    parts.plane.onfocus = parts.plane.onblur = () => this.show();
    this.root.onchange = ({target}) => {
      if (target.name === "live-units") this.choose(Number(target.value));
      if (target.name === "live-class") this.class = Number(target.value);
    };
  }

  observe() { // the theme, the size, whether anybody sees it
    const show = () => this.show();
    new MutationObserver(show).observe(document.documentElement, {attributeFilter: ["data-theme"]});
    new ResizeObserver(show).observe(this.root);
    new IntersectionObserver((entries) => { this.visible = entries.at(-1).isIntersecting; }).observe(this.root);
  }

  // ---- what the reader does

  async choose(units) {
    this.network = await LiveNetwork.load(units);
    this.restart();
  }

  restart() {
    this.network.set(this.network.initial);
    this.random = liveRandom(1);
    Object.assign(this, {n: 0, sample: null, stepping: false, at: LIVE_DONE});
    this.curve.clear();
    this.show();
    this.describe();
  }

  changeRate() {
    this.rate = LIVE_RATES[this.parts.rate.value];
    this.print({alpha: this.rate});
    this.parts.rate.setAttribute("aria-valuetext", this.rate);
  }

  setPoints(points) {
    if (!points.length) this.pause();
    this.finish();
    Object.assign(this, {points, sample: null});
    this.show();
    this.describe();
  }

  put(x) {
    this.plane.cross = x;
    this.points.push({x, k: this.class});
    this.say(this.text.placed(this.class, ...x.map((each) => liveNumber(each, 1))));
    this.show();
    this.describe();
  }

  key(event) {
    const {plane} = this, move = {
      ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1]}[event.key];
    if (move) plane.cross = plane.cross.map((part, i) => plane.inside(part + move[i] / 10));
    else if ("012".includes(event.key)) this.root.querySelectorAll("[name=live-class]")[event.key].click();
    else if (event.key === "Enter" || event.key === " ") this.put(plane.cross);
    else return;
    event.preventDefault();
    this.show();
  }

  // ---- the learning

  pick() {
    return this.points[Math.floor(this.random() * this.points.length)];
  }

  run(limit = this.limit) {
    if (!this.points.length) return;
    this.finish();
    Object.assign(this, {limit, running: true, last: performance.now()});
    this.parts.run.textContent = this.text.pause;
    this.next((now) => this.frame(now));
  }

  pause() {
    if (!this.running) return;
    this.running = false;
    this.parts.run.textContent = this.text.run;
    this.show();
    this.describe();
    this.say(this.text.state(liveCount(this.n), liveNumber(this.network.evaluate(this.points).error)));
  }

  frame(now) { // half a sample a millisecond
    if (!this.running) return;
    const count = Math.round(Math.max(0, Math.min(50, now - this.last)) / 2);
    this.last = now;
    if (this.visible && count) {
      for (let n = 1; n < count; n++) this.network.learn(this.pick(), this.rate);
      if (now - this.began < 500) this.network.learn(this.pick(), this.rate);
      else { // a sample that stands long enough to be read
        this.sample = this.network.explain(this.pick(), this.rate);
        this.began = now;
      }
      this.n += count;
      this.show();
    }
    if (this.n >= this.limit) this.pause();
    else this.next((next) => this.frame(next));
  }

  next(frame) { // there is one animation at a time
    cancelAnimationFrame(this.request);
    this.request = requestAnimationFrame(frame);
  }

  step() { // learns one sample, and shows it before it counts
    this.pause();
    this.finish();
    if (!this.points.length) return;
    const sample = this.sample = this.network.explain(this.pick(), this.rate);
    const after = this.network.forward(sample.point);
    this.say(this.text.stepped(sample.point.k, liveNumber(sample.E_n), liveNumber(after)));
    Object.assign(this, {stepping: true, began: performance.now()});
    if (this.calm.matches) this.finish();
    else this.next((now) => this.stepFrame(now));
  }

  stepFrame(now) { // the weights change in the last step
    if (!this.stepping) return;
    const time = Math.max(0, now - this.began) / LIVE_STEP_TIME, step = Math.floor(time), {before, after} = this.sample;
    if (step >= LIVE_STEPS.length) return this.finish();
    const done = LIVE_STEPS[step] === "update" ? time - step : 0;
    const between = (name) => before[name].map((weight, index) => weight + done * (after[name][index] - weight));
    this.network.set({w: between("w"), v: between("v")});
    this.at = [step, time - step];
    this.show();
    this.next((next) => this.stepFrame(next));
  }

  finish() {
    if (!this.stepping) return;
    this.network.set(this.sample.after);
    Object.assign(this, {stepping: false, at: LIVE_DONE, n: this.n + 1});
    this.show();
  }

  // ---- what the reader sees

  show() {
    const {network, points, sample, text, at} = this, focused = this.parts.plane.matches(":focus-visible");
    if (!network) return;
    this.z = this.plane.draw(network, points, sample, focused, this.class);
    const {error, correct} = network.evaluate(points);
    if (points.length && this.curve.values.at(-1)?.[0] !== this.n) this.curve.add(this.n, error);
    this.diagram.draw(network, this.z, text, sample, ...at);
    this.curve.draw(text);
    this.print({n: liveCount(this.n), E: points.length ? liveNumber(error) : "–",
      correct: `${correct}/${points.length}`});
    this.parts.run.disabled = this.parts.step.disabled = !points.length;
    this.mark(at[0]);
    if (sample) this.explain(sample);
  }

  describe() { // for readers who do not see the pictures
    const {parts, text, network, points, curve} = this, values = curve.values;
    parts.plane.setAttribute("aria-label", text.plane(points.length));
    parts.network.setAttribute("aria-label", text.network(network.units));
    if (values.length)
      parts.curve.setAttribute("aria-label", text.curve(...[values[0], values.at(-1)].map(([, E]) => liveNumber(E))));
  }

  mark(step) { // the step of the sample, and the numbers that it has reached
    for (const element of this.root.querySelectorAll("[data-name]"))
      element.setAttribute("aria-current", element.dataset.name === LIVE_STEPS[step] ? "step" : "false");
    for (const element of this.root.querySelectorAll("[data-step]"))
      element.classList.toggle("live-later", !this.sample || step < Number(element.dataset.step));
  }

  explain(sample) { // the table: all outputs, and the hidden unit with the largest error
    const j = liveLargest(sample.e.map(Math.abs)), {units} = this.network, k = sample.point.k;
    const v = (units + 1) * k + j, w = 3 * j, numbers = {
      x0: sample.point.x[0], x1: sample.point.x[1], E_n: sample.E_n, b: sample.b[j], z: sample.z[j], e: sample.e[j],
      error: sample.error[k], v: sample.before.v[v], newV: sample.after.v[v], w: sample.before.w[w],
      newW: sample.after.w[w]};
    for (const l of LIVE_CLASSES) for (const name of ["a", "y", "error"]) numbers[name + l] = sample[name][l];
    this.print(Object.fromEntries(Object.entries(numbers).map(([name, value]) => [name, liveNumber(value)])));
    this.print({class: k, j, rate: sample.rate, t0: sample.t[0], t1: sample.t[1], t2: sample.t[2]});
  }

  print(numbers) {
    for (const element of this.root.querySelectorAll("[data-show]")) {
      const value = String(numbers[element.dataset.show] ?? element.textContent);
      if (element.textContent !== value) element.textContent = value;
    }
  }

  say(words) {
    this.parts.spoken.textContent = words;
  }
}

document.addEventListener("DOMContentLoaded", () => {
  for (const root of document.querySelectorAll(".live")) root.page = new LivePage(root).start();
});
