// A figure that scrolls sideways, as wide ones do on a phone, can be reached by keyboard.
const reach = () =>
  document.querySelectorAll("figure:has(svg.drawing)").forEach((each) => {
    if (each.scrollWidth > each.clientWidth) each.tabIndex = 0;
    else each.removeAttribute("tabindex");
  });
document.addEventListener("DOMContentLoaded", reach);
window.addEventListener("resize", reach);
