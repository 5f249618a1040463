/** Another process that holds a data folder until it is killed. */

import { fileURLToPath } from "node:url";

const SCRIPT = `
  const { openDataFolder } = await import(${JSON.stringify(new URL("../../server/data_folder.ts", import.meta.url))});
  const opening = openDataFolder(Deno.args[0], Date.now());
  console.log("folder" in opening ? "held" : opening.mistake);
  setInterval(() => {}, 60_000);
`;

/** The process. It must be killed by the test. */
export class FolderHolder implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
  }

  /** Starts the process. @returns When it has the folder. */
  static async start(path: string): Promise<FolderHolder> {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["eval", "--quiet", SCRIPT, path],
      cwd: fileURLToPath(new URL("../..", import.meta.url)),
      stdin: "null",
      stdout: "piped",
    }).spawn();
    const holder = new FolderHolder(child);
    const reader = child.stdout.getReader();
    const { value = new Uint8Array() } = await reader.read();
    await reader.cancel();
    const said = new TextDecoder().decode(value).trim();
    if (said === "held") return holder;
    await holder.kill();
    throw new Error(`The folder is not held: ${said}`);
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Ends it at once, as a crash would. */
  async kill(): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
    await this.#child.status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}
