import type { Page } from "@playwright/test";
import type { Job, Schedule, Source } from "@xvault/contracts";
import { type Sshd, startSshd } from "@xvault/test-kit/ssh";
import { type Gate, startGate, until } from "@xvault/test-kit/stack";
import { randomBytes } from "node:crypto";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { confirmHostKey, enterAddress, enterPrivateKey, openSnapshotFolder } from "./support/dashboard.ts";
import { addSource, backUp, newcomer, type Person, signIn, signUpByApi } from "./support/people.ts";
import { missing } from "./support/prerequisites.ts";
import { ROOT, runningStack } from "./support/stack.ts";
import { expect, test } from "./support/test.ts";

test.skip(missing !== null, missing ?? "");

const MIB = 1024 * 1024;

/** A source's server as others reach it: through the gate. */
type Server = Parameters<typeof addSource>[1];

test("the pictures of the documentation", async ({ page }) => {
  test.setTimeout(300_000);
  // The server shows this folder as its root, so that no path of this machine gets into a picture. Only root can have that.
  expect(process.getuid?.(), "the pictures are made as root").toBe(0);
  const root = join(runningStack().folder, "pictures");
  makeServerTree(root);
  const dir = join(runningStack().folder, "pictures-sshd");
  mkdirSync(dir);
  const sshd = await startSshd({ dir, sftpOnly: true, config: [`ChrootDirectory ${root}`] });
  const gate = await startGate(sshd.port);
  try {
    await takeAll(page, sshd, gate);
  } finally {
    gate.cut();
    await gate.stop();
    await sshd.stop();
    rmSync(root, { recursive: true, force: true });
  }
});

async function takeAll(page: Page, sshd: Sshd, gate: Gate): Promise<void> {
  const server: Server = {
    host: sshd.host,
    port: gate.port,
    username: sshd.username,
    privateKey: sshd.privateKey,
    hostKey: sshd.hostKey,
  };
  await signUpPicture(page);
  const person = await tenant("Example Works", "ada@example.com");
  await tenant("Harbour Clinic", "it@harbour-clinic.example");
  await tenant("Nordwind Logistics", "ops@nordwind.example");
  const web = await addSource(person, server, { name: "web-01", paths: ["/srv/www"], excludes: ["*.log"] });
  const crons: [Source, string][] = [
    [web, "0 2 * * *"],
    [await addSource(person, server, { name: "mail-01", paths: ["/var/mail"] }), "30 * * * *"],
    [await addSource(person, server, { name: "shop-01", paths: ["/etc", "/srv/shop"] }), "0 4 * * 0"],
    [await addSource(person, server, { name: "git-01", paths: ["/srv/git"] }), "15 */6 * * *"],
    [await addSource(person, server, { name: "files-01", paths: ["/home", "/srv/gone"] }), "0 3 * * *"],
  ];
  for (const [source, cron] of crons) {
    await person.api.post<Schedule>("/schedules", { source_id: source.id, cron, timezone: "Europe/Berlin" });
    await backUp(person, source);
  }
  const snapshot = (await backUp(person, web)).snapshot_id ?? "";
  await restoreOne(person, snapshot, web);

  await signIn(page, person);
  await addSourcePicture(page, server);
  await jobPicture(page, web, gate);
  await snapshotPictures(page, snapshot);
  await page.goto("/keys");
  await expect(page.getByText("Active", { exact: true })).toBeVisible();
  await shoot(page, "keys");
  await page.goto("/");
  await expect(page.getByText("Storage used")).toBeVisible();
  await expect(page.getByRole("region", { name: "Sources" }).getByRole("link", { name: "web-01" })).toBeVisible();
  await shoot(page, "overview");
  await page.goto("/packages");
  await expect(page.getByRole("link", { name: "/srv/www" }).first()).toBeVisible();
  await shoot(page, "packages");
  await page.goto("/retention");
  await expect(page.getByText("What that keeps", { exact: true })).toBeVisible();
  await shoot(page, "retention");
  await page.goto("/storage");
  await expect(page.getByRole("main").getByText("Worker disks").first()).toBeVisible();
  await shoot(page, "storage");

  await page.getByRole("button", { name: /^Account of/ }).click();
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  await expect(page).toHaveURL(/signin/);
  const { adminEmail: email, adminPassword: password } = runningStack();
  await signIn(page, { email, password });
  await page.goto("/admin/tenants");
  await expect(page.getByText(person.email)).toBeVisible();
  await shoot(page, "admin");
}

const tenant = (workspace: string, email: string) => signUpByApi(workspace, { workspace, email });

async function signUpPicture(page: Page): Promise<void> {
  const ada = newcomer("Example Works");
  await page.goto("/signup");
  await page.getByLabel("Your name").fill(ada.name);
  await page.getByLabel("Workspace name").fill("Example Works");
  await page.getByLabel("E-mail").fill("ada@example.com");
  await page.getByLabel("Password").fill(ada.password);
  await shoot(page, "sign-up");
}

async function restoreOne({ api }: Person, snapshot: string, source: Source): Promise<void> {
  const job = await api.post<Job>("/restores", {
    snapshot_id: snapshot,
    paths: ["/srv/www/index.html"],
    target: { source_id: source.id, path: "/var/tmp/restored" },
  });
  expect((await api.ended(job)).state).toBe("success");
}

async function addSourcePicture(page: Page, server: Server): Promise<void> {
  await enterAddress(page, server);
  await confirmHostKey(page);
  await enterPrivateKey(page, server);
  const tree = page.getByRole("region", { name: "Files on the server" });
  await tree.getByRole("button", { name: "Open /srv", exact: true }).click();
  await tree.getByRole("checkbox", { name: "/srv/www", exact: true }).click();
  await tree.getByRole("button", { name: "Open /srv/www", exact: true }).click();
  await tree.getByRole("button", { name: "Open /srv/www/logs", exact: true }).click();
  await page.getByLabel("Add a pattern").fill("*.log");
  await page.getByRole("button", { name: "Add pattern" }).click();
  await expect(tree.getByText("left out by *.log").first()).toBeVisible();
  await shoot(page, "add-source");
}

/** Data comes in drops, until the backup is in its middle when the picture is taken. */
async function jobPicture(page: Page, source: Source, gate: Gate): Promise<void> {
  await page.goto(`/sources/${source.id}`);
  gate.hold(MIB);
  await page.getByRole("button", { name: /^Back up now/ }).click();
  await until(() => {
    gate.release();
    gate.hold(0);
    return page.getByText(/\b[4-7]\d %/).isVisible();
  });
  await shoot(page, "job-live");
  gate.release();
  await expect(page.getByRole("link", { name: "Open the snapshot" })).toBeVisible();
}

async function snapshotPictures(page: Page, snapshot: string): Promise<void> {
  await page.goto(`/snapshots/${snapshot}`);
  await openSnapshotFolder(page, "/srv/www");
  await page.getByRole("checkbox", { name: "Select index.html" }).click();
  await page.getByRole("checkbox", { name: "Select assets" }).click();
  await shoot(page, "snapshot");
  await page.getByRole("region", { name: "Selection" }).getByRole("button", { name: "Restore" }).click();
  await expect(page.getByRole("button", { name: "Start restore" })).toBeVisible();
  await shoot(page, "restore");
}

async function shoot(page: Page, name: string): Promise<void> {
  await expect(page.locator(".animate-pulse")).toHaveCount(0);
  await page.mouse.move(0, 0);
  await page.screenshot({ path: join(ROOT, "docs/images", `${name}.png`), animations: "disabled", caret: "hide" });
}

/** A small server's files. sshd's chroot wants every folder to be root's and nobody else's to write in. */
function makeServerTree(root: string): void {
  const files: Record<string, string | Buffer> = {
    "etc/hosts": "127.0.0.1 localhost\n",
    "etc/nginx/nginx.conf": "worker_processes auto;\n",
    "etc/ssl/shop.pem": "certificate\n".repeat(120),
    "home/deploy/notes.txt": "Deploy on Tuesdays.\n",
    "srv/git/works.git/objects.pack": randomBytes(4 * MIB),
    "srv/shop/catalogue.json": JSON.stringify({ articles: Array.from({ length: 400 }, (_, at) => ({ at })) }),
    "srv/shop/orders.db": randomBytes(3 * MIB),
    "srv/www/index.html": "<!doctype html>\n<title>Example Works</title>\n",
    "srv/www/imprint.html": "<!doctype html>\n<title>Imprint</title>\n",
    "srv/www/robots.txt": "User-agent: *\n",
    "srv/www/assets/hall.jpg": randomBytes(14 * MIB),
    "srv/www/assets/team.jpg": randomBytes(9 * MIB),
    "srv/www/assets/works.mp4": randomBytes(17 * MIB),
    "srv/www/logs/access.log": "GET / 200\n".repeat(20_000),
    "srv/www/logs/error.log": "none\n",
    "srv/www/logs/readme.txt": "Kept for a week.\n",
    "var/mail/ada": randomBytes(5 * MIB),
    "var/mail/info": randomBytes(2 * MIB),
    "var/tmp/.keep": "",
  };
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(join(root, dirname(name)), { recursive: true, mode: 0o755 });
    writeFileSync(join(root, name), content);
  }
}
