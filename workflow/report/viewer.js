// Atoms as shaded spheres on a canvas: turn, zoom, pick; no library, no WebGL, no network.
// Every .viewer holds a canvas, its controls and its atoms as JSON (workflow/perrin/report/atoms3d.py); one with
// data-states plays through the atoms of the windows whose ids it names; one with a time slider holds the lives of
// all sites (perrin/report/timeline.py). Views of one data-group share the camera and the ends of their scales,
// those of one data-linked colour, size and cut as well.
"use strict";
const perrinViews = (() => {
  // colour scales that the colour-blind can read: viridis, a blue-white-orange, inferno without its ends, cividis
  const SCALES = {
    viridis: ["#440154", "#3e4989", "#26828e", "#35b779", "#b5de2b", "#fde725"],
    diverging: ["#0b559f", "#5ea4d3", "#c6dcec", "#f4f2ee", "#f8c792", "#e08214", "#8f3b00"],
    inferno: ["#2a0b54", "#7a1d6d", "#bb3754", "#ed6925", "#fbb41a", "#f6f1a0"],
    cividis: ["#08306b", "#3d4f7a", "#6c6d72", "#9a8f72", "#cdb35b", "#fee838"],
  };
  const MOMENTS = [["there", "#8a929b"], ["about to leave", "#d55e00"], ["just arrived", "#0072b2"]];
  const LIVES = [["stays", "#8a929b"], ["leaves later", "#d55e00"], ["arrived", "#0072b2"], ["comes and goes", "#b0578d"]];
  const views = [];
  const rgb = (hex) => [1, 3, 5].map((k) => parseInt(hex.slice(k, k + 2), 16));
  const css = (c) => `rgb(${c.map(Math.round).join(",")})`;
  const mix = (a, b, t) => a.map((v, k) => v + (b[k] - v) * t);
  const scale = (name, t) => {
    const stops = SCALES[name], at = Math.min(Math.max(t, 0), 1) * (stops.length - 1), k = Math.min(Math.floor(at), stops.length - 2);
    return mix(rgb(stops[k]), rgb(stops[k + 1]), at - k);
  };
  const multiply = (a, b) => [0, 1, 2].map((i) => [0, 1, 2].map((j) => a[i][0] * b[0][j] + a[i][1] * b[1][j] + a[i][2] * b[2][j]));
  const turn = (ax, ay) => {
    const [cx, sx, cy, sy] = [Math.cos(ax), Math.sin(ax), Math.cos(ay), Math.sin(ay)];
    return multiply([[1, 0, 0], [0, cx, -sx], [0, sx, cx]], [[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]]);
  };
  const START = multiply(turn(0.35, 0), turn(0, 0.5));
  const known = (values) => values.filter((v) => v !== null && v !== undefined);

  // What an atom can be coloured by: {label, of(atom), and either a scale with ends or classes}
  // ends of a scale are those of all scenes together, so that states can be compared by their colours
  function choices(data, n, scenes) {
    const found = [];
    const pooled = (key, factor) => scenes.flatMap((s) => known(s[key] || [])).map((v) => v / factor);
    const scaled = (label, unit, name, values, low, high, all) => {
      const seen = all || known(values);
      if (!seen.length) return;
      low = low === undefined ? Math.min(...seen) : low;
      high = high === undefined ? Math.max(...seen) : high;
      found.push({ label, unit, scale: name, low, high: high > low ? high : low + 1, values });
    };
    const over = (key, factor) => (data[key] || []).map((v) => (v === null ? null : v / factor));
    const classed = (label, classes, values) => found.push({ label, classes, values });
    if (data.cn) scaled("coordination", "", "viridis", data.cn, 1, 12);
    if (data.strain) {
      const strain = over("strain", 100), sizes = pooled("strain", 100).map(Math.abs).sort((a, b) => a - b);
      const end = Math.max(sizes[Math.floor(0.95 * (sizes.length - 1))] || 1, 0.5);
      scaled("radial strain", "%", "diverging", strain, -end, end);
    }
    if (data.sd) {
      const errors = (sd) => Array.from({ length: sd.length / 3 }, (_, k) => {
        const s = sd.slice(3 * k, 3 * k + 3);
        return s.includes(null) ? null : Math.sqrt((s[0] ** 2 + s[1] ** 2 + s[2] ** 2) / 3) / 1000;
      });
      const error = errors(data.sd), sizes = known(scenes.flatMap((s) => errors(s.sd || []))).sort((a, b) => a - b);
      if (sizes.length) scaled("error of position", "Å", "inferno", error, 0, sizes[Math.floor(0.98 * (sizes.length - 1))]);
    }
    if (data.depth) scaled("depth below the surface", "Å", "cividis", over("depth", 100), 0, undefined, pooled("depth", 100));
    if (data.p) scaled("probability", "", "viridis", over("p", 1000), 0, 1);
    if (data.validity) scaled("validity in the map", "", "viridis", over("validity", 1000), undefined, undefined, pooled("validity", 1000));
    if (data.moment) classed("moment", MOMENTS, data.moment);
    if (data.life) classed("life", LIVES, data.life);
    if (data.core) classed("core and fringe", [["fringe", "#e0a030"], ["core", "#2a5f9e"]], data.core);
    const one = new Array(n).fill(0);
    classed("element", [[data.element, "#c3ccd6"]], one);
    return found;
  }

  function View(box) {
    const canvas = box.querySelector("canvas"), pen = canvas.getContext("2d");
    const source = "script[type='application/json']";
    const homes = box.dataset.states ? box.dataset.states.split(" ").map((id) => document.getElementById(id)) : [box];
    const scenes = homes.map((home) => JSON.parse(home.querySelector(source).textContent));
    const time = box.querySelector(".time"), lives = time && scenes[0];
    const all = [...document.querySelectorAll(`.viewer[data-group="${box.dataset.group}"] > ${source}`)]
      .map((home) => JSON.parse(home.textContent)).filter((s) => !s.turns);
    const by = box.querySelector(".by"), size = box.querySelector(".size"), cut = box.querySelector(".cut");
    const said = box.querySelector(".picked"), legend = box.querySelector(".legend");
    const state = box.querySelector(".state"), play = box.querySelector(".play");
    const self = { group: box.dataset.group, linked: box.dataset.linked, R: START, zoom: 1, picked: -1, other: -1 };
    let data, n, points, gone, reach = 0, colours, bonds;
    // [x, y, z] in angstrom from the centre of the first scene, so that atoms which stay do not move
    const read = (scene, numbers) => Array.from({ length: (numbers || []).length / 3 }, (_, k) =>
      [0, 1, 2].map((i) => numbers[3 * k + i] / 100 + scene.origin[i] - scenes[0].origin[i]));
    for (const s of scenes)
      for (const p of read(s, s.xyz)) reach = Math.max(reach, Math.hypot(...p) + s.radius);
    function load(k) {
      const label = colours ? colours[by.value].label : box.dataset.by;
      data = scenes[k];
      points = read(data, data.xyz);
      gone = read(data, data.gone);
      n = points.length;
      colours = choices(data, n, all.length ? all : scenes);
      by.replaceChildren(...colours.map((c, i) => new Option(c.label, i)));
      by.value = Math.max(0, colours.findIndex((c) => c.label === label));
      bonds = null;
      self.picked = self.other = -1;
    }
    // the scene of one frame from the lives of all sites
    let near, changes, marked;
    function at(frame) {
      const span = 0.02 * (lives.last - lives.first), sites = lives.turns.length;
      if (!near) {
        const p = read(lives, lives.xyz);
        near = p.map((a, i) => p.flatMap((b, j) => (i !== j && Math.hypot(...a.map((v, k) => v - b[k])) < lives.bond ? [j] : [])));
        changes = [...new Set(lives.turns.flat())].filter((f) => f > lives.first).sort((a, b) => a - b);
      }
      const turned = lives.turns.map((t) => t.filter((f) => f <= frame).length), there = turned.map((k) => k % 2 === 1);
      const scene = { ...lives, xyz: [], cn: [], moment: [], gone: [], site: [] };
      marked = [0, 0];
      for (let k = 0; k < sites; k++) {
        const t = lives.turns[k], xyz = lives.xyz.slice(3 * k, 3 * k + 3), since = t[turned[k] - 1], next = t[turned[k]];
        if (there[k]) {
          scene.xyz.push(...xyz); scene.site.push(k + 1);
          scene.cn.push(near[k].filter((j) => there[j]).length);
          scene.moment.push(next !== undefined && next - frame <= span ? 1 : since > lives.first && frame - since <= span ? 2 : 0);
        } else if (turned[k] && frame - since <= span) scene.gone.push(...xyz);
        marked[0] += Math.floor(turned[k] / 2);
        marked[1] += Math.ceil(turned[k] / 2) - (t[0] === lives.first);
      }
      return scene;
    }
    // pairs of neighbours, wanted only where the spheres are small
    function neighbours() {
      bonds = [];
      for (let i = 0; i < n && n <= 3000; i++)
        for (let j = i + 1; j < n; j++)
          if (Math.hypot(...points[i].map((v, k) => v - points[j][k])) < data.bond) bonds.push([i, j]);
      return bonds;
    }
    let seen = [], queued = false, sprites = new Map(), ground = [255, 255, 255], ink = "#000";

    function colour(k) {
      const c = colours[by.value || 0], v = c.values[k];
      if (v === null || v === undefined || v < -1e8) return [150, 150, 150];
      if (c.classes) return c.classes[v] ? rgb(c.classes[v][1]) : [150, 150, 150];
      return scale(c.scale, (v - c.low) / (c.high - c.low));
    }
    // a shaded sphere of one colour and distance, drawn once and then copied
    function sprite(c, fog, radius) {
      const key = `${c.map(Math.round)}|${fog}|${Math.round(radius * 2)}`;
      if (!sprites.has(key)) {
        if (sprites.size > 1500) sprites.clear();
        const edge = Math.ceil(2 * radius + 2), s = document.createElement("canvas"), p = s.getContext("2d");
        s.width = s.height = edge;
        const base = mix(c, ground, fog * 0.16), m = edge / 2;
        const shade = p.createRadialGradient(m - radius * 0.35, m - radius * 0.4, radius * 0.05, m, m, radius);
        shade.addColorStop(0, css(mix(base, [255, 255, 255], 0.55)));
        shade.addColorStop(0.35, css(base));
        shade.addColorStop(0.92, css(mix(base, [0, 0, 0], 0.42)));
        shade.addColorStop(1, css(mix(base, [0, 0, 0], 0.62)));
        p.fillStyle = shade;
        p.beginPath(); p.arc(m, m, radius, 0, 2 * Math.PI); p.fill();
        sprites.set(key, s);
      }
      return sprites.get(key);
    }
    function draw() {
      queued = false;
      const ratio = Math.min(devicePixelRatio || 1, 2), wide = canvas.clientWidth, high = canvas.clientHeight;
      if (!wide || !high) return;
      if (canvas.width !== Math.round(wide * ratio) || canvas.height !== Math.round(high * ratio)) {
        canvas.width = Math.round(wide * ratio); canvas.height = Math.round(high * ratio);
      }
      const unit = 0.47 * Math.min(canvas.width, canvas.height) / reach * self.zoom;
      const radius = data.radius * size.value * unit, nearest = reach * (1 - 2 * cut.value);
      const place = (p) => self.R.map((r) => r[0] * p[0] + r[1] * p[1] + r[2] * p[2]);
      const at = (q) => [canvas.width / 2 + q[0] * unit, canvas.height / 2 - q[1] * unit]; // y up, z to the eye: right-handed
      pen.clearRect(0, 0, canvas.width, canvas.height);
      const turned = points.map(place);
      const things = turned.map((q, k) => ({ z: q[2], q, k })).filter((t) => t.z <= nearest);
      gone.forEach((p) => { const q = place(p); if (q[2] <= nearest) things.push({ z: q[2], q, ghost: true }); });
      if (size.value < 0.6)
        for (const [i, j] of bonds || neighbours())
          if (turned[i][2] <= nearest && turned[j][2] <= nearest)
            things.push({ z: (turned[i][2] + turned[j][2]) / 2 - 0.01, bond: [turned[i], turned[j]] });
      things.sort((a, b) => a.z - b.z);
      seen = [];
      for (const t of things) {
        const fog = Math.round(3 * (1 - (t.z + reach) / (2 * reach)));
        if (t.bond) {
          pen.strokeStyle = css(mix([128, 134, 140], ground, fog * 0.16)); pen.lineWidth = Math.max(1, 0.18 * unit);
          pen.beginPath(); pen.moveTo(...at(t.bond[0])); pen.lineTo(...at(t.bond[1])); pen.stroke();
          continue;
        }
        const [x, y] = at(t.q);
        if (t.ghost) {
          pen.strokeStyle = "#d55e00"; pen.lineWidth = 1.6 * ratio; pen.setLineDash([4 * ratio, 3 * ratio]);
          pen.beginPath(); pen.arc(x, y, radius * 0.9, 0, 2 * Math.PI); pen.stroke(); pen.setLineDash([]);
          continue;
        }
        const s = sprite(colour(t.k), fog, radius);
        pen.drawImage(s, x - s.width / 2, y - s.height / 2);
        if (t.k === self.picked || t.k === self.other) {
          pen.strokeStyle = ink; pen.lineWidth = 2.5 * ratio;
          pen.beginPath(); pen.arc(x, y, radius + ratio, 0, 2 * Math.PI); pen.stroke();
        }
        seen.push([x / ratio, y / ratio, radius / ratio, t.k]);
      }
      axes(ratio);
    }
    // the body's axes, in the corner
    function axes(ratio) {
      const length = 20 * ratio, [x0, y0] = [32 * ratio, canvas.height - 32 * ratio];
      pen.font = `${11 * ratio}px sans-serif`; pen.textAlign = "center"; pen.textBaseline = "middle"; pen.lineWidth = 1.4 * ratio;
      ["x", "y", "z"].forEach((name, k) => {
        const [x, y] = [self.R[0][k], -self.R[1][k]];
        pen.strokeStyle = pen.fillStyle = ink;
        pen.beginPath(); pen.moveTo(x0, y0); pen.lineTo(x0 + x * length, y0 + y * length); pen.stroke();
        pen.fillText(name, x0 + x * length * 1.4, y0 + y * length * 1.4);
      });
    }
    function later() { if (!queued) { queued = true; requestAnimationFrame(draw); } }
    function theme() {
      const style = getComputedStyle(document.documentElement), hex = style.getPropertyValue("--scene").trim();
      ground = /^#[0-9a-f]{6}$/i.test(hex) ? rgb(hex) : [255, 255, 255];
      ink = style.getPropertyValue("--ink").trim() || "#000";
      sprites.clear(); later();
    }
    function key() {
      const c = colours[by.value || 0];
      legend.replaceChildren();
      const add = (tag, text, style) => { const e = document.createElement(tag); e.textContent = text; if (style) e.style.background = style; legend.append(e); return e; };
      if (c.classes) {
        c.classes.forEach(([name, hex], k) => {
          const count = c.values.filter((v) => v === k).length;
          if (count) add("span", `${name} (${count})`).prepend(Object.assign(document.createElement("i"), { style: `background:${hex}` }));
        });
      } else {
        const digits = c.high - c.low < 2 ? 2 : 1, text = (v) => (Number.isInteger(v) ? v : v.toFixed(digits));
        add("span", text(c.low));
        add("b", "", `linear-gradient(90deg, ${SCALES[c.scale].join(",")})`);
        add("span", `${text(c.high)} ${c.unit}`);
      }
      if (gone.length) add("span", `dashed: ${time ? "has just left" : "left since the state before"} (${gone.length})`);
    }
    const value = (key, k, factor, digits) => {
      const v = data[key] && data[key][k];
      return v === null || v === undefined ? null : (v / factor).toFixed(digits).replace("-", "−");
    };
    function tell() {
      const k = self.picked;
      const where = time ? `${(time.value / lives.rate).toFixed(3)} s, frame ${time.value}: ${n} atoms; so far ${marked[0]} left, ${marked[1]} arrived. ` : state ? `State ${box.dataset.numbers.split(" ")[state.value]}, ${n} atoms. ` : "";
      if (k < 0) { said.textContent = `${where}Click an atom.`; return; }
      const place = points[k].map((v, i) => (v + scenes[0].origin[i]).toFixed(2));
      const error = data.sd ? data.sd.slice(3 * k, 3 * k + 3).map((v) => (v === null ? "?" : (v / 1000).toFixed(3))) : null;
      const parts = [`Atom ${data.site ? `at site ${data.site[k]}` : k + 1} (${data.element}) at ${place.join(", ")} Å`];
      if (error) parts.push(`± ${error.join(", ")} Å`);
      if (data.cn) parts.push(`coordination ${data.cn[k]}${data.kinds ? ` (${data.kinds[data.kind[k]]})` : ""}`);
      const strain = value("strain", k, 100, 2), spread = value("strain_sd", k, 100, 2);
      if (strain !== null) parts.push(`radial strain ${strain}${spread === null ? "" : ` ± ${spread}`} %`);
      const depth = value("depth", k, 100, 1), p = value("p", k, 1000, 3), occ = value("occ", k, 1000, 2);
      if (depth !== null) parts.push(`${depth} Å below the surface`);
      if (p !== null) parts.push(`probability ${p}`);
      if (occ !== null) parts.push(`occupancy ${occ}`);
      const validity = value("validity", k, 1000, 2);
      if (validity !== null) parts.push(`validity ${validity}`);
      if (data.life && data.life[k] >= 0) parts.push(LIVES[data.life[k]][0] + (data.core && data.core[k] ? ", core" : ""));
      if (self.other >= 0) {
        const apart = Math.hypot(...points[k].map((v, i) => v - points[self.other][i]));
        parts.push(`${apart.toFixed(2)} Å from atom ${self.other + 1}`);
      }
      said.textContent = `${where}${parts.join("; ")}.`;
    }
    function pick(x, y, second) {
      for (let k = seen.length - 1; k >= 0; k--)
        if (Math.hypot(seen[k][0] - x, seen[k][1] - y) <= seen[k][2]) {
          self.other = second ? self.picked : -1; self.picked = seen[k][3]; tell(); later(); return;
        }
      self.picked = self.other = -1; tell(); later();
    }
    function share() { for (const v of views) if (v.group === self.group) { v.R = self.R; v.zoom = self.zoom; v.later(); } }
    function rotate(dx, dy) { self.R = multiply(turn(dy, dx), self.R); share(); }
    function magnify(factor) { self.zoom = Math.min(Math.max(self.zoom * factor, 0.4), 12); share(); }
    function reset() { self.R = START; self.zoom = 1; cut.value = 0; share(); }

    const fingers = new Map();
    let moved = 0, apart = 0;
    canvas.addEventListener("pointerdown", (e) => { fingers.set(e.pointerId, [e.clientX, e.clientY]); moved = 0; apart = 0; canvas.setPointerCapture(e.pointerId); });
    canvas.addEventListener("pointermove", (e) => {
      const before = fingers.get(e.pointerId);
      if (!before) return;
      fingers.set(e.pointerId, [e.clientX, e.clientY]);
      if (fingers.size > 1) {
        const [a, b] = [...fingers.values()], now = Math.hypot(a[0] - b[0], a[1] - b[1]);
        if (apart) magnify(now / apart);
        apart = now; moved = 99;
        return;
      }
      const [dx, dy] = [e.clientX - before[0], e.clientY - before[1]];
      moved += Math.abs(dx) + Math.abs(dy);
      if (moved > 4) rotate(dx * 0.01, dy * 0.01);
    });
    const lift = (e) => {
      if (fingers.delete(e.pointerId) && e.type === "pointerup" && moved <= 4) {
        const frame = canvas.getBoundingClientRect();
        pick(e.clientX - frame.left - canvas.clientLeft, e.clientY - frame.top - canvas.clientTop, e.shiftKey);
      }
    };
    canvas.addEventListener("pointerup", lift);
    canvas.addEventListener("pointercancel", lift);
    // the wheel scrolls the page unless the view has been chosen
    canvas.addEventListener("wheel", (e) => {
      if (document.activeElement !== canvas && !e.ctrlKey) return;
      e.preventDefault(); magnify(Math.exp(-e.deltaY * 0.0015));
    }, { passive: false });
    canvas.addEventListener("keydown", (e) => {
      const step = Math.PI / 18;
      const does = {
        ArrowLeft: () => rotate(-step, 0), ArrowRight: () => rotate(step, 0), ArrowUp: () => rotate(0, -step), ArrowDown: () => rotate(0, step),
        "+": () => magnify(1.2), "=": () => magnify(1.2), "-": () => magnify(1 / 1.2), 0: reset,
        n: () => { self.picked = (self.picked + 1) % n; self.other = -1; tell(); later(); },
        p: () => { self.picked = (self.picked + n - 1 + (self.picked < 0)) % n; self.other = -1; tell(); later(); },
        Escape: () => { self.picked = self.other = -1; tell(); later(); },
      }[e.key];
      if (does && !e.ctrlKey && !e.metaKey && !e.altKey) { e.preventDefault(); does(); }
    });
    function link() {
      for (const v of views) if (self.linked && v !== self && v.linked === self.linked) v.follow(colours[by.value].label, size.value, cut.value);
    }
    function follow(label, s, c) {
      by.value = Math.max(0, colours.findIndex((x) => x.label === label));
      size.value = s; cut.value = c; key(); later();
    }
    by.addEventListener("change", () => { key(); later(); link(); });
    // what plays: states one by one, or the movie's frames in some twenty seconds
    const slider = time || state;
    const show = () => { if (time) scenes[0] = at(+time.value); load(time ? 0 : state ? +state.value : 0); key(); tell(); later(); };
    if (slider) {
      let clock = 0;
      const stop = () => { clearInterval(clock); clock = 0; if (play) play.textContent = "play"; };
      const go = (value) => { slider.value = value; show(); };
      slider.addEventListener("input", () => { stop(); show(); });
      const step = time ? Math.max(1, Math.round((lives.last - lives.first) / 250)) : 1;
      if (play) play.addEventListener("click", () => {
        if (clock) { stop(); return; }
        play.textContent = "stop";
        clock = setInterval(() => go(+slider.value >= +slider.max ? slider.min : +slider.value + step), time ? 80 : 900);
      });
      if (time) {
        const jump = (frames) => { stop(); if (frames.length) go(frames[0]); };
        box.querySelector(".before").addEventListener("click", () => jump(changes.filter((f) => f < +time.value).reverse()));
        box.querySelector(".after").addEventListener("click", () => jump(changes.filter((f) => f > +time.value)));
      }
    }
    for (const one of [size, cut]) one.addEventListener("input", () => { later(); link(); });
    box.querySelector(".reset").addEventListener("click", reset);
    new ResizeObserver(later).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", theme);
    Object.assign(self, { later, draw, follow });
    views.push(self);
    const first = views.find((v) => v.group === self.group);
    self.R = first.R; self.zoom = first.zoom;
    show(); theme(); draw();
    box.dataset.drawn = seen.length;
    return self;
  }

  const wake = (box) => { if (!box.dataset.drawn) { box.dataset.drawn = 0; View(box); } };
  const boxes = [...document.querySelectorAll(".viewer")];
  // many views are made one by one as they come near the screen: a hundred trajectories open as fast as one
  const watch = new IntersectionObserver((entries) => {
    for (const e of entries) if (e.isIntersecting) { watch.unobserve(e.target); wake(e.target); }
  }, { rootMargin: "400px" });
  boxes.forEach(boxes.length > 8 ? (box) => watch.observe(box) : wake);
  return { drawAll: () => { boxes.forEach(wake); views.forEach((v) => v.draw()); }, views };
})();
