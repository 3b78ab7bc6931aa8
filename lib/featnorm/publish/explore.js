// The figure that can be moved. Its formulas repeat featnorm.equilibria, and a test compares the two.
// It runs from the disk: no kernel, no network, no library. Without it the page shows the same picture, drawn by Python.
(function (root) {
  "use strict";

  const FOLD_TOLERANCE = 1e-12;

  // ------------------------------------------------------------------------------------------------- equilibria

  // f(low) and f(high) have opposite signs: halve until no number lies between.
  function bisect(f, low, high) {
    const sign = f(low) > 0;
    for (;;) {
      const middle = low / 2 + high / 2;
      if (middle === low || middle === high) return middle;
      if (f(middle) > 0 === sign) low = middle; else high = middle;
    }
  }
  function beyond(f, start) {
    let step = start;
    while (f(step) >= 0) step *= 2;
    return step;
  }

  // [y*, r_c]: the positive root of 10 y^4 + 2 theta y = 1, where -2 y^5 - theta y^2 + y is largest, and that maximum.
  function fold(theta) {
    const falling = (y) => 1 - 10 * y ** 4 - 2 * theta * y;
    const y = bisect(falling, 0, beyond(falling, 1));
    return [y, y / 2 + 3 * y ** 5];
  }

  const scaled = (s) => [s.N_x * s.N_Phi / Math.sqrt(s.N_Psi), s.rho * (1 + s.sigma2) * s.N_Phi * Math.sqrt(s.N_Psi)];

  function criticalRho(s) {
    const a = 1 + s.sigma2;
    return s.loss === "L2" ? 1 / (4 * a) : fold(scaled(s)[0])[1] / (a * s.N_Phi * Math.sqrt(s.N_Psi));
  }

  // Positive rho below, at or above its critical value. rho = 0 lies outside the logarithmic slider.
  function side(s) {
    const gap = s.rho / criticalRho(s) - 1;
    return Math.abs(gap) <= FOLD_TOLERANCE ? "at" : gap > 0 ? "above" : "below";
  }

  const point = (w, name, stability, multiplicity) => ({w, name, stability, multiplicity: multiplicity || 1});

  // All equilibria in increasing order. Cosine: one negative root; the others on the two sides of the maximum y*.
  function solve(s) {
    const where = side(s), zero = point(0, "zero", "stable");
    if (s.loss === "L2") {
      const a = 1 + s.sigma2;
      if (where === "above") return [zero];
      if (where === "at") return [zero, point(1 / (2 * a), "w_up", "semi-stable", 2)];
      const root = Math.sqrt(1 - 4 * a * s.rho);
      return [zero, point(2 * s.rho / (1 + root), "w_down_plus", "unstable"), point((1 + root) / (2 * a), "w_up", "stable")];
    }
    const [theta, r] = scaled(s), unit = Math.sqrt(s.N_Psi), y = fold(theta)[0];
    const p = (x) => -2 * x ** 5 - theta * x ** 2 + x - r, mirrored = (x) => -p(-x);
    const found = [point(-unit * bisect(mirrored, 0, beyond(mirrored, 1)), "w_down_minus", "unstable"), zero];
    if (where === "at") found.push(point(unit * y, "w_up", "semi-stable", 2));
    if (where === "below") {
      found.push(point(unit * bisect(p, 0, y), "w_down_plus", "unstable"));
      found.push(point(unit * bisect(p, y, beyond(p, 2 * y)), "w_up", "stable"));
    }
    return found;
  }

  function velocity(s, w) {
    const a = 1 + s.sigma2;
    if (s.loss === "L2") return w ** 2 * (1 - a * w) - s.rho * w;
    const scale = s.N_Phi * s.N_Psi, square = s.N_Psi ** 2;
    return (-2 * w ** 6 / (scale * square) - s.N_x * w ** 3 / square + w ** 2 / scale) / a - s.rho * w;
  }

  // ---------------------------------------------------------------------------------------------------- the words

  // Three significant digits, without an exponent.
  function short(x) {
    const text = Number(x.toPrecision(3)).toString();
    const plain = text.includes("e") ? Number(text).toFixed(12).replace(/\.?0+$/, "") : text;
    return plain.replace("-", "−");
  }

  function words(s) {
    const at = Object.fromEntries(solve(s).map((e) => [e.name, short(e.w)])), where = side(s);
    const part = short(s.rho / criticalRho(s)), limit = short(criticalRho(s));
    const ending = s.loss === "L2"
      ? ` ρ is ${part} times its critical value ${limit}, in which no norm appears.`
      : ` ρ is ${part} times its critical value ${limit} at these norms.`;
    if (s.loss === "L2") {
      const name = {above: "L2, above the threshold", at: "L2, at the threshold", below: "L2, below the threshold"}[where];
      const text = {
        above: () => "One equilibrium: every eigenvalue tends to 0.",
        at: () => `Two equilibria: above ${at.w_up} an eigenvalue tends to ${at.w_up}, below it to 0.`,
        below: () => `Three equilibria: above ${at.w_down_plus} an eigenvalue tends to ${at.w_up}, below it to 0.`,
      }[where]();
      return [name, text + ending];
    }
    const low = at.w_down_minus, name = {above: "Collapse", at: "fold", below: "Acute"}[where];
    const text = {
      above: () => `Two equilibria: above ${low} an eigenvalue tends to 0, below it diverges.`,
      at: () => `Three equilibria: above ${at.w_up} an eigenvalue tends to ${at.w_up}, from ${low} up to there to 0, ` +
        "below it diverges.",
      below: () => `Four equilibria: above ${at.w_down_plus} an eigenvalue tends to ${at.w_up}, from ${low} up to ` +
        "there to 0, below it diverges.",
    }[where]();
    return [name, text + ending];
  }

  // -------------------------------------------------------------------------------------------------- the drawing

  const STEPS = [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10];
  function nice(x) { // the smallest round number that is not below x
    let unit = 1;
    while (unit > x) unit /= 10;
    while (unit * 10 < x) unit *= 10;
    return unit * STEPS.find((step) => step * unit >= x);
  }

  function largest(s, from, to) {
    let top = 0;
    for (let i = 0; i <= 40; i++) top = Math.max(top, Math.abs(velocity(s, from + (to - from) * i / 40)));
    return top;
  }

  // Half widths [X, V] of the window in w and in dw/dt.
  function frame(s, points) {
    const centre = s.loss === "L2" ? 1 / (1 + s.sigma2) : Math.sqrt(s.N_Psi) * fold(scaled(s)[0])[0];
    const right = Math.max(centre, points[points.length - 1].w), low = points[0].w;
    const inside = 1.6 * right, X = nice(-low <= 2.5 * inside ? Math.max(inside, -1.2 * low) : inside);
    const positive = 1.6 * largest(s, 0, right);
    return [X, nice(Math.max(positive, Math.min(1.1 * largest(s, low, 0), 4 * positive)))];
  }

  const px = (x) => (Math.round(x * 100) / 100).toString();

  // The changing part of both pictures as markup. `g` is the geometry that Python drew with.
  function draw(s, g) {
    const points = solve(s), [X, V] = frame(s, points);
    const sx = (w) => g.left + (g.right - g.left) * (Math.max(-X, Math.min(X, w)) + X) / (2 * X);
    const sy = (f) => (g.top + g.bottom) / 2 - (g.bottom - g.top) / 2 * Math.max(-3, Math.min(3, f / V));
    let curve = "";
    for (let i = 0; i <= 160; i++) {
      const w = X * (i - 80) / 80;
      curve += `${i ? "L" : "M"}${px(sx(w))} ${px(sy(velocity(s, w)))}`;
    }
    const labels = [-X, -X / 2, 0, X / 2, X].map((w) => `<text x="${px(sx(w))}" y="${g.ticks}" class="fe-mid">${short(w)}</text>`)
      .concat([-V, 0, V].map((f) => `<text x="${g.left - 5}" y="${px(sy(f) + 4)}" class="fe-end">${short(f)}</text>`));
    const edges = [-X, ...points.map((e) => e.w), X];
    let line = "";
    for (let i = 0; i + 1 < edges.length; i++) {
      const from = sx(edges[i]), to = sx(edges[i + 1]), rising = velocity(s, (edges[i] + edges[i + 1]) / 2) > 0;
      if (to - from < 1) continue;
      const aim = points[rising ? i : i - 1];
      const kind = !aim ? "diverges" : aim.w === 0 ? "collapses" : "converges";
      line += `<line x1="${px(from)}" x2="${px(to)}" y1="${g.phase}" y2="${g.phase}" class="fe-${kind}"/>`;
      if (to - from > 22) {
        const tip = (from + to) / 2 + (rising ? 6 : -6), tail = tip - (rising ? 10 : -10);
        line += `<path d="M${px(tip)} ${g.phase}L${px(tail)} ${g.phase - 6}V${g.phase + 6}Z" class="fe-arrow"/>`;
      }
    }
    const marks = points.map((e) => {
      const x = px(sx(e.w)), outside = Math.abs(e.w) > X ? " fe-outside" : "";
      const dots = [(g.top + g.bottom) / 2, g.phase].map((y) => `<circle cx="${x}" cy="${y}" r="5.5"/>` +
        (e.stability === "semi-stable" ? `<path d="M${x} ${y - 5.5}a5.5 5.5 0 0 1 0 11Z"/>` : "")).join("");
      return `<g class="fe-mark fe-${e.stability}${outside}"><title>${short(e.w)}, ${e.stability}</title>${dots}</g>`;
    }).join("");

    const rc = criticalRho(s), u = (N) => g.left + (g.right - g.left) * (Math.log10(N) - g.N_Phi[0]) / (g.N_Phi[1] - g.N_Phi[0]);
    const v = (rho) => g.low - (g.low - g.top) * (Math.log10(rho) - g.rho[0]) / (g.rho[1] - g.rho[0]);
    const border = (N) => v(s.loss === "L2" ? rc : rc * (s.N_Phi / N) ** 2);
    const first = border(10 ** g.N_Phi[0]), last = border(10 ** g.N_Phi[1]);
    const area = `M${g.left} ${px(first)}L${g.right} ${px(last)}V${g.low + 900}H${g.left}Z`;
    const names = s.loss === "L2" ? ["only 0 is left", "0 and two more"] : ["Collapse", "Acute"];
    const tag = (x, y, text, show, end) => show ? `<text x="${x}" y="${y}" class="fe-region${end}">${text}</text>` : "";
    const regions = tag(g.right - 8, g.top + 18, names[0], last > g.top + 24, " fe-end") +
      tag(g.left + 8, g.low - 10, names[1], first < g.low - 22, "");
    return {
      curve, area, regions,
      ticks: labels.join(""), line, marks,
      border: `M${g.left} ${px(first)}L${g.right} ${px(last)}`,
      at: [px(u(s.N_Phi)), px(v(s.rho))],
    };
  }

  // ---------------------------------------------------------------------------------------------------- the hands

  const NAMES = ["rho", "N_Phi", "N_Psi", "N_x"];
  const within = (x, range) => Math.max(range[0], Math.min(range[1], x));

  function mount(host) {
    const data = JSON.parse(host.dataset.explore), g = data.geometry, state = Object.assign({}, data.state);
    const find = (what) => host.querySelector(what), all = (what) => Array.from(host.querySelectorAll(what));
    const inputs = Object.fromEntries(NAMES.map((name) => [name, find(`input[name$="-${name}"]`)]));
    const radios = all("input[type=radio]"), handle = find(".fe-handle"), plane = find(".fe-plane");
    const value = (name, position) => name === "N_x" ? position : 10 ** position;
    const position = (name) => name === "N_x" ? state[name] : Math.log10(state[name]);
    const put = (element, text) => { if (element.textContent !== text) element.textContent = text; };

    function show() {
      const picture = draw(state, g), [name, text] = words(state);
      for (const key of ["curve", "area", "border"]) for (const e of all(`.fe-${key}`)) e.setAttribute("d", picture[key]);
      for (const key of ["ticks", "line", "marks", "regions"]) find(`.fe-${key}`).innerHTML = picture[key];
      handle.setAttribute("transform", `translate(${picture.at[0]} ${picture.at[1]})`);
      const numbers = `N_Φ = ${short(state.N_Phi)}, N_Ψ = ${short(state.N_Psi)}, ρ = ${short(state.rho)}`;
      handle.setAttribute("aria-valuenow", position("N_Phi").toFixed(3));
      handle.setAttribute("aria-valuetext", `${numbers}, ${name}`);
      host.dataset.loss = state.loss;
      put(find(".fe-name"), name);
      put(find(".fe-text"), text);
      find(".fe-velocity").setAttribute("aria-label", `dw/dt against the eigenvalue w. ${name}. ${text}`);
      for (const key of NAMES) {
        inputs[key].value = position(key);
        inputs[key].setAttribute("aria-valuetext", short(state[key]));
        put(inputs[key].parentElement.querySelector("output"), short(state[key]));
      }
      for (const radio of radios) radio.checked = radio.value === state.loss;
    }
    function set(changes) { Object.assign(state, changes); show(); }

    // Scaling both layers by c takes N_Phi to c N_Phi and N_Psi to c^2 N_Psi; neither may leave its slider.
    function move(du, dv) {
      const u = Math.log10(state.N_Phi), v = Math.log10(state.N_Psi);
      const step = within(within(du, [g.N_Phi[0] - u, g.N_Phi[1] - u]), [(g.N_Psi[0] - v) / 2, (g.N_Psi[1] - v) / 2]);
      const changes = {};
      if (step) Object.assign(changes, {N_Phi: 10 ** (u + step), N_Psi: 10 ** (v + 2 * step)});
      if (dv) changes.rho = 10 ** within(Math.log10(state.rho) + dv, g.rho);
      set(changes);
    }
    function moveTo(event) {
      const p = new DOMPoint(event.clientX, event.clientY).matrixTransform(plane.getScreenCTM().inverse());
      const u = g.N_Phi[0] + (g.N_Phi[1] - g.N_Phi[0]) * (p.x - g.left) / (g.right - g.left);
      const v = g.rho[0] + (g.rho[1] - g.rho[0]) * (g.low - p.y) / (g.low - g.top);
      move(u - Math.log10(state.N_Phi), v - Math.log10(state.rho));
    }

    for (const name of NAMES) {
      inputs[name].addEventListener("input", () => set({[name]: value(name, Number(inputs[name].value))}));
    }
    for (const radio of radios) radio.addEventListener("change", () => set({loss: radio.value}));
    all("button").forEach((button, i) => button.addEventListener("click", () => set(data.presets[i])));
    const KEYS = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1]};
    handle.addEventListener("keydown", (event) => {
      const way = KEYS[event.key];
      if (!way || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      const step = event.shiftKey ? 0.01 : 0.05;
      move(step * way[0], step * way[1]);
    });
    handle.addEventListener("pointerdown", (event) => { handle.setPointerCapture(event.pointerId); });
    handle.addEventListener("pointermove", (event) => { if (handle.hasPointerCapture(event.pointerId)) moveTo(event); });
    plane.addEventListener("click", moveTo);

    // What cannot be used without this script is hidden until now, and so from readers without it.
    plane.setAttribute("role", "group");
    handle.setAttribute("tabindex", "0");
    handle.setAttribute("role", "slider");
    for (const e of all("[hidden]")) e.hidden = false;
    show();
    return {state, set};
  }

  const api = {solve, criticalRho, side, velocity, words, draw, mount};
  if (typeof module === "object" && module.exports) module.exports = api;
  else {
    if (!root.featnormExplore) root.featnormExplore = api;
    for (const host of document.querySelectorAll("[data-explore]:not([data-ready])")) {
      host.dataset.ready = "";
      root.featnormExplore.mount(host);
    }
  }
})(typeof globalThis === "object" ? globalThis : this);
