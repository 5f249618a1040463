import { balanceOf, equationsOf, type SignalBalance } from "../account.ts";
import { signalBalance } from "./balance.ts";
import { dataFolder, inspect, signalsIn } from "./folder.ts";
import { type CliIo, type CommonOptions, EXIT, type ExitCode, print, printJson } from "./io.ts";
import { balancesFrom } from "./metrics_balance.ts";

/** What `account` is told. */
export interface AccountOptions extends CommonOptions {
  /** The admin listener of a running server. */
  readonly url?: string;
}

/** Says where every item went, and whether it adds up: from the files, or from a running server's metrics. */
export async function account(options: AccountOptions, io: CliIo): Promise<ExitCode> {
  const { url, json } = options;
  const signals = url === undefined ? await fromFolder(options, io) : await balancesFrom(url, io);
  const balance = balanceOf(signals);
  if (json) printJson(io, balance);
  else print(io, equationsOf(balance));
  return balance.balanced ? EXIT.ok : EXIT.wrong;
}

async function fromFolder(options: AccountOptions, io: CliIo): Promise<readonly SignalBalance[]> {
  const data = await dataFolder(options, io);
  const signals: SignalBalance[] = [];
  for (const signal of await signalsIn(data, io)) {
    await using inspection = await inspect(data, signal, io);
    signals.push(signalBalance(signal, inspection));
  }
  return signals;
}
