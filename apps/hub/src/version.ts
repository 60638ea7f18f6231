import manifest from "../package.json" with { type: "json" };

/** As `/api/v1/info` shows it. */
export const VERSION: string = manifest.version;
