// What scrolls inside its own box is reached with the Tab key, for the arrow keys to move it. A box is looked at when it
// gets its size and whenever that changes: on another screen, once its formulas are typeset, when its fold is opened.
(() => {
  const boxes = "div.math, .bd-article :is(table, pre, p, .output)";
  const look = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const scrolls = target.scrollWidth > target.clientWidth && getComputedStyle(target).overflowX === "auto";
      if (scrolls) target.tabIndex = 0;
      else target.removeAttribute("tabindex");
    }
  });
  addEventListener("DOMContentLoaded", () => document.querySelectorAll(boxes).forEach((box) => look.observe(box)));
})();
