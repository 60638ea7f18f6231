export { createHttpApp } from "./app.ts";
export type { SessionGuard } from "./caller.ts";
export { openApiDocument } from "./openapi/document.ts";
