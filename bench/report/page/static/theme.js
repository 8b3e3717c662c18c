// Before the first paint: the theme that was chosen last, or the system's.
(() => {
  "use strict";
  let theme = "";
  try { theme = localStorage.getItem("bench-theme") || ""; } catch { /* no storage: the system's */ }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();
