"use strict";
// Shows what changes without a reload. Without it, pages say to reload.
(() => {
  const main = document.getElementById("main");
  const said = document.getElementById("said");
  const rows = document.getElementById("rows");
  const most = 200; // rows of the page

  // scripted shows what only works with a script, and hides what is for those without.
  function scripted(on) {
    for (const e of document.querySelectorAll(".scripted")) e.hidden = !on;
    for (const e of document.querySelectorAll(".plain")) e.hidden = on;
  }

  // stream listens while the page is seen: a browser has only some connections to a host.
  function stream(address, listen) {
    let source = null;
    const open = () => {
      if (source || document.hidden) return;
      source = new EventSource(address());
      source.onopen = () => scripted(true);
      source.onerror = () => scripted(source.readyState !== EventSource.CLOSED);
      listen(source);
    };
    const close = () => {
      source?.close();
      source = null;
    };
    document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
    open();
    return close;
  }

  // now adds rows at the top.
  function now(bar) {
    const pause = document.getElementById("pause");
    const more = document.getElementById("more");
    const address = new URL(bar.dataset.events, location);
    let waiting = []; // rows while paused, the latest first
    let missed = 0;
    const paused = () => pause.getAttribute("aria-pressed") === "true";

    function tell() {
      const parts = [];
      if (waiting.length) parts.push(`${waiting.length} new`);
      if (missed) parts.push(`${missed} more came too fast to be read: narrow the filter, or save them`);
      more.textContent = parts.join("; ");
    }
    function show(list) {
      for (const row of list.reverse()) {
        if (document.getElementById(row.id)) continue;
        row.classList.add("new");
        rows.prepend(row);
      }
      while (rows.rows.length > most) rows.deleteRow(-1);
      document.getElementById("none")?.remove();
    }
    pause.addEventListener("click", () => {
      const on = !paused();
      pause.setAttribute("aria-pressed", on);
      pause.textContent = on ? "Go on" : "Pause";
      said.textContent = on ? "Paused" : "Goes on";
      if (!on) {
        show(waiting);
        waiting = [];
        missed = 0;
      }
      tell();
    });
    stream(() => address, (source) => {
      source.onmessage = (event) => {
        const parsed = document.createElement("template");
        parsed.innerHTML = event.data; // made by html/template
        const list = [...parsed.content.children].filter((row) => row.tagName === "TR");
        if (event.lastEventId) address.searchParams.set("after", event.lastEventId);
        if (paused()) {
          waiting = [...list, ...waiting].slice(0, most);
          tell();
        } else show(list);
      };
      source.addEventListener("more", (event) => {
        missed += Number(event.data);
        tell();
      });
    });
  }

  // busy reports whether somebody reads or copies just here.
  const busy = () => !document.getSelection().isCollapsed || main.querySelector("details[open]") || main.contains(document.activeElement) && main !== document.activeElement;

  // live replaces what changes.
  function live(address) {
    const trial = document.getElementById("share") !== null;
    const close = stream(() => address, (source) => {
      source.onmessage = (event) => {
        if (!trial && busy()) return;
        main.innerHTML = event.data; // made by html/template
        copies();
        scripted(true);
      };
      source.addEventListener("end", () => {
        close();
        if (trial) said.textContent = main.querySelector(".answer")?.textContent.trim() ?? "";
      });
    });
  }

  // copies adds a button to what is there to be copied.
  function copies() {
    for (const pre of main.querySelectorAll("pre.copy")) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "quiet";
      button.textContent = "Copy";
      button.addEventListener("click", async () => {
        try {
          await navigator.clipboard.writeText(pre.textContent);
          button.textContent = said.textContent = "Copied";
        } catch { // without https
          document.getSelection().selectAllChildren(pre);
          button.textContent = said.textContent = "Selected: copy it";
        }
      });
      pre.after(button);
    }
  }

  copies();
  const bar = document.getElementById("live");
  if (bar) now(bar);
  if (document.body.dataset.live) live(document.body.dataset.live);
})();
