// Keeps an order page true while it is open: a WebSocket says that something changed, htmx fetches what.
// Without a WebSocket (blocked, server away) the page asks every few seconds instead.
(() => {
  const page = document.querySelector("[data-live-url]");
  if (!page) return;
  const badge = page.querySelector("[data-state]");
  const MINUTE_MS = 60000, POLL_MS = 8000, LONGEST_WAIT_MS = 15000, CALM_MS = 400, BUSY_MS = 3000, NOT_YOURS = 4404;
  let wait = 500, poller = null, soon = null;

  const show = (state, text) => { badge.dataset.state = state; badge.textContent = text; };
  const refresh = async () => {
    if (page.querySelector("details :is(input, select):focus")) { setTimeout(refreshSoon, BUSY_MS); return; } // somebody types
    const open = [...page.querySelectorAll("details[open][id]")].map((one) => one.id);
    await htmx.ajax("GET", page.dataset.partialUrl, { target: "#order-live", swap: "innerHTML" });
    open.forEach((id) => document.getElementById(id)?.setAttribute("open", ""));
  };
  const refreshSoon = () => { soon ??= setTimeout(() => { soon = null; refresh(); }, CALM_MS); }; // many messages, one look
  const poll = () => { poller ??= setInterval(refresh, POLL_MS); };

  const connect = () => {
    const socket = new WebSocket(page.dataset.liveUrl);
    socket.onopen = () => {
      wait = 500;
      clearInterval(poller); poller = null;
      show("open", "Live");
    };
    socket.onmessage = refreshSoon; // the first message comes at once: what changed while nobody listened
    socket.onclose = ({ code }) => {
      if (code === NOT_YOURS) { // signed out meanwhile
        clearInterval(poller);
        show("off", "Reload the page to see what is new");
        return;
      }
      show("polling", "Reconnecting; checking every few seconds");
      poll();
      setTimeout(connect, wait);
      wait = Math.min(wait * 2, LONGEST_WAIT_MS);
    };
  };
  connect();
  setInterval(() => { if (page.querySelector(".arrival")) refresh(); }, MINUTE_MS); // what was likely may be past
})();
