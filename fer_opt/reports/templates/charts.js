"use strict";
// Draws each figure's Vega specification; colours are the page's CSS variables, hence SVG.
(() => {
  const failed = (plot, error) => {
    plot.textContent = "This chart could not be drawn; its numbers stand in the tables.";
    console.error(error);
  };

  for (const plot of document.querySelectorAll(".plot")) {
    const spec = JSON.parse(document.getElementById(plot.dataset.spec).textContent);
    const options = { mode: "vega", renderer: "svg", actions: false, defaultStyle: false,
      tooltip: { disableDefaultStyle: true } };
    vegaEmbed(plot, spec, options).catch((error) => failed(plot, error));
  }

  // A printed page shows what is folded away on screen.
  let opened = [];
  window.addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    for (const one of opened) one.open = true;
  });
  window.addEventListener("afterprint", () => {
    for (const one of opened) one.open = false;
  });
})();
