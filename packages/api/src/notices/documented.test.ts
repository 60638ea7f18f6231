// The examples of docs/notifications.md are run as they stand there.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { EVENTS, eventPayloadSchema } from "@xvault/contracts";
import { describe, expect, it } from "vitest";
import { signatureOf } from "./sign.ts";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../../../..");
const page = readFileSync(join(ROOT, "docs/notifications.md"), "utf8");
const block = (language: string) => new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``).exec(page)?.[1] ?? "";

const SECRET = "xvwh_a-secret-of-the-test";
const BODY = block("json");
const now = () => Math.floor(Date.now() / 1000);

function inShell(secret: string, header: string, body: string): boolean {
  const { status } = spawnSync("sh", ["-c", block("sh"), "check", secret, header], { input: body });
  return status === 0;
}

async function inNode(secret: string, header: string, body: string): Promise<boolean> {
  const source = `data:text/javascript,${encodeURIComponent(block("js"))}`;
  const { isGenuine } = (await import(/* @vite-ignore */ source)) as { isGenuine(...args: string[]): boolean };
  return isGenuine(secret, header, body);
}

describe.each([
  ["in a shell", inShell],
  ["in Node", inNode],
] as const)("the check %s", (_name, isGenuine) => {
  it("takes what xVault signs, and nothing else", async () => {
    const header = signatureOf(SECRET, now(), BODY);
    expect(await isGenuine(SECRET, header, BODY)).toBe(true);
    expect(await isGenuine(SECRET, header, BODY.replace("mail-01", "mail-02"))).toBe(false);
    expect(await isGenuine(`${SECRET}x`, header, BODY)).toBe(false);
    expect(await isGenuine(SECRET, header.replace(/t=\d+/, `t=${now() + 1}`), BODY)).toBe(false);
    expect(await isGenuine(SECRET, header.replace(/t=\d+/, "t=0$(id)"), BODY)).toBe(false);
    expect(await isGenuine(SECRET, "", BODY)).toBe(false);
  });

  it("takes nothing old", async () => {
    expect(await isGenuine(SECRET, signatureOf(SECRET, now() - 400, BODY), BODY)).toBe(false);
  });
});

it("the page's body is one, and its table names every event", () => {
  expect(eventPayloadSchema.parse(JSON.parse(BODY)).event).toBe("backup.failed");
  expect(EVENTS.filter((event) => !page.includes(`| \`${event}\``) && !page.includes(`, \`${event}\``))).toEqual([]);
});
