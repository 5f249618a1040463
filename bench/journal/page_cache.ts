import { readdir } from "node:fs/promises";

/**
 * Asks the system to forget what it has of the files in a folder, as after a restart of the machine.
 *
 * @returns Whether that can be asked for here: GNU `dd` does it.
 */
export async function dropFromCache(folder: string): Promise<boolean> {
  try {
    for (const name of await readdir(folder, { recursive: true })) {
      const path = `${folder}/${name}`;
      if (!(await Deno.stat(path)).isFile) continue;
      const args = [`if=${path}`, "iflag=nocache", "count=0", "status=none"];
      const { success } = await new Deno.Command("dd", { args, stderr: "null" }).output();
      if (!success) return false;
    }
    return true;
  } catch {
    return false;
  }
}
