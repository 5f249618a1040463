import { rangeOf } from "./setting_kinds.ts";
import { type Setting, SETTING_GROUPS, type SettingGroup } from "./settings.ts";

const NO_EFFECT = "No effect yet.";

const GROUPS: readonly SettingGroup[] = SETTING_GROUPS;

/** What `--help` prints: every setting with its range, default and sentence. */
export function helpText(): string {
  const groups = GROUPS.map(({ title, settings }) => `${title}:\n${settings.map(helpEntry).join("\n")}`);
  return [
    "Breakwater receives OpenTelemetry data (OTLP) and forwards it through circuit breakers.",
    "",
    "Usage: deno task start [--help | --version]",
    "",
    "Everything is set by environment variables. An empty one counts as not set. A secret may come from a file:",
    "<name>_FILE is its path.",
    "",
    ...groups.flatMap((group) => [group, ""]),
    "Exit codes: 0 after SIGTERM or SIGINT and a drain, 1 when the server failed, 2 when it would not start,",
    "143 and 130 when a second SIGTERM or SIGINT ended the drain.",
  ].join("\n");
}

/** The table of settings as the documents show it. */
export function settingsMarkdown(): string {
  return GROUPS.map(({ title, settings }) =>
    [
      `**${title}**`,
      "",
      "| name | value | default | meaning |",
      "| --- | --- | --- | --- |",
      ...settings.map(markdownRow),
    ].join("\n")
  ).join("\n\n");
}

function helpEntry(setting: Setting): string {
  const { name, is, alias, perSignal, noEffectYet } = setting;
  const fallback = setting.default ?? setting.defaultSays ?? "none";
  return [
    `  ${name}${alias === undefined ? "" : `, also ${alias}`}`,
    `      ${unquoted(setting.says)}${noEffectYet ? ` ${NO_EFFECT}` : ""}`,
    `      Value: ${unquoted(rangeOf(is))}. Default: ${unquoted(fallback)}.`,
    ...(perSignal ? [`      For one signal: ${oneSignal(setting)}.`] : []),
  ].join("\n");
}

function markdownRow(setting: Setting): string {
  const { name, is, alias, secret, says, perSignal, noEffectYet } = setting;
  const names = [name, alias, secret && `${name}_FILE`].filter((other) => other !== undefined);
  const fallback = setting.default === undefined ? setting.defaultSays ?? "none" : `\`${setting.default}\``;
  const meaning = [
    says,
    ...(perSignal ? [`For one signal: \`${oneSignal(setting)}\`.`] : []),
    ...(noEffectYet ? [`*${NO_EFFECT}*`] : []),
  ].join(" ");
  return `| ${names.map((text) => `\`${text}\``).join("<br>")} | ${rangeOf(is)} | ${fallback} | ${meaning} |`;
}

function oneSignal({ name }: Setting): string {
  return name.replace(/^OTEL_EXPORTER_OTLP_/, "$&{TRACES,METRICS,LOGS}_");
}

function unquoted(text: string): string {
  return text.replaceAll("`", "");
}
