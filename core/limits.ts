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
      throw new TypeError(`Cannot ${action}: ${wanted}, received ${describeTyped(value)}`);
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

/**
 * Checks that what a caller gives is an object, as far as a wrong one would be taken for an empty one.
 *
 * @throws {TypeError} When it is none.
 */
export function checkObject(action: string, name: string, value: unknown): void {
  if (typeof value === "object" && value !== null) return;
  throw new TypeError(`Cannot ${action}: "${name}" must be an object, received ${describe(value)}`);
}

/** What came instead of what was asked for. An object is not asked how it looks: it might throw. */
export function describe(value: unknown): string {
  if (typeof value === "function") return "a function";
  if (typeof value === "object" && value !== null) return Array.isArray(value) ? "an array" : "an object";
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}

/** The same with the type, without which a number's look-alikes might be taken for one. */
function describeTyped(value: unknown): string {
  const needsType = value === null || !["string", "object", "function"].includes(typeof value);
  return needsType ? `${typeof value} ${String(value)}` : describe(value);
}
