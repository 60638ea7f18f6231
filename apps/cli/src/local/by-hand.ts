import { join } from "node:path";
import type { FoundSnapshot } from "@xvault/engine";

/**
 * The lines that open a snapshot with the stock programs alone, for people who want to see or to do it themselves. One that refers to
 * earlier artifacts takes from each the files that its index (JSON lines) names, and its own artifact last: that has every directory.
 */
export function stockLines(
  identityFile: string,
  from: Pick<FoundSnapshot, "directory" | "manifest" | "directoryOf">,
  target: string,
): string[] {
  const { artifact, index, references } = from.manifest;
  const opened = (file: string) => `age -d -i ${quoted(identityFile)} ${quoted(file)} | zstd -d`;
  const into = `-C ${quoted(target)}`;
  const earlier = references.flatMap(({ snapshot_id: id }) => {
    // Whole, because tar looks for it after it has changed to the target.
    const list = `"$PWD"/${id}.list`;
    const names = `jq -j 'select(.snapshot == "${id}" and .path) | .path + "\\u0000"'`;
    return [
      `${opened(join(from.directory, index.name))} | ${names} > ${list}`,
      `${opened(join(from.directoryOf(id), artifact.name))} | tar -xf - ${into} --null -T ${list}`,
    ];
  });
  return [...earlier, `${opened(join(from.directory, artifact.name))} | tar -xf - ${into}`];
}

/** As a shell takes it literally. */
function quoted(text: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
