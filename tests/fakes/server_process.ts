import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { TemporaryFolder } from "./temporary_folder.ts";

const HOUSE = fileURLToPath(new URL("../..", import.meta.url));

/** What a process has said when it has ended. */
export interface Ended {
  readonly code: number;
  readonly stdout: readonly string[];
  readonly stderr: readonly string[];
}

/**
 * The server as `deno task start` runs it, with the same permissions, in an environment that holds nothing but what a
 * test gives it, and on a data folder of its own unless the test has one. It must be ended by the test.
 */
export class ServerProcess implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #stdout: Lines;
  readonly #stderr: Lines;
  readonly #folder = new TemporaryFolder();

  constructor(environment: Readonly<Record<string, string>> = {}, args: readonly string[] = []) {
    const command = new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--no-prompt", ...permissionFlags(), "server/main.ts", ...args],
      cwd: HOUSE,
      clearEnv: true,
      env: {
        ...inherited(),
        NO_COLOR: "1",
        ...FREE_PORTS,
        BREAKWATER_DATA_DIR: this.#folder.path,
        ...environment,
      },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    });
    this.#child = command.spawn();
    this.#stdout = new Lines(this.#child.stdout);
    this.#stderr = new Lines(this.#child.stderr);
  }

  /** The data folder of its own. */
  get folder(): string {
    return this.#folder.path;
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** The words of the first line on standard output, `name=value`, by name. */
  async ready(): Promise<Readonly<Record<string, string>>> {
    const line = await this.#stdout.find(() => true);
    if (line?.startsWith("ready ")) return Object.fromEntries(line.split(" ").slice(1).map((word) => word.split("=")));
    throw new Error(`The server is not ready: ${JSON.stringify(line)}\n${this.#stderr.all.join("\n")}`);
  }

  /** Resolves with the first line on standard error that matches, as soon as it is there. */
  logged(pattern: RegExp): Promise<string | undefined> {
    return this.#stderr.find((line) => pattern.test(line));
  }

  signal(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  async ended(): Promise<Ended> {
    const { code } = await this.#child.status;
    return { code, stdout: await this.#stdout.toEnd, stderr: await this.#stderr.toEnd };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
    await this.ended();
    this.#folder[Symbol.dispose]();
  }
}

/** Any free ports on loopback. */
const FREE_PORTS = { BREAKWATER_OTLP_HTTP_LISTEN: "127.0.0.1:0", BREAKWATER_ADMIN_LISTEN: "127.0.0.1:0" };

/** The flags with which the task `start` runs the server: tests must not have more. */
export function permissionFlags(): readonly string[] {
  const { tasks } = JSON.parse(readFileSync(`${HOUSE}/deno.json`, "utf8"));
  return (tasks.start.command as string).split(" ").filter((word) => word.startsWith("-"));
}

/** What Deno itself needs to find its cache. */
function inherited(): Record<string, string> {
  const names = ["PATH", "HOME", "DENO_DIR", "XDG_CACHE_HOME", "TMPDIR"];
  return Object.fromEntries(names.flatMap((name) => {
    const value = Deno.env.get(name);
    return value === undefined ? [] : [[name, value]];
  }));
}

/** The lines of a stream, as they come and to be waited for. */
class Lines {
  readonly all: string[] = [];
  readonly toEnd: Promise<readonly string[]>;
  #ended = false;
  #wake: (() => void)[] = [];

  constructor(stream: ReadableStream<Uint8Array>) {
    this.toEnd = this.#read(stream);
  }

  async find(wanted: (line: string) => boolean): Promise<string | undefined> {
    for (;;) {
      const found = this.all.find(wanted);
      if (found !== undefined || this.#ended) return found;
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }

  async #read(stream: ReadableStream<Uint8Array>): Promise<readonly string[]> {
    let rest = "";
    const decoder = new TextDecoder();
    for await (const bytes of stream) {
      const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      this.all.push(...lines);
      this.#wakeAll();
    }
    if (rest !== "") this.all.push(rest);
    this.#ended = true;
    this.#wakeAll();
    return this.all;
  }

  #wakeAll(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}
