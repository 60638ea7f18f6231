// Sets the colour mode before the first paint. A file of its own, because the Content-Security-Policy allows no inline script.
(function () {
  let mode = "auto";
  try {
    mode = localStorage.getItem("vueuse-color-scheme") || "auto";
  } catch {
    // Storage may be forbidden: the system's choice holds.
  }
  const dark = mode === "dark" || (mode === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.classList.toggle("dark", dark);
})();
