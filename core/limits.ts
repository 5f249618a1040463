/** What a numeric option may be: its default and its inclusive range. */
export interface Limit {
  readonly default: number;
  readonly min: number;
  readonly max: number;
  /** True when fractions are refused. */
  readonly integer: boolean;
}

/**
 * Fills in defaults and checks every number in `options` that `limits` names.
 *
 * @param action What the caller was about to do, as it begins the message: `"create circuit breaker"`.
 * @throws {TypeError} When a value is not a number.
 * @throws {RangeError} When a number is outside its range or is a fraction where a whole number is asked for.
 */
export function withinLimits<Name extends string>(
  action: string,
  options: { readonly [Key in Name]?: number | undefined },
  limits: { readonly [Key in Name]: Limit },
): { readonly [Key in Name]: number } {
  const checked = {} as { [Key in Name]: number };
  for (const name of Object.keys(limits) as Name[]) {
    const limit = limits[name];
    const value: unknown = options[name];
    if (value === undefined) {
      checked[name] = limit.default;
      continue;
    }
    const wanted = `"${name}" must be ${limit.integer ? "an integer" : "a number"} from ${limit.min} to ${limit.max}`;
    if (typeof value !== "number") {
      throw new TypeError(`Cannot ${action}: ${wanted}, received ${describe(value)}`);
    }
    // NaN fails every comparison, so the range is asked for rather than its opposite.
    const inRange = value >= limit.min && value <= limit.max;
    if (!inRange || (limit.integer && !Number.isInteger(value))) {
      throw new RangeError(`Cannot ${action}: ${wanted}, received ${value}`);
    }
    checked[name] = value;
  }
  return checked;
}

function describe(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value) : `${typeof value} ${String(value)}`;
}
