// Which pair and which two images are shown, in which order, with the pair's scores beside them.
window.benchViewer = (() => {
  "use strict";
  const sets = JSON.parse(document.getElementById("viewer-data").textContent);
  const at = (id) => document.getElementById(id);
  const stage = at("stage");
  if (!stage || !sets.length) return null;
  const state = { set: 0, pair: 0, a: "", b: "", order: [], keys: [] };
  const copiesOf = new Map();

  const make = (tag, fields = {}, ...children) => {
    const node = Object.assign(document.createElement(tag), fields);
    node.append(...children);
    return node;
  };
  const option = (value, text) => make("option", { value, textContent: text });
  const current = () => sets[state.set];
  const layer = (key) => current().layers.find((each) => each.key === key);
  const number = (value) => value.toFixed(Math.abs(value) >= 1000 ? 0 : 3);

  // Parsed when a data set is first opened: megabytes that most visits need for one set only.
  function copies() {
    if (!copiesOf.has(state.set)) {
      copiesOf.set(state.set, JSON.parse(at(`copies-${state.set}`).textContent));
    }
    return copiesOf.get(state.set);
  }
  function copy(source, index) {
    const data = copies()[source]?.[index];
    return data ? `data:image/webp;base64,${data}` : "";
  }

  function address(key, index) {
    const found = layer(key), place = found.where[index];
    if (place === "-") return "";
    if (place === "o") return found.originals[index] || "";
    const folder = found.folders[Number(place)];
    return folder === null ? "" : `${folder}/${encodeURIComponent(current().ids[index])}.png`;
  }

  // ---- images
  const shown = { a: 0, b: 0 };
  function load(side) {
    const key = state[side], index = state.pair, found = layer(key);
    const image = at(`image-${side}`), message = image.parentElement.querySelector(".message");
    const ticket = ++shown[side], small = found.source ? copy(key, index) : "";
    const full = address(key, index);
    image.alt = `${found.label}, pair ${current().ids[index]}`;
    stage.querySelector(`.tag.${side}`).textContent = found.label;
    const tell = (words) => { message.hidden = !words; message.textContent = words; };
    const put = (source) => {
      image.src = source;
      image.hidden = false;
    };
    const become = (word) => {
      image.dataset.state = word;
      const busy = ["a", "b"].some((each) => at(`image-${each}`).dataset.state === "loading");
      stage.setAttribute("aria-busy", String(busy));
    };
    const missing = (words) => {
      become(small ? "copy" : "missing");
      if (small) { tell("reduced copy"); return; }
      image.hidden = true;
      image.removeAttribute("src");
      tell(words);
    };
    tell("");
    become("loading");
    if (small) put(small);
    if (!full) return missing("no image of this pair");
    const loader = new Image();
    loader.onload = () => {
      if (ticket !== shown[side]) return;
      put(loader.src);
      become("full");
      stage.style.setProperty("--ratio", loader.naturalWidth / loader.naturalHeight);
    };
    loader.onerror = () => { if (ticket === shown[side]) missing("image file not found beside the page"); };
    loader.src = full;
  }

  // ---- order of the pairs
  function measure() {
    const how = at("order").value, metric = at("order-metric").value;
    const known = current().metrics.find((each) => each.name === metric);
    if (how === "set" || !known) return null;
    const methods = current().layers.filter((each) => !each.source && each.scores[metric]);
    const own = layer(at("order-method").value)?.scores[metric];
    const finite = (list) => list.filter((value) => value !== null && value !== undefined);
    const mean = (list) => list.reduce((sum, value) => sum + value, 0) / list.length;
    return current().ids.map((_, index) => {
      const values = finite(methods.map((each) => each.scores[metric][index]));
      if (how === "spread") {
        if (values.length < 2) return null;
        const middle = mean(values);
        return { key: Math.sqrt(mean(values.map((v) => (v - middle) ** 2))), text: "± " };
      }
      const value = own?.[index];
      if (value === null || value === undefined) return null;
      if (how === "apart") {
        const others = finite(methods.filter((each) => each.key !== at("order-method").value)
          .map((each) => each.scores[metric][index]));
        if (!others.length) return null;
        const off = value - mean(others);
        return { key: Math.abs(off), shown: off, text: off > 0 ? "+" : "" };
      }
      return { key: (how === "best") === known.higher ? value : -value, shown: value, text: "" };
    });
  }

  function arrange(jump) {
    const measured = measure(), count = current().ids.length;
    const how = at("order").value;
    at("order-method").closest("label").hidden = how === "set" || how === "spread";
    at("order-metric").closest("label").hidden = how === "set";
    state.order = [...Array(count).keys()];
    state.keys = measured || [];
    if (measured) {
      state.order.sort((x, y) => (measured[y]?.key ?? -Infinity) - (measured[x]?.key ?? -Infinity) || x - y);
    }
    const texts = state.order.map((index) => value(index));
    at("pair").replaceChildren(...state.order.map((index, place) =>
      option(String(index), `${place + 1}. ${current().ids[index]}${texts[place] && ` · ${texts[place]}`}`)));
    if (jump) state.pair = state.order[0];
    film();
    show();
  }
  function value(index) {
    const entry = state.keys[index];
    return entry ? entry.text + number(entry.shown ?? entry.key) : "";
  }

  // ---- film strip
  let filmSeen = false;
  function film() {
    if (!filmSeen) return;
    const source = copies().visible.some(Boolean) ? "visible" : "infrared";
    at("film").replaceChildren(...state.order.map((index) => {
      const picture = copy(source, index), id = current().ids[index], text = value(index);
      const button = make("button", { type: "button", tabIndex: -1, title: id });
      button.dataset.index = index;
      if (picture) button.append(make("img", { src: picture, alt: "", loading: "lazy", decoding: "async" }));
      button.append(make("span", { textContent: id }));
      if (text) button.append(make("b", { textContent: text }));
      return button;
    }));
    mark();
  }
  function mark() {
    for (const button of at("film").querySelectorAll("[aria-current], [tabindex='0']")) {
      button.removeAttribute("aria-current");
      button.tabIndex = -1;
    }
    const chosen = at("film").querySelector(`[data-index="${state.pair}"]`);
    if (!chosen) return;
    chosen.setAttribute("aria-current", "true");
    chosen.tabIndex = 0;
    const strip = at("film");
    strip.scrollLeft = chosen.offsetLeft - (strip.clientWidth - chosen.clientWidth) / 2;
  }
  at("film").addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) go(Number(button.dataset.index));
  });
  at("film").addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    move(step);
    at("film").querySelector("[tabindex='0']")?.focus();
  });

  // ---- scores
  const sorted = new Map();
  function share(found, metric, index) {
    const key = `${state.set}/${found.key}/${metric.name}`, values = found.scores[metric.name];
    if (!sorted.has(key)) {
      sorted.set(key, values.filter((v) => v !== null && v !== undefined).sort((x, y) => x - y));
    }
    const list = sorted.get(key), own = values[index];
    const below = list.filter((v) => (metric.higher ? v < own : v > own)).length;
    return list.length > 1 ? below / (list.length - 1) : 1;
  }
  function scores() {
    const metrics = current().metrics, index = state.pair;
    const layers = current().layers.filter((each) => each.where[index] !== "-" || Object.keys(each.scores).length);
    const best = metrics.map((metric) => {
      const values = layers.filter((each) => !each.source)
        .map((each) => each.scores[metric.name]?.[index]).filter((v) => v !== null && v !== undefined);
      return values.length > 1 ? Math[metric.higher ? "max" : "min"](...values) : null;
    });
    const head = make("tr", {}, make("th", { scope: "col", textContent: "Show as" }),
      make("th", { scope: "col", textContent: "Method" }),
      ...metrics.map((metric) => make("th", {
        scope: "col", title: metric.title, textContent: `${metric.name} ${metric.higher ? "↑" : "↓"}`,
      })));
    const rows = layers.map((found) => {
      const pick = make("td", { className: "choose" }, ...["a", "b"].map((side) => {
        const button = make("button", { type: "button", textContent: side.toUpperCase() });
        button.setAttribute("aria-pressed", String(state[side] === found.key));
        button.setAttribute("aria-label", `Show ${found.label} as image ${side.toUpperCase()}`);
        button.className = `side ${side}`;
        button.addEventListener("click", () => {
          pickSide(side, found.key);
          at("scores").querySelector(`button.${side}[aria-pressed="true"]`)?.focus();
        });
        return button;
      }));
      const cells = metrics.map((metric, place) => {
        const own = found.scores[metric.name]?.[index];
        if (own === null || own === undefined) return make("td", { className: "none", textContent: "–" });
        const part = share(found, metric, index);
        const cell = make("td", { title: `better than ${Math.round(100 * part)} % of this method's pairs` },
          make("span", { className: own === best[place] && !found.source ? "best" : "", textContent: number(own) }));
        cell.style.setProperty("--share", part.toFixed(3));
        return cell;
      });
      return make("tr", { className: found.source ? "source" : "" }, pick,
        make("th", { scope: "row", textContent: found.label }), ...cells);
    });
    at("scores").replaceChildren(make("table", { className: "bench pair-scores" },
      make("caption", { className: "hidden", textContent: `Scores of pair ${current().ids[index]}` }),
      make("thead", {}, head), make("tbody", {}, ...rows)));
  }

  // ---- what is shown
  function show() {
    const id = current().ids[state.pair], place = state.order.indexOf(state.pair);
    at("pair").value = String(state.pair);
    const note = current().notes[state.pair];
    at("note").textContent = `${place + 1} of ${state.order.length}${note ? ` · ${note}` : ""}`;
    for (const side of ["a", "b"]) { at(`side-${side}`).value = state[side]; load(side); }
    scores();
    mark();
    at("announce").textContent = `Pair ${id}, ${layer(state.a).label} and ${layer(state.b).label}`;
  }
  function go(index) { state.pair = index; show(); }
  function move(step) {
    const count = state.order.length;
    go(state.order[(state.order.indexOf(state.pair) + step + count) % count]);
  }
  function pickSide(side, key) { state[side] = key; show(); }
  function swap() { [state.a, state.b] = [state.b, state.a]; show(); }

  function open(set) {
    state.set = set;
    at("set").value = String(set);
    const { layers, metrics } = current(), fused = layers.filter((each) => !each.source);
    const keep = (key) => layers.some((each) => each.key === key);
    if (!keep(state.a)) state.a = layers[0].key;
    const scoredLast = fused.findLast((each) => Object.keys(each.scores).length);
    if (!keep(state.b)) state.b = (scoredLast || fused.at(-1) || layers.at(-1)).key;
    for (const id of ["side-a", "side-b"]) at(id).replaceChildren(...layers.map((l) => option(l.key, l.label)));
    const kept = [at("order-method").value, at("order-metric").value];
    at("order-method").replaceChildren(...fused.map((l) => option(l.key, l.label)));
    at("order-metric").replaceChildren(...metrics.map((m) => option(m.name, m.name)));
    const last = fused.at(-1)?.key || "";
    at("order-method").value = fused.some((l) => l.key === kept[0]) ? kept[0] : last;
    at("order-metric").value = metrics.some((m) => m.name === kept[1]) ? kept[1] : metrics[0]?.name || "";
    const scored = metrics.length > 0 && fused.length > 0;
    at("order").closest("label").hidden = !scored;
    if (!scored) at("order").value = "set";
    stage.closest(".compare").classList.toggle("unscored", !scored);
    window.benchStage.reset();
    arrange(true);
  }

  at("set").append(...sets.map((set, index) => option(String(index), set.title.toLowerCase() === set.name.toLowerCase() ? set.title : `${set.title} (${set.name})`)));
  at("set").closest("label").hidden = sets.length < 2;
  at("set").addEventListener("change", () => open(Number(at("set").value)));
  for (const id of ["order", "order-method", "order-metric"]) at(id).addEventListener("change", () => arrange(true));
  at("pair").addEventListener("change", () => go(Number(at("pair").value)));
  for (const side of ["a", "b"]) {
    at(`side-${side}`).addEventListener("change", () => pickSide(side, at(`side-${side}`).value));
  }
  at("previous").addEventListener("click", () => move(-1));
  at("next").addEventListener("click", () => move(1));
  at("swap").addEventListener("click", swap);

  const keys = {
    n: () => move(1), p: () => move(-1), s: swap, m: window.benchStage.nextMode, 0: window.benchStage.reset,
    "+": () => window.benchStage.zoom(1.5), "=": () => window.benchStage.zoom(1.5), "-": () => window.benchStage.zoom(1 / 1.5),
  };
  document.addEventListener("keydown", (event) => {
    const within = at("viewer").contains(document.activeElement) && !/^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName);
    const slider = document.activeElement === at("position");
    const box = stage.getBoundingClientRect();
    const looking = document.activeElement === document.body && box.top < innerHeight && box.bottom > 0;
    if (event.ctrlKey || event.metaKey || event.altKey || !(within || slider || looking)) return;
    const act = keys[event.key];
    if (act) { event.preventDefault(); act(); }
  });

  // The strip is made when it comes near: hundreds of small images that the first view doesn't need.
  new IntersectionObserver((entries, observer) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    observer.disconnect();
    filmSeen = true;
    film();
  }, { rootMargin: "600px" }).observe(at("film"));
  let opened = false;
  new IntersectionObserver((entries, observer) => {
    if (opened || !entries.some((entry) => entry.isIntersecting)) return;
    opened = true;
    observer.disconnect();
    open(state.set);
  }, { rootMargin: "800px" }).observe(at("viewer"));

  return {
    sets,
    jump(set, index, key) {
      opened = true;
      if (state.set !== set || !state.a) open(set);
      if (layer(key)) state.b = key;
      go(index);
      const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
      at("viewer").scrollIntoView({ behavior: calm ? "auto" : "smooth" });
      stage.focus({ preventScroll: true });
    },
  };
})();
