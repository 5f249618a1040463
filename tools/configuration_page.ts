import { settingsMarkdown } from "../server/settings_text.ts";

const RULES = `
The server reads its settings from the environment, once, at the start. \`deno task start --help\` prints the same table.

- An empty variable counts as not set.
- A wrong value is a mistake, and so is an unknown \`BREAKWATER_…\` name, for which the nearest known one is offered. All
  mistakes are named at once and the server does not start (exit code 2).
- A setting with two names may be set under either. Set under both, the two must agree.
- A secret may come from a file, by the name with \`_FILE\` behind it. Secrets never appear in logs, health, metrics or
  messages.
- An unknown \`OTEL_EXPORTER_OTLP_…\` name may be meant for somebody else: it is warned of, and the server starts.
- Settings that have no effect yet are checked, accepted, and named once at the start.
- A listener that other machines can reach needs its token, or the word that it needs none.
- The upstream must not be one of the server's own listeners. What cannot be seen at the start, another name in DNS for
  example, shows later by the \`breakwater-hop\` header of forwarded requests: such a request is answered with 400.
- \`OTEL_DENO\` must not be true for this process: the server would trace the requests that carry its own traces. The task
  \`start\` turns it off.
`;

const NOTES = `
## Addresses

A listener is \`host:port\`, an IPv6 address in brackets: \`[::1]:4318\`. Port 0 is any free port; the \`ready\` line says
which. Lists have commas between their parts. Ranges are CIDR: \`10.0.0.0/8\`, \`fd00::/8\`, or one address alone.

\`/metrics\` is limited by client address, loopback included, in windows that begin with a client's first request. Name the
machines that scrape it in \`BREAKWATER_TRUSTED_SCRAPERS\`. Behind a reverse proxy every request comes from the proxy: name
it in \`BREAKWATER_TRUSTED_PROXIES\`, and the last address in \`X-Forwarded-For\` that is not a trusted proxy is the client.
All addresses of an IPv6 /64 are one client. 10 000 clients are remembered; while there are more, newcomers share buckets.

Admin answers to \`localhost\`, to loopback addresses, to the address it listens on, and to the names in
\`BREAKWATER_ADMIN_HOSTS\`; another \`Host\` is 421. A request that a page of another origin makes is 403. A platform that
probes by a container's address needs that address among the names.

## Permissions

| flag | for |
| --- | --- |
| \`--allow-net\` | to listen, and to reach the upstream |
| \`--allow-env\` | all of it, so that a misspelt setting is found |
| \`--allow-read\` | secrets in files, the data folder, and the worker that decodes large requests |
| \`--allow-write\` | the data folder; not needed with \`BREAKWATER_DATA_DIR=off\` |
| \`--allow-sys=networkInterfaces,uid\` | to know an upstream as itself that is one of this machine's addresses, and whether the data folder is ours |

Nothing is written outside the data folder, and no other program is run.

## Signals and exit codes

SIGTERM and SIGINT drain: nothing new is taken, what waits is delivered for at most \`BREAKWATER_DRAIN_TIMEOUT_MS\`, and
the account is printed as equations. The rest stays on the disk for the next start; with \`BREAKWATER_DATA_DIR=off\` it is
dropped as \`shutdown\`. A second signal ends the process at once.

| code | |
| --- | --- |
| 0 | drained after a signal, and the account balances |
| 1 | the server failed, or the account does not balance |
| 2 | it would not start: wrong settings or arguments, a taken port |
| 130, 143 | ended by a second SIGINT or SIGTERM |
`;

/** docs/configuration.md, whole. */
export function configurationPage(): string {
  return [
    "<!-- deno-fmt-ignore-file -->",
    "<!-- Written by `deno task build` from server/settings.ts and tools/configuration_page.ts. -->",
    "",
    "# Configuration",
    RULES,
    settingsMarkdown().trimEnd(),
    NOTES,
  ].join("\n");
}
