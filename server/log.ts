/** Where a part says what a person should know: one line, without the time, which the log adds. */
export type Log = (level: "info" | "warning" | "error", message: string) => void;
