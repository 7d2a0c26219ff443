// Uses a client that openapi-typescript generated of the server's OpenAPI document: submits a tune, waits for it, and
// reads its events. MILLRACE_URL and MILLRACE_API_KEY say where and as whom.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

type Event = components["schemas"]["Event"];

// The compiler holds this to every type of event: a document without one of them, or with another, does not compile.
function said(event: Event): string {
  switch (event.type) {
    case "backtest.tune.queued":
    case "backtest.tune.running":
    case "backtest.tune.progress":
    case "backtest.tune.completed":
    case "backtest.tune.failed":
    case "backtest.tune.canceled":
      return `${event.type} ${event.payload.trials_completed} of ${event.payload.n_trials}`;
    default:
      return event.type;
  }
}

// @ts-expect-error No event is of this type, so a closed union refuses it.
const wrong: Event["type"] = "backtest.tune.distilled";
void wrong;

const client = createClient<paths>({
  baseUrl: process.env.MILLRACE_URL ?? "",
  headers: { Authorization: `Bearer ${process.env.MILLRACE_API_KEY}` },
});

const submitted = await client.POST("/backtests/tune", {
  params: { header: { "X-Idempotency-Key": "generated-typescript" } },
  body: { dataset: "walk", strategy_name: "sma_cross", search_type: "grid", param_space: { fast: [5, 10], slow: { low: 60, high: 100, step: 20 } } },
});
if (!submitted.data) throw new Error(JSON.stringify(submitted.error));
const path = { id: submitted.data.tune_id };
const ended = await client.GET("/backtests/tunes/{id}", { params: { path, query: { wait: "60s", leaderboard: 3 } } });
if (!ended.data) throw new Error(JSON.stringify(ended.error));
const page = await client.GET("/events", { params: { query: { topics: "backtests", limit: 1000 } } });
if (!page.data) throw new Error(JSON.stringify(page.error));
const own = page.data.items.filter((event) => event.entity_id === path.id).map(said);
const refused = await client.GET("/backtests/tunes/{id}", { params: { path: { id: "none" } } });
console.log(JSON.stringify({ status: ended.data.status, ranked: ended.data.leaderboard.length, events: own, refused: refused.error?.status }));
