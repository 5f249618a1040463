import { settingsMarkdown } from "../server/mod.ts";

/** docs/configuration.md, whole. */
export function configurationPage(): string {
  return [
    "<!-- deno-fmt-ignore-file -->",
    "<!-- Written by `deno task build` from server/settings.ts. -->",
    "",
    "# Configuration",
    "",
    "The server reads its settings from the environment. An empty value is no value. A wrong one is a mistake: all mistakes",
    "are named at once and the server does not start (exit code 2). An unknown `BREAKWATER_…` name is a mistake too, and",
    "the nearest known one is offered. Secrets may come from a file, by the name with `_FILE` behind it.",
    "",
    settingsMarkdown().trimEnd(),
    "",
  ].join("\n");
}
