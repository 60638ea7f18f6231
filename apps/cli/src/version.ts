import manifest from "../package.json" with { type: "json" };

/** As the program and what it signs name it. */
export const VERSION: string = manifest.version;
