// What a search shows of a page: the first sentence of its prose that has one of the words.
// Sphinx would cut it out of all that stands on the page, labels of buttons and code included.
document.addEventListener("DOMContentLoaded", () => {
  if (typeof Search === "undefined") return;
  const wordsOf = (text) => text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
  const asked = wordsOf(new URLSearchParams(location.search).get("q") ?? "");
  Search.makeSearchSummary = (html, stems) => {
    const page = new DOMParser().parseFromString(html, "text/html");
    page.querySelectorAll(".headerlink, .math, .eqno, .made-with").forEach((each) => each.remove());
    const paragraphs = [
      ...page.querySelectorAll("article p, article li, article figcaption"),
    ].map((each) => each.textContent.replace(/\s+/g, " ").trim());
    const sentences = paragraphs.flatMap((each) => each.match(/\S.*?[.!?:](?= |$)/g) ?? []);
    const starting = (some) =>
      sentences.find((each) => wordsOf(each).some((word) => some.some((one) => word.startsWith(one))));
    // Sphinx looks for stems, which begin other words, too: that of "ties" is "ti".
    const sentence = starting(asked) ?? starting([...stems]) ?? sentences[0];
    if (!sentence) return null;
    const summary = document.createElement("p");
    summary.className = "context";
    summary.textContent = sentence.trim();
    return summary;
  };
});
