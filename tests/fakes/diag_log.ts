import { diag, type DiagLogger, DiagLogLevel } from "@opentelemetry/api";

/** What OpenTelemetry's diagnostic logger is told, as lines that begin with their level, until it is disposed of. */
export class DiagLog {
  readonly lines: string[] = [];

  constructor() {
    const teller = (level: string) => (message: string) => void this.lines.push(`${level} ${message}`);
    const logger: DiagLogger = {
      error: teller("error"),
      warn: teller("warn"),
      info: teller("info"),
      debug: teller("debug"),
      verbose: teller("verbose"),
    };
    diag.setLogger(logger, DiagLogLevel.ALL);
    this.lines.length = 0; // that a logger was set
  }

  [Symbol.dispose](): void {
    diag.disable();
  }
}
