const BYTE_UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB"] as const;

/** A size as people write it: `1 byte`, `512 bytes`, `1.5 GiB`. */
export function sizeText(bytes: number): string {
  if (bytes < 1024) return countText(bytes, "byte");
  const power = Math.min(Math.floor(Math.log2(bytes) / 10), BYTE_UNITS.length - 1);
  return `${(bytes / 1024 ** power).toFixed(1)} ${BYTE_UNITS[power]}`;
}

/** `1 record`, `2 records`. */
export function countText(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** A moment in ISO 8601; undefined for one that is none. */
export function isoTime(wallMs: number | undefined): string | undefined {
  return wallMs === undefined || Number.isNaN(new Date(wallMs).getTime()) ? undefined : new Date(wallMs).toISOString();
}

/** How long something took or is old: `850 ms`, `12 s`, `3 min`, `5 h`, `2 d`. */
export function durationText(ms: number): string {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
  const steps = [["s", 1000, 120], ["min", 60_000, 120], ["h", 3_600_000, 48]] as const;
  for (const [unit, unitMs, most] of steps) if (ms < unitMs * most) return `${Math.round(ms / unitMs)} ${unit}`;
  return `${Math.round(ms / 86_400_000)} d`;
}

/** Texts in columns, as wide as they need; numbers to the right. */
export function tableText(rows: readonly (readonly (string | number)[])[], indent = ""): readonly string[] {
  const columnCount = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from(
    { length: columnCount },
    (_, column) => Math.max(...rows.map((row) => String(row[column] ?? "").length)),
  );
  return rows.map((row) =>
    indent +
    row.map((cell, column) =>
      typeof cell === "number" ? String(cell).padStart(widths[column]) : cell.padEnd(widths[column])
    ).join("  ").trimEnd()
  );
}

/** Text from outside as it may stand on a terminal: without what moves its cursor, and on one line. */
export function shownText(text: string, lengthMax: number): string {
  // deno-lint-ignore no-control-regex
  const line = text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, " ").trim();
  return line.length > lengthMax ? `${line.slice(0, lengthMax - 1)}…` : line;
}
