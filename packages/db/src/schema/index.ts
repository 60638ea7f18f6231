export * from "./accounts.ts";
export * from "./audit.ts";
export * from "./jobs.ts";
export * from "./packages.ts";
export * from "./platform.ts";
export * from "./sources.ts";
export * from "./tenants.ts";
