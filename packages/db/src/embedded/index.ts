export { createDatabase, dropDatabase } from "./databases.ts";
export { type EmbeddedPostgres, type EmbeddedPostgresOptions, startEmbeddedPostgres } from "./server.ts";
export { queueUrl } from "../access/urls.ts";
