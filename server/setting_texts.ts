import type { Environment } from "../exporters/env.ts";
import { type KindOf, rangeOf, readKind, type SettingValues } from "./setting_kinds.ts";
import { namesOf, type Setting, type SettingName, SETTINGS } from "./settings.ts";

/** A text with the name under which it was found: the setting's own, its alias, or that of a file. */
export interface FoundText {
  readonly name: string;
  readonly text: string;
}

/** How much of a text a mistake repeats. */
const RECEIVED_LENGTH_MAX = 100;

/** Reads settings one by one and keeps every mistake it finds on the way. */
export class SettingTexts {
  readonly mistakes: string[] = [];
  readonly #environment: Environment;
  readonly #readText: (path: string) => string;
  readonly #found = new Map<string, FoundText | undefined>();

  /** @param readText Reads the file that `<secret>_FILE` names; may throw. */
  constructor(environment: Environment, readText: (path: string) => string) {
    this.#environment = environment;
    this.#readText = readText;
  }

  /** Whether there is a proxy for plain HTTP: no setting of ours, but what the runtime's `fetch` looks for. */
  get namesProxy(): boolean {
    return ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"].some((name) =>
      (this.#environment[name] ?? "") !== ""
    );
  }

  /** The value of a setting of that kind, or of its default; undefined when it has neither, or is mistaken. */
  value<Kind extends keyof SettingValues>(kind: Kind, name: SettingName): SettingValues[Kind] | undefined {
    const setting = SETTINGS.find((setting) => setting.name === name)!;
    if (setting.is.kind !== kind) throw new TypeError(`Cannot read setting: ${name} is not of the kind ${kind}`);
    const is = setting.is as KindOf<Kind>;
    const found = this.found(setting);
    if (found !== undefined) {
      const value = readKind(kind, is, found.text);
      if (value !== undefined) return value;
      const received = setting.secret ? "received something else" : `received ${quoted(found.text)}`;
      this.#mistake(`${found.name} must be ${rangeOf(is)}, ${received}`);
    }
    return setting.default === undefined ? undefined : readKind(kind, is, setting.default);
  }

  /** Reads every setting once, so that mistakes stand in the order of the table, and nothing stays unread. */
  readAll(): void {
    for (const setting of SETTINGS) {
      if (setting.is.kind === "otlp") namesOf(setting).forEach((name) => this.textOf(setting, name));
      else this.value(setting.is.kind, setting.name);
    }
  }

  /** What is set for a setting: under its name or its alias, or in the file that stands for a secret. */
  found(setting: Setting): FoundText | undefined {
    const own = this.textOf(setting, setting.name);
    const other = setting.alias === undefined ? undefined : this.textOf(setting, setting.alias);
    if (own !== undefined && other !== undefined && own.text !== other.text) {
      const received = `received ${quoted(own.text)} and ${quoted(other.text)}`;
      this.#mistake(`${own.name} and ${other.name} are two names of one setting and must agree, ${received}`);
    }
    return own ?? other;
  }

  /** What is set under one of a setting's names. */
  textOf(setting: Setting, name: string): FoundText | undefined {
    if (!this.#found.has(name)) this.#found.set(name, this.#read(setting, name));
    return this.#found.get(name);
  }

  /** Names of settings that are set, although nothing in this version listens to them. */
  withoutEffect(): readonly string[] {
    return SETTINGS.filter(({ noEffectYet }) => noEffectYet).flatMap((setting) =>
      namesOf(setting).filter((name) => this.textOf(setting, name) !== undefined)
    );
  }

  #read(setting: Setting, name: string): FoundText | undefined {
    const text = trimmed(this.#environment[name]);
    const fileName = `${name}_FILE`;
    const path = setting.secret ? trimmed(this.#environment[fileName]) : undefined;
    if (path === undefined) return text === undefined ? undefined : { name, text };
    if (text !== undefined) this.#mistake(`${name} and ${fileName} are both set: one of them must go`);
    const received = `received ${quoted(path)}`;
    try {
      const secret = trimmed(this.#readText(path));
      if (secret !== undefined) return { name: fileName, text: secret };
      this.#mistake(`${fileName} must name a file with the secret in it, ${received}, which is empty`);
    } catch (error) {
      const why = (error as { code?: string }).code ?? (error instanceof Error ? error.name : "unknown");
      this.#mistake(`${fileName} must name a file that can be read, ${received} (${why})`);
    }
    return undefined;
  }

  /** A setting that is asked for twice is mistaken once. */
  #mistake(message: string): void {
    if (!this.mistakes.includes(message)) this.mistakes.push(message);
  }
}

/** A text as mistakes repeat it. */
function quoted(text: string): string {
  const shown = text.length > RECEIVED_LENGTH_MAX ? `${text.slice(0, RECEIVED_LENGTH_MAX)}…` : text;
  return JSON.stringify(shown);
}

function trimmed(text: string | undefined): string | undefined {
  return text?.trim() || undefined;
}
