import manifest from "../package.json" with { type: "json" };

/** As the registry of workers shows it. */
export const VERSION: string = manifest.version;
