export { alias } from "drizzle-orm/pg-core";
export { GRANTS } from "./access/grants.ts";
export { queueUrl, roleUrl, ROLES, type RoleName } from "./access/urls.ts";
export * from "./audit/index.ts";
export { type Database, type DatabaseOptions, openDatabase, type SystemTx, type TenantTx } from "./database.ts";
export { DatabaseError, isUniqueViolation } from "./errors.ts";
export { migrate, type MigrateOptions } from "./migrate.ts";
export { PLATFORM_TENANT } from "./platform-tenant.ts";
export * from "./schema/index.ts";
// What queries are made of, so that the query builder is imported here alone.
export {
  and,
  asc,
  avg,
  between,
  count,
  countDistinct,
  desc,
  eq,
  exists,
  getTableColumns,
  gt,
  gte,
  ilike,
  inArray,
  isNotNull,
  isNull,
  like,
  lt,
  lte,
  max,
  min,
  ne,
  not,
  notExists,
  notInArray,
  or,
  type SQL,
  sql,
  sum,
} from "drizzle-orm";
