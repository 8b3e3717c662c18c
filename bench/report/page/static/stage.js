// Two images in one place: divider, side by side or difference, with one zoom and pan for both.
window.benchStage = (() => {
  "use strict";
  const stage = document.getElementById("stage");
  if (!stage) return null;
  const MOST = 16, MODES = ["slider", "side", "difference"];
  const position = document.getElementById("position");
  const view = { scale: 1, x: 0, y: 0 };  // x, y: shift in per cent of a pane

  const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

  function draw() {
    view.x = clamp(view.x, -100 * (view.scale - 1), 0);
    view.y = clamp(view.y, -100 * (view.scale - 1), 0);
    stage.style.setProperty("--scale", view.scale);
    stage.style.setProperty("--x", `${view.x}%`);
    stage.style.setProperty("--y", `${view.y}%`);
    stage.classList.toggle("zoomed", view.scale > 1);
    stage.classList.toggle("pixels", view.scale >= 4);
    document.getElementById("zoom-reset").textContent = `${+view.scale.toFixed(1)}×`;
  }

  function cut(percent) {
    position.value = clamp(percent, 0, 100);
    position.setAttribute("aria-valuetext", `${position.value} % of A`);
    stage.style.setProperty("--cut", `${position.value}%`);
  }

  // fx, fy: the point of the pane, 0..1, that stays where it is.
  function zoom(factor, fx = 0.5, fy = 0.5) {
    const scale = clamp(view.scale * factor, 1, MOST), ratio = scale / view.scale;
    view.x = 100 * fx - (100 * fx - view.x) * ratio;
    view.y = 100 * fy - (100 * fy - view.y) * ratio;
    view.scale = scale;
    draw();
  }

  function reset() {
    Object.assign(view, { scale: 1, x: 0, y: 0 });
    draw();
  }

  function mode(name) {
    stage.dataset.mode = name;
    for (const button of document.querySelectorAll("[data-mode][aria-pressed]")) {
      button.setAttribute("aria-pressed", String(button.dataset.mode === name));
    }
    position.closest("label").hidden = name !== "slider";
  }

  // The pane under a point of the screen, and where in it the point lies.
  function spot(event) {
    const panes = [...stage.querySelectorAll(".pane")].map((pane) => pane.getBoundingClientRect());
    const inside = (box) => event.clientX >= box.left && event.clientX <= box.right
      && event.clientY >= box.top && event.clientY <= box.bottom;
    const box = panes.find(inside) || panes[0];
    return {
      box,
      fx: (event.clientX - box.left) / box.width,
      fy: (event.clientY - box.top) / box.height,
    };
  }

  const pointers = new Map();
  let dragging = "";
  stage.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    pointers.set(event.pointerId, event);
    stage.setPointerCapture(event.pointerId);
    const { box, fx } = spot(event);
    const near = Math.abs(fx * box.width - box.width * position.value / 100) < 28;
    dragging = stage.dataset.mode === "slider" && (view.scale === 1 || near) ? "cut" : "pan";
    if (dragging === "cut") cut(100 * fx);
  });
  stage.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const { box, fx } = spot(event);
    if (pointers.size === 2) {
      const [other] = [...pointers.values()].filter((each) => each.pointerId !== event.pointerId);
      const apart = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
      const middle = spot({
        clientX: (event.clientX + other.clientX) / 2, clientY: (event.clientY + other.clientY) / 2,
      });
      zoom(apart(event) / Math.max(1, apart(before)), middle.fx, middle.fy);
    } else if (dragging === "cut") {
      cut(100 * fx);
    } else {
      view.x += 100 * (event.clientX - before.clientX) / box.width;
      view.y += 100 * (event.clientY - before.clientY) / box.height;
      draw();
    }
    pointers.set(event.pointerId, event);
  });
  for (const name of ["pointerup", "pointercancel"]) {
    stage.addEventListener(name, (event) => pointers.delete(event.pointerId));
  }
  stage.addEventListener("dblclick", (event) => {
    const { fx, fy } = spot(event);
    if (view.scale > 1) reset(); else zoom(3, fx, fy);
  });
  stage.addEventListener("wheel", (event) => {
    // A bare wheel scrolls the page, unless the image is being looked into already.
    if (!event.ctrlKey && view.scale === 1) return;
    event.preventDefault();
    const { fx, fy } = spot(event);
    zoom(Math.exp(-event.deltaY / 300), fx, fy);
  }, { passive: false });
  position.addEventListener("input", () => cut(Number(position.value)));

  stage.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = event.shiftKey ? 10 : 2;
    const along = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const [dx, dy] = along[event.key] || [0, 0];
    if (!dx && !dy) return;
    if (stage.dataset.mode === "slider" && dx) {
      cut(Number(position.value) + dx * step);
    } else if (view.scale > 1) {
      view.x -= dx * step * 2;
      view.y -= dy * step * 2;
      draw();
    } else {
      return;
    }
    event.preventDefault();
  });

  for (const button of document.querySelectorAll("[data-mode][aria-pressed]")) {
    button.addEventListener("click", () => mode(button.dataset.mode));
  }
  document.getElementById("zoom-in").addEventListener("click", () => zoom(1.5));
  document.getElementById("zoom-out").addEventListener("click", () => zoom(1 / 1.5));
  document.getElementById("zoom-reset").addEventListener("click", reset);
  cut(50);
  draw();
  return {
    zoom, reset,
    nextMode: () => mode(MODES[(MODES.indexOf(stage.dataset.mode) + 1) % MODES.length]),
  };
})();
