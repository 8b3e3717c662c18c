// Two charts as plain SVG: quality against cost, and the scores of every image.
(() => {
  "use strict";
  const data = JSON.parse(document.getElementById("chart-data").textContent);
  const sets = window.benchViewer ? window.benchViewer.sets : [];
  const SVG = "http://www.w3.org/2000/svg";
  const draw = (tag, fields = {}, ...children) => {
    const node = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(fields)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  };
  const text = (x, y, words, fields = {}) => draw("text", { x, y, ...fields }, words);
  const short = (value) => Math.abs(value) >= 1e4 ? value.toExponential(1) : String(+value.toPrecision(4));
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  tip.setAttribute("role", "status");
  document.body.append(tip);
  function showTip(words, x, y) {
    tip.textContent = words;
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(6, Math.min(innerWidth - box.width - 6, x + 12))}px`;
    tip.style.top = `${Math.max(6, y - box.height - 10)}px`;
  }
  const hideTip = () => { tip.hidden = true; };
  addEventListener("scroll", hideTip, { passive: true });

  // Round numbers that cover low..high.
  function ticks(low, high, log, wanted) {
    if (log) {
      const found = [], first = Math.floor(Math.log10(low)), last = Math.ceil(Math.log10(high));
      const steps = last - first > 3 ? [1] : [1, 2, 5];
      for (let power = first; power <= last; power += 1) {
        for (const step of steps) {
          const value = step * 10 ** power;
          if (value >= low && value <= high) found.push(value);
        }
      }
      return found;
    }
    const raw = (high - low) / wanted, base = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((k) => k * base).find((k) => k >= raw);
    const found = [];
    for (let k = Math.ceil(low / step); k * step <= high + step * 1e-9; k += 1) found.push(+(k * step).toPrecision(12));
    return found;
  }
  function scale(values, from, to, log) {
    let low = Math.min(...values), high = Math.max(...values);
    if (log) {
      [low, high] = low === high ? [low / 2, high * 2] : [low / 1.35, high * 1.35];
      const span = Math.log(high / low);
      return { low, high, at: (v) => from + (to - from) * Math.log(v / low) / span };
    }
    const pad = low === high ? Math.abs(low) * 0.1 || 1 : (high - low) * 0.08;
    [low, high] = [low - pad, high + pad];
    return { low, high, at: (v) => from + (to - from) * (v - low) / (high - low) };
  }
  // Draw again where the width changes, so that letters keep their size on a phone.
  function redrawn(place, paint) {
    let width = 0;
    new ResizeObserver(() => {
      if (Math.abs(place.clientWidth - width) < 2) return;
      width = place.clientWidth;
      paint(width);
    }).observe(place);
  }
  const fill = (select, entries) => {
    select.replaceChildren(...entries.map(([value, words]) => new Option(words, value)));
  };

  // ---- quality against cost
  function tradeoff(card) {
    const part = (role) => card.querySelector(`[data-role=${role}]`);
    const wheres = new Set(data.quality.map((axis) => axis.where));
    const named = (axis) => [axis.label, axis.where].filter(Boolean).join(", ");
    fill(part("quality"), data.quality.map((axis, i) => [i, wheres.size > 1 ? named(axis) : axis.label]));
    fill(part("cost"), data.cost.map((axis, i) => [i, named(axis)]));
    const macs = data.cost.findIndex((axis) => axis.name.startsWith("macs"));
    part("cost").value = String(Math.max(0, macs));
    const place = part("plot");
    const paint = () => {
      const quality = data.quality[part("quality").value], cost = data.cost[part("cost").value];
      const width = place.clientWidth, height = Math.max(300, Math.min(460, width * 0.6));
      const edge = { left: 58, right: 18, top: 18, bottom: 46 };
      const all = Object.keys(quality.values).filter((key) => cost.values[key] !== undefined);
      const points = all.map((key) => ({
        key, x: cost.values[key], y: quality.values[key], size: data.size[key] || 0, name: data.names[key] || key,
      }));
      if (!points.length) { place.textContent = "No method has both numbers."; return; }
      const positive = points.filter((p) => p.x > 0).map((p) => p.x);
      const log = positive.length === points.length && Math.max(...positive) / Math.min(...positive) > 20;
      const x = scale(points.map((p) => p.x), edge.left, width - edge.right, log);
      const y = scale(points.map((p) => p.y), height - edge.bottom, edge.top, false);
      const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "group",
        "aria-label": `${quality.label} ${quality.where} against ${cost.label} ${cost.where}, ${points.length} methods` });
      for (const v of ticks(x.low, x.high, log, width / 110)) {
        svg.append(draw("line", { x1: x.at(v), x2: x.at(v), y1: edge.top, y2: height - edge.bottom, class: "grid" }),
          text(x.at(v), height - edge.bottom + 18, short(v), { "text-anchor": "middle", class: "tick" }));
      }
      for (const v of ticks(y.low, y.high, false, 6)) {
        svg.append(draw("line", { x1: edge.left, x2: width - edge.right, y1: y.at(v), y2: y.at(v), class: "grid" }),
          text(edge.left - 8, y.at(v) + 4, short(v), { "text-anchor": "end", class: "tick" }));
      }
      svg.append(text((edge.left + width - edge.right) / 2, height - 8, `${named(cost)}${log ? " (logarithmic)" : ""}`, { "text-anchor": "middle", class: "axis" }),
        text(0, 0, named(quality), { "text-anchor": "middle", class: "axis", transform: `translate(14 ${(edge.top + height - edge.bottom) / 2}) rotate(-90)` }));
      const better = (p, q) => quality.higher ? p > q : p < q;
      const front = [...points].sort((p, q) => p.x - q.x || (better(p.y, q.y) ? -1 : 1))
        .filter((p, i, list) => list.slice(0, i).every((q) => better(p.y, q.y)));
      if (front.length > 1) {
        svg.append(draw("polyline", { points: front.map((p) => `${x.at(p.x)},${y.at(p.y)}`).join(" "), class: "front" }));
      }
      const largest = Math.max(...points.map((p) => p.size), 1e-9), most = Math.min(17, width / 32);
      const radius = (p) => 5 + most * Math.sqrt(p.size / largest);
      const taken = points.map((p) => {
        const r = radius(p);
        return [x.at(p.x) - r, y.at(p.y) - r, x.at(p.x) + r, y.at(p.y) + r];
      });
      const free = (box) => box[0] >= edge.left - 4 && box[2] <= width - 2 && box[1] >= 2
        && taken.every((b) => box[2] < b[0] || box[0] > b[2] || box[3] < b[1] || box[1] > b[3]);
      // Large bubbles first, so that small ones lie on top.
      for (const p of [...points].sort((a, b) => b.size - a.size)) {
        const r = radius(p), cx = x.at(p.x), cy = y.at(p.y);
        const words = `${p.name}: ${quality.label} ${short(p.y)}, ${short(p.x)} ${named(cost)}${p.size ? `, ${short(p.size)} M parameters` : ""}`;
        const circle = draw("circle", { cx, cy, r, tabindex: 0, role: "img", "aria-label": words, class: front.includes(p) ? "bubble front-bubble" : "bubble" });
        circle.addEventListener("pointerenter", (e) => showTip(words, e.clientX, e.clientY));
        circle.addEventListener("pointerleave", hideTip);
        circle.addEventListener("focus", () => {
          const box = circle.getBoundingClientRect();
          showTip(words, box.right, box.top);
        });
        circle.addEventListener("blur", hideTip);
        svg.append(circle);
        const wide = 7.2 * p.name.length;
        const spots = [[cx + r + 4, cy + 4, "start"], [cx - r - 4, cy + 4, "end"], [cx, cy - r - 6, "middle"], [cx, cy + r + 14, "middle"]];
        for (const [tx, ty, anchor] of spots) {
          const left = anchor === "start" ? tx : anchor === "end" ? tx - wide : tx - wide / 2;
          const box = [left, ty - 11, left + wide, ty + 3];
          if (!free(box)) continue;
          taken.push(box);
          svg.append(text(tx, ty, p.name, { "text-anchor": anchor, class: "name" }));
          break;
        }
      }
      place.replaceChildren(svg);
    };
    for (const role of ["quality", "cost"]) part(role).addEventListener("change", paint);
    redrawn(place, paint);
  }

  // ---- every image's score
  const quantile = (sorted, q) => {
    const place = (sorted.length - 1) * q, low = Math.floor(place);
    return sorted[low] + (sorted[Math.min(low + 1, sorted.length - 1)] - sorted[low]) * (place - low);
  };
  function distribution(card) {
    const part = (role) => card.querySelector(`[data-role=${role}]`);
    const scored = sets.map((set, index) => [index, set]).filter(([, set]) => set.metrics.length);
    fill(part("set"), scored.map(([index, set]) => [index, set.title]));
    part("set").closest("label").hidden = scored.length < 2;
    const place = part("plot");
    const metrics = () => {
      const kept = part("metric").value, known = sets[part("set").value].metrics.map((m) => m.name);
      fill(part("metric"), known.map((name) => [name, name]));
      if (known.includes(kept)) part("metric").value = kept;
    };
    const paint = () => {
      const set = sets[part("set").value], name = part("metric").value;
      const metric = set.metrics.find((each) => each.name === name);
      const rows = set.layers.filter((each) => each.scores[name]).map((found) => {
        const values = found.scores[name].map((v, i) => [v, i]).filter(([v]) => v !== null && v !== undefined);
        const sorted = values.map(([v]) => v).sort((a, b) => a - b);
        return { found, values, sorted };
      }).filter((row) => row.sorted.length);
      if (!rows.length) { place.textContent = "No values."; return; }
      const width = place.clientWidth, narrow = width < 560, tall = narrow ? 50 : 36;
      const left = narrow ? 8 : 30 + 7.4 * Math.min(22, Math.max(...rows.map((r) => r.found.label.length)));
      const height = rows.length * tall + 44, edge = { top: 6, bottom: 38, right: 16 };
      const x = scale(rows.flatMap((r) => [r.sorted[0], r.sorted.at(-1)]), left, width - edge.right, false);
      const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img",
        "aria-label": `${metric.title} of every pair of ${set.title}, one row per method; numbers below` });
      for (const v of ticks(x.low, x.high, false, width / 90)) {
        svg.append(draw("line", { x1: x.at(v), x2: x.at(v), y1: edge.top, y2: height - edge.bottom, class: "grid" }),
          text(x.at(v), height - edge.bottom + 18, short(v), { "text-anchor": "middle", class: "tick" }));
      }
      svg.append(text((left + width - edge.right) / 2, height - 4, `${metric.title} (${name} ${metric.higher ? "↑" : "↓"})`, { "text-anchor": "middle", class: "axis" }));
      rows.forEach((row, place_) => {
        const middle = edge.top + place_ * tall + (narrow ? tall - 16 : tall / 2);
        const label = row.found.label.length > 22 ? `${row.found.label.slice(0, 21)}…` : row.found.label;
        svg.append(narrow ? text(0, middle - 17, label, { class: "name" })
          : text(left - 12, middle + 4, label, { "text-anchor": "end", class: "name" }));
        // One path of round dots: thousands of circles would take the browser seconds.
        const dots = row.values.map(([v, i]) => `M${x.at(v).toFixed(1)} ${(middle + ((i * 0.618034) % 1 - 0.5) * 20).toFixed(1)}h0`).join("");
        const [q1, q2, q3] = [0.25, 0.5, 0.75].map((q) => quantile(row.sorted, q));
        const mean = row.sorted.reduce((a, b) => a + b, 0) / row.sorted.length, m = x.at(mean);
        const kind = row.found.source ? " source" : "";
        svg.append(draw("rect", { x: x.at(q1), y: middle - 11, width: Math.max(1, x.at(q3) - x.at(q1)), height: 22, rx: 3, class: `quartiles${kind}` }),
          draw("path", { d: dots, class: `dots${kind}` }),
          draw("line", { x1: x.at(q2), x2: x.at(q2), y1: middle - 11, y2: middle + 11, class: "median" }),
          draw("path", { d: `M${m} ${middle - 5}l5 5-5 5-5-5z`, class: "mean" }));
      });
      const nearest = (event) => {
        const box = svg.getBoundingClientRect();
        const row = rows[Math.floor((event.clientY - box.top - edge.top) / tall)];
        if (!row) return null;
        const off = (v) => Math.abs(x.at(v) - (event.clientX - box.left));
        const [v, index] = row.values.reduce((a, b) => (off(b[0]) < off(a[0]) ? b : a));
        return off(v) < 12 ? { row, v, index } : null;
      };
      svg.addEventListener("pointermove", (event) => {
        const hit = nearest(event);
        svg.style.cursor = hit ? "pointer" : "";
        if (hit) showTip(`${hit.row.found.label}, pair ${set.ids[hit.index]}: ${name} ${short(hit.v)}`, event.clientX, event.clientY);
        else hideTip();
      });
      svg.addEventListener("pointerleave", hideTip);
      svg.addEventListener("click", (event) => {
        const hit = nearest(event);
        if (!hit) return;
        hideTip();
        window.benchViewer.jump(Number(part("set").value), hit.index, hit.row.found.key);
      });
      place.replaceChildren(svg);
      numbers(part("numbers"), rows, `${name} on ${set.title}`);
    };
    part("set").addEventListener("change", () => { metrics(); paint(); });
    part("metric").addEventListener("change", paint);
    metrics();
    redrawn(place, paint);
  }
  function numbers(place, rows, title) {
    const cell = (tag, words, scope) => {
      const node = document.createElement(tag);
      node.textContent = words;
      if (scope) node.scope = scope;
      return node;
    };
    const table = document.createElement("table");
    table.className = "bench";
    table.createCaption().textContent = title;
    const head = table.createTHead().insertRow();
    head.append(...["Method", "pairs", "lowest", "lower quartile", "median", "upper quartile", "highest"].map((w) => cell("th", w, "col")));
    const body = table.createTBody();
    for (const row of rows) {
      const line = body.insertRow();
      line.append(cell("th", row.found.label, "row"), cell("td", String(row.sorted.length)),
        ...[0, 0.25, 0.5, 0.75, 1].map((q) => cell("td", short(quantile(row.sorted, q)))));
    }
    place.replaceChildren(table);
  }

  const first = document.getElementById("tradeoff"), second = document.getElementById("distribution");
  if (first && data.quality.length && data.cost.length) tradeoff(first); else if (first) first.hidden = true;
  if (second && sets.some((set) => set.metrics.length)) distribution(second); else if (second) second.hidden = true;
})();
