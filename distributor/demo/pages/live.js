// Keeps the page fresh: elements with data-live are replaced when they changed; countdowns count.
"use strict";

const shown = new Map();
for (const each of document.querySelectorAll("[data-live][id]")) shown.set(each.id, each.innerHTML);

function countDown() {
  for (const each of document.querySelectorAll("[data-until]")) {
    const left = Math.max(0, Math.round(each.dataset.until - Date.now() / 1000));
    each.textContent = left ? `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}` : "a moment";
  }
}

async function refresh() {
  if (document.hidden) return;
  const answer = await fetch(location.href, { cache: "no-cache" });
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const each of document.querySelectorAll("[data-live][id]")) {
    const now = fresh.getElementById(each.id);
    if (now && now.innerHTML !== shown.get(each.id)) {
      shown.set(each.id, now.innerHTML);
      each.innerHTML = now.innerHTML;
    }
  }
  countDown();
}

function fitFrames() {
  for (const frame of document.querySelectorAll("iframe.sheet")) {
    const fit = () => { frame.style.height = `${frame.contentDocument.documentElement.scrollHeight}px`; };
    frame.addEventListener("load", () => { fit(); setTimeout(fit, 400); });
    addEventListener("resize", fit);
    if (frame.contentDocument.readyState === "complete") fit();
  }
}

countDown();
fitFrames();
setInterval(countDown, 1000);
if ("refresh" in document.body.dataset) setInterval(() => refresh().catch(() => {}), 1500);
