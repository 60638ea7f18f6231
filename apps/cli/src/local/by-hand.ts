/** The line that opens an artifact with the stock programs alone, for people who want to see or to do it themselves. */
export function stockLine(identityFile: string, artifact: string, target: string): string {
  return `age -d -i ${quoted(identityFile)} ${quoted(artifact)} | zstd -d | tar -xf - -C ${quoted(target)}`;
}

/** As a shell takes it literally. */
function quoted(text: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
