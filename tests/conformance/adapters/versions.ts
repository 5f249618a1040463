import project from "../../../deno.json" with { type: "json" };

const imports: Readonly<Record<string, string>> = project.imports;

/** The version of this package. */
export const OUR_VERSION: string = project.version;

/** The version at which a package is pinned. */
export function versionOf(name: string): string {
  return imports[name]!.slice(`npm:${name}@`.length);
}
