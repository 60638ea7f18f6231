import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { is } from "drizzle-orm";
import { getTableConfig, PgTable } from "drizzle-orm/pg-core";
import { GRANTS } from "../src/access/grants.ts";
import * as schema from "../src/schema/index.ts";

// Writes docs/data-model.md from the schema (`npm run docs -w @xvault/db`); a test holds the two together.

export const DATA_MODEL = fileURLToPath(new URL("../../../docs/data-model.md", import.meta.url));
const SCHEMA = fileURLToPath(new URL("../src/schema/", import.meta.url));

/** The page, from the tables as Drizzle knows them and the comments in front of them. */
export function renderDataModel(): string {
  const comments = tableComments();
  const tables = Object.values(schema)
    .filter((value) => is(value, PgTable))
    .map((table) => getTableConfig(table))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const parts = [
    "# Data model",
    "",
    "Made from `packages/db/src/schema` by `npm run docs -w @xvault/db`; a test fails when the two differ.",
    "",
    "A table with `tenant_id` is a tenant table: row-level security is forced, and its foreign keys to other tenant tables include `tenant_id`.",
    "`app` (`xvault_app`) acts for one workspace at a time; `system` (`xvault_system`) is sign-in, token look-up, scheduler, reaper and platform admin.",
    "Neither owns a table, neither passes row-level security by, nobody may TRUNCATE.",
    "",
    "```mermaid",
    "erDiagram",
    ...relations(tables),
    "```",
  ];
  for (const table of tables) {
    parts.push("", `## ${table.name}`, "", comments.get(table.name) ?? "", "", "| column | type | |", "|---|---|---|");
    for (const column of table.columns) {
      const notes = [column.primary ? "primary key" : "", column.notNull ? "" : "may be null"]
        .filter(Boolean)
        .join(", ");
      parts.push(`| \`${column.name}\` | ${column.getSQLType()} | ${notes} |`);
    }
    const keys = table.foreignKeys.map((key) => {
      const { columns, foreignTable, foreignColumns } = key.reference();
      const from = columns.map((column) => column.name).join(", ");
      return `\`(${from})\` → \`${getTableConfig(foreignTable).name} (${foreignColumns.map((column) => column.name).join(", ")})\``;
    });
    if (keys.length > 0) parts.push("", `References: ${keys.join("; ")}.`);
    const grants = GRANTS[table.name];
    const may = (["app", "system"] as const).map((role) => `${role}: ${grants?.[role]?.verbs.join(", ") ?? "nothing"}`);
    parts.push("", `May: ${may.join("; ")}.`);
  }
  return `${parts.join("\n")}\n`;
}

function relations(tables: ReturnType<typeof getTableConfig>[]): string[] {
  const lines = new Set<string>();
  for (const table of tables) {
    for (const key of table.foreignKeys) {
      const target = getTableConfig(key.reference().foreignTable).name;
      if (target !== table.name) lines.add(`  ${target} ||--o{ ${table.name} : ""`);
    }
  }
  return [...lines].sort();
}

function tableComments(): Map<string, string> {
  const comments = new Map<string, string>();
  for (const file of readdirSync(SCHEMA).filter((name) => name.endsWith(".ts"))) {
    const text = readFileSync(`${SCHEMA}${file}`, "utf8");
    for (const match of text.matchAll(/\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*export const \w+ = pgTable\(\s*"(\w+)"/g)) {
      const comment = (match[1] ?? "")
        .replace(/^\s*\* ?/gm, "")
        .replace(/\s+/g, " ")
        .trim();
      comments.set(match[2] ?? "", comment);
    }
  }
  return comments;
}

if (import.meta.main) writeFileSync(DATA_MODEL, renderDataModel());
