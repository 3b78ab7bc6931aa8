// Filters of the table of claims, and what rests on what in its graphs. The page is complete without this script: the
// filters are hidden until it runs, and the graphs and the table show every claim.
(() => {
  "use strict";
  const form = document.querySelector(".featnorm-filters");
  const rows = Array.from(document.querySelectorAll(".featnorm-claims tbody"), (body) => ({
    body, text: body.textContent.toLowerCase(),
  }));
  const fields = ["outcome", "chapter", "formula", "text"];

  // The choice lives in the address, #outcome=fails&text=lemma, so that it can be linked to.
  function show() {
    const words = form.elements.text.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const {body, text} of rows) {
      const fits = ["outcome", "chapter", "formula"].every((name) => {
        const wanted = form.elements[name].value;
        return !wanted || body.dataset[name] === wanted;
      });
      body.hidden = !(fits && words.every((word) => text.includes(word)));
      shown += !body.hidden;
    }
    form.querySelector("output").textContent = `${shown} of ${rows.length} claims`;
  }

  function write() {
    const chosen = fields.filter((name) => form.elements[name].value.trim());
    const query = new URLSearchParams(chosen.map((name) => [name, form.elements[name].value.trim()]));
    history.replaceState(null, "", chosen.length ? `#${query}` : location.pathname + location.search);
  }

  function read() {
    if (location.hash && !location.hash.includes("=")) return; // the anchor of a heading chooses nothing
    const query = new URLSearchParams(location.hash.slice(1));
    for (const name of fields) {
      form.elements[name].value = query.get(name) || "";
      if (form.elements[name].selectedIndex < 0) form.elements[name].value = ""; // a value that does not occur
    }
    show();
  }

  form.addEventListener("input", () => { show(); write(); });
  form.addEventListener("reset", () => setTimeout(() => { show(); write(); }));
  form.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", read);
  form.hidden = false;
  read();

  // In a graph, the claim that is pointed at or has the focus: the ways down to what it rests on and up to what rests
  // on it stay, all else steps back, and a sentence below the graph says the same.
  function trace(part) {
    const svg = part.querySelector("svg"), said = part.querySelector(".featnorm-traced");
    const lines = Array.from(svg.querySelectorAll("path")), nodes = Array.from(svg.querySelectorAll("[data-claim]"));
    const name = (id) => nodes.find((node) => node.dataset.claim === id).dataset.name;

    function reach(id, near, far) {
      const found = new Set([id]);
      for (const at of found) for (const line of lines) if (line.dataset[near] === at) found.add(line.dataset[far]);
      return found;
    }
    function point(id) {
      const below = reach(id, "to", "from"), above = reach(id, "from", "to");
      for (const node of nodes) {
        node.classList.toggle("featnorm-on", below.has(node.dataset.claim) || above.has(node.dataset.claim));
      }
      for (const {dataset: {from, to}, classList} of lines) {
        classList.toggle("featnorm-on", (below.has(from) && below.has(to)) || (above.has(from) && above.has(to)));
      }
      svg.classList.add("featnorm-tracing");
      const list = (ids) => Array.from(ids).slice(1).map(name).join(", ") || "nothing";
      said.textContent = `${name(id)} rests on ${list(below)}. In this graph, on it rests: ${list(above)}.`;
    }
    for (const node of nodes) {
      for (const event of ["mouseenter", "focus"]) node.addEventListener(event, () => point(node.dataset.claim));
      for (const event of ["mouseleave", "blur"]) {
        node.addEventListener(event, () => svg.classList.remove("featnorm-tracing"));
      }
    }
  }
  document.addEventListener("DOMContentLoaded", () => document.querySelectorAll(".featnorm-part").forEach(trace));
})();
