import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { DiskJournal } from "../../../exporters/journal/disk_journal.ts";
import { recordOf } from "../../exporters/journal/disk_journal_fixture.ts";
import { sendSpans } from "../../fakes/otlp_client.ts";
import { ServerProcess } from "../../fakes/server_process.ts";
import { TemporaryFolder } from "../../fakes/temporary_folder.ts";

const HOUSE = fileURLToPath(new URL("../../..", import.meta.url));

/** The command line as people write it, in an environment with nothing of ours. */
async function cli(line: string, after = ""): Promise<{ code: number; stdout: string; stderr: string }> {
  const { PATH = "", HOME = "", DENO_DIR = "" } = Deno.env.toObject();
  const command = new Deno.Command("sh", {
    args: ["-c", `"${Deno.execPath()}" task -q cli ${line} ${after}`],
    cwd: HOUSE,
    clearEnv: true,
    env: { PATH, HOME, ...(DENO_DIR && { DENO_DIR }), NO_COLOR: "1" },
    stdin: "null",
  });
  const { code, stdout, stderr } = await command.output();
  return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}

/** A data folder on the real disk with ten records of traces. @returns The folder of its segments. */
async function makeData(data: string): Promise<string> {
  const folder = join(data, "journal/0");
  const journal = await DiskJournal.open("traces", { folder });
  journal.cursor("upstream", "reject");
  for (let id = 1; id <= 10; id++) await journal.append(recordOf(id));
  await journal.close();
  return join(folder, "traces");
}

Deno.test("the task's permissions are enough to verify, repair and verify again on the real disk", async () => {
  using folder = new TemporaryFolder();
  const data = join(folder.path, "data");
  const traces = await makeData(data);
  const path = join(traces, "000000000001.segment");
  const bytes = readFileSync(path);
  bytes[150] ^= 1;
  writeFileSync(path, bytes);

  const found = await cli(`journal verify --data ${data}`);
  assert.equal(found.code, 1, found.stderr);
  assert.match(
    found.stdout,
    /Bytes 64 to 185 of 000000000001\.segment cannot be read as records: 1 record with 1 span is lost/,
  );
  const repaired = await cli(`journal repair --data ${data} --json`);
  assert.equal(repaired.code, 0, repaired.stderr);
  assert.deepEqual(JSON.parse(repaired.stdout).signals[0].kept, ["000000000001.segment-64.damaged"]);
  assert.ok(readdirSync(traces).includes("000000000001.segment-64.damaged"));
  const verified = await cli(`journal verify --data ${data}`);
  assert.equal(verified.code, 0, verified.stdout);
});

Deno.test("beside a running server its folder is looked at and not changed: exit code 3, and its pid", async () => {
  using folder = new TemporaryFolder();
  const data = join(folder.path, "data");
  await using server = new ServerProcess({ BREAKWATER_DATA_DIR: data });
  const { otlp, admin } = await server.ready();
  assert.equal(await sendSpans(otlp!, 5), 200);
  for (const line of ["journal repair", "quarantine replay --all", "quarantine drop --all --yes"]) {
    const refused = await cli(`${line} --data ${data}`);
    assert.equal(refused.code, 3, line);
    assert.match(
      refused.stderr,
      new RegExp(`^A server is using .* \\(pid ${server.pid}, started .*\\): end it first`),
      line,
    );
  }
  const seen = await cli(`journal verify --data ${data} --json`);
  assert.equal(seen.code, 0, seen.stderr + seen.stdout);
  assert.equal(JSON.parse(seen.stdout).signals[0].account.accepted, 5);
  const asked = await cli(`account --url ${admin}`);
  assert.equal(asked.code, 0, asked.stderr + asked.stdout);
  assert.match(asked.stdout, /^traces +received 5 = accepted 5 \+ refused 0 +balanced/);
  server.signal("SIGTERM");
  await server.ended();
  assert.equal((await cli(`journal repair --data ${data}`)).code, 0);
});

Deno.test("a reader that goes away ends nothing badly: no word of it", async () => {
  using folder = new TemporaryFolder();
  const data = join(folder.path, "data");
  await makeData(data);
  const { stdout, stderr } = await cli(`journal inspect --data ${data} --json`, "| head -c 1");
  assert.deepEqual([stdout, stderr], ["{", ""]);
});

Deno.test("a mistake on the command line ends with 2, and a folder that is not there with 1", async () => {
  const mistake = await cli("journal inspekt");
  assert.deepEqual([mistake.code, mistake.stdout], [2, ""]);
  assert.match(mistake.stderr, /Did you mean inspect\?/);
  const missing = await cli("journal inspect --data /nowhere/at/all");
  assert.equal(missing.code, 1);
  assert.match(missing.stderr, /^There is no folder \/nowhere\/at\/all: /);
});
