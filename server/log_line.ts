import type { LogRecord } from "@logtape/logtape";

/** One record as one line: time, level, who speaks, what happened. */
export function formatLogRecord({ timestamp, level, message }: LogRecord, speaker: string): string {
  const text = message.map(String).join("");
  return oneLine(`${new Date(timestamp).toISOString()} ${level} ${speaker}: ${text}`);
}

/** What others wrote, a backend for one, must neither begin a line of its own nor speak to the terminal. */
function oneLine(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
