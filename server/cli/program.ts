import { Command, CommanderError } from "commander";
import { VERSION } from "../../exporters/version.ts";
import { account } from "./account_command.ts";
import { CliFailure, type CliIo, type CommonOptions, EXIT, type ExitCode } from "./io.ts";
import { journalInspect } from "./journal_inspect.ts";
import { journalRepair } from "./journal_repair.ts";
import { journalVerify } from "./journal_verify.ts";
import { quarantineDrop } from "./quarantine_drop.ts";
import { quarantineList } from "./quarantine_list.ts";
import { quarantineReplay } from "./quarantine_replay.ts";
import { quarantineShow } from "./quarantine_show.ts";

/** What help may take of a line. */
const HELP_WIDTH = 100;

/** Ways in which commander ends that are no mistake. */
const ASKED_FOR: ReadonlySet<string> = new Set(["commander.helpDisplayed", "commander.version"]);

/** Adds a command to its parent. */
interface CommandLine {
  /** Its name and arguments, as commander writes them. */
  readonly name: string;
  readonly says: string;
  /** Flags with what they do. */
  readonly options?: readonly (readonly [string, string])[];
  /** Complete lines that show it. */
  readonly examples: readonly string[];
  /** @param positional What stands on the line beside options. */
  readonly run: (positional: readonly unknown[], options: CommonOptions, io: CliIo) => Promise<ExitCode>;
}

const CHOICE_OPTIONS = [["--all", "every record"]] as const;

const COMMANDS: Readonly<Record<string, { readonly says: string; readonly commands: readonly CommandLine[] }>> = {
  journal: {
    says: "What was accepted and is on the disk",
    commands: [
      {
        name: "inspect",
        says: "What stands in the journals, and where each destination is; also beside a running server",
        examples: ["cli journal inspect", "cli journal inspect --data /var/lib/breakwater --json"],
        run: (_, options, io) => journalInspect(options, io),
      },
      {
        name: "verify",
        says: "Read everything; tell what is damaged, what that costs and what to do",
        examples: ["cli journal verify", "cli journal verify --json | jq .whole"],
        run: (_, options, io) => journalVerify(options, io),
      },
      {
        name: "repair",
        says: "Keep damaged bytes aside and note what is lost, in a folder that no server uses",
        options: [["--dry-run", "only say what would be done"]],
        examples: ["cli journal repair --dry-run", "cli journal repair --data /var/lib/breakwater"],
        run: (_, options, io) => journalRepair(options, io),
      },
    ],
  },
  quarantine: {
    says: "What a destination refused for good",
    commands: [
      {
        name: "list",
        says: "A line for each record, oldest first",
        examples: ["cli quarantine list", "cli quarantine list --json | jq -r '.entries[].id'"],
        run: (_, options, io) => quarantineList(options, io),
      },
      {
        name: "show <id>",
        says: "Why a record was refused, and what is in it, as OTLP/JSON",
        options: [["--raw", "only its bytes, OTLP protobuf, to standard output"]],
        examples: ["cli quarantine show ID", "cli quarantine show ID --raw > request.pb"],
        run: ([id], options, io) => quarantineShow(String(id), options, io),
      },
      {
        name: "replay [ids...]",
        says: "Put records back into the journal of a folder that no server uses, or send them somewhere",
        options: [
          ...CHOICE_OPTIONS,
          ["--to <url>", "send them by OTLP/HTTP, also beside a running server"],
          ["--headers <pairs>", "with --to: name=value pairs with commas between"],
        ],
        examples: ["cli quarantine replay --all", "cli quarantine replay ID --to http://127.0.0.1:4318"],
        run: ([ids], options, io) => quarantineReplay(ids as string[], options, io),
      },
      {
        name: "drop [ids...]",
        says: "Remove records for good, in a folder that no server uses",
        options: [...CHOICE_OPTIONS, ["--yes", "with --all: it is really meant"]],
        examples: ["cli quarantine drop ID", "cli quarantine drop --all --yes"],
        run: ([ids], options, io) => quarantineDrop(ids as string[], options, io),
      },
    ],
  },
};

const ACCOUNT: CommandLine = {
  name: "account",
  says: "Where every item went, and whether it adds up",
  options: [["--url <url>", "ask the admin listener of a running server, instead of the files"]],
  examples: ["cli account", "cli account --url http://127.0.0.1:9464"],
  run: (_, options, io) => account(options, io),
};

/** Runs one command line. Resolves with what the shell is told; never rejects, and never shows a stack. */
export async function runCli(args: readonly string[], io: CliIo): Promise<ExitCode> {
  let exitCode: ExitCode = EXIT.ok;
  const program = newProgram(io, (code) => exitCode = code);
  try {
    await program.parseAsync([...args], { from: "user" });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return ASKED_FOR.has(error.code) ? EXIT.ok : EXIT.usage;
    io.writeError(`${error instanceof Error ? error.message : String(error)}\n`);
    return error instanceof CliFailure ? error.exitCode : EXIT.wrong;
  }
}

function newProgram(io: CliIo, ended: (code: ExitCode) => void): Command {
  const program = prepared(new Command("cli"), io)
    .description("Looks after the data folder of a Breakwater server.")
    .version(`breakwater ${VERSION}`)
    .option("--data <dir>", "the data folder (default: the server's, as BREAKWATER_DATA_DIR and its defaults say)")
    .option("--json", "answer for programs: one JSON value on standard output")
    .addHelpText(
      "after",
      `\n${examplesText(["cli journal verify", "cli quarantine list", "cli account"])}\n${EXIT_TEXT}`,
    );
  for (const [name, { says, commands }] of Object.entries(COMMANDS)) {
    const group = prepared(program.command(name), io).description(says);
    for (const line of commands) addCommand(group, line, io, ended);
  }
  addCommand(program, ACCOUNT, io, ended);
  return program;
}

function addCommand(parent: Command, line: CommandLine, io: CliIo, ended: (code: ExitCode) => void): void {
  const command = prepared(parent.command(line.name), io)
    .description(line.says)
    .addHelpText("after", `\n${examplesText(line.examples)}`);
  for (const [flags, says] of line.options ?? []) command.option(flags, says);
  command.action(async (...given) => {
    const self = given.pop() as Command;
    const options = self.optsWithGlobals<CommonOptions>();
    ended(await line.run(given, options, io));
  });
}

/** A command that throws where commander would end the process, and writes where we do. */
function prepared(command: Command, io: CliIo): Command {
  return command
    .exitOverride()
    .helpCommand(false)
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: io.write,
      writeErr: io.writeError,
      getOutHelpWidth: () => HELP_WIDTH,
      getErrHelpWidth: () => HELP_WIDTH,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    });
}

const EXIT_TEXT =
  "Exit codes: 0 all is well, 1 something is wrong and was told, 2 wrong usage, 3 refused because a server uses the folder.";

function examplesText(examples: readonly string[]): string {
  return ["Examples:", ...examples.map((example) => `  deno task ${example}`)].join("\n");
}
