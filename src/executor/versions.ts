import type { Catalogue, CatalogueEntry } from "./executor.ts";

/** A name with the version that its definition gives, if that can be one: it is checked where options are. */
export function versioned({ name, options }: Pick<CatalogueEntry, "name"> & { readonly options: object }): {
  readonly name: string;
  readonly version?: string;
} {
  const version: unknown = "version" in options ? options.version : undefined;
  return typeof version === "string" ? { name, version } : { name };
}

/** The entry of each name that new tasks are for: the highest version. Numbers in versions count as such: 1.10 is above 1.9. */
export function newestVersions(catalogue: Catalogue): CatalogueEntry[] {
  const newest = new Map<string, CatalogueEntry>();
  for (const entry of catalogue) {
    const other = newest.get(entry.name);
    if (other === undefined || isNewer(entry, other)) newest.set(entry.name, entry);
  }
  return [...newest.values()];
}

function isNewer(one: CatalogueEntry, other: CatalogueEntry): boolean {
  const [version, otherVersion] = [versioned(one).version, versioned(other).version];
  return version !== undefined && (otherVersion === undefined || byNumbers.compare(version, otherVersion) > 0);
}

const byNumbers = new Intl.Collator("en", { numeric: true });
