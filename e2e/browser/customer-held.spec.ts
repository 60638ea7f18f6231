import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { treeFacts } from "../system/trees.ts";
import { expectJobEnd } from "./support/dashboard.ts";
import { addSource, apiOf, newcomer } from "./support/people.ts";
import { missing } from "./support/prerequisites.ts";
import { expect, test } from "./support/servers.ts";
import { ROOT, runningStack } from "./support/stack.ts";

test.skip(missing !== null, missing ?? "");

test("a key made in the browser never leaves it, and opens the backup on the command line alone", async ({
  page,
  server,
  watch,
  picture,
}) => {
  const ada = newcomer("Own Key Works");
  const { url, folder } = runningStack();
  const kitFile = join(folder, `kit-${process.pid}.txt`);
  let identity = "";

  await test.step("sign up with a key of one's own: downloaded, then proven", async () => {
    await page.goto("/signup");
    await page.getByLabel("Your name").fill(ada.name);
    await page.getByLabel("Workspace name").fill(ada.workspace);
    await page.getByLabel("E-mail").fill(ada.email);
    await page.getByLabel("Password").fill(ada.password);
    await page.getByRole("radio", { name: "You hold it" }).click();
    await page.getByRole("button", { name: "Continue to your key" }).click();
    const create = page.getByRole("button", { name: "Create workspace" });
    await expect(create).toBeDisabled();
    const [kit] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "Download recovery kit" }).click(),
    ]);
    await kit.saveAs(kitFile);
    const text = readFileSync(kitFile, "utf8");
    identity = /AGE-SECRET-KEY-1[A-Z0-9]+/.exec(text)?.[0] ?? "";
    expect(identity).not.toBe("");

    await page.getByLabel("Or paste the kit").fill(text.replace(identity, ""));
    await page.getByRole("button", { name: "Test the kit" }).click();
    await expect(page.getByRole("alert")).toBeVisible();
    await expect(create).toBeDisabled();
    await page.getByLabel("Recovery kit file").setInputFiles(kitFile);
    await expect(page.getByText("The kit opened the test text. Your key works.")).toBeVisible();
    await picture(page, "key-proven");
    await create.click();
    await expect(page.getByText("0 of 4 done")).toBeVisible();
  });

  const api = await apiOf(ada);
  const source = await addSource({ api }, server, { name: "db-01", paths: [server.tree] });
  await test.step("back up", async () => {
    await page.goto(`/sources/${source.id}`);
    await page.getByRole("button", { name: /^Back up now/ }).click();
    await expectJobEnd(page, "Success");
  });

  let command = "";
  await test.step("the snapshot's page says plainly that xVault cannot open it, and what to type instead", async () => {
    await page.getByRole("link", { name: "Open the snapshot" }).click();
    await expect(page.getByText("xVault cannot open this snapshot")).toBeVisible();
    await expect(page.getByRole("button", { name: "Download all" })).toBeHidden();
    await expect(page.getByRole("button", { name: "Restore all" })).toBeHidden();
    command = await page.getByLabel("restore command", { exact: true }).innerText();
    expect(command).toMatch(/^npx xvault restore \S+ --identity FILE --target DIR$/);
    await picture(page, "snapshot");
    await page.getByRole("link", { name: "Keys", exact: true }).click();
    await expect(page.getByText("You hold the restore key of this workspace.")).toBeVisible();
    await expect(page.getByRole("button", { name: "Download recovery kit" })).toBeHidden();
  });

  await test.step("that very command, with the downloaded kit, brings the same files back", async () => {
    const out = join(folder, `restored-${process.pid}`);
    const token = await api.post<{ token: string }>("/auth/token", {
      email: ada.email,
      password: ada.password,
      name: "command line",
    });
    const words = command.split(" ").slice(2);
    const args = words.map((word) => ({ FILE: kitFile, DIR: out })[word] ?? word);
    execFileSync(join(ROOT, "node_modules/.bin/xvault"), args, {
      env: { PATH: process.env["PATH"] ?? "", HOME: folder, XVAULT_URL: url, XVAULT_TOKEN: token.token },
      stdio: "pipe",
    });
    expect(treeFacts(join(out, server.tree))).toEqual(treeFacts(server.tree));
  });

  await test.step("no request has carried the key: not whole, not in another case or encoding", async () => {
    const sent = watch.sent();
    expect(sent.some((request) => request.includes("auth.signUp") && request.includes("age1"))).toBe(true);
    const secret = identity.slice("AGE-SECRET-KEY-1".length);
    const forms = [
      secret,
      Buffer.from(identity).toString("base64").slice(0, 60),
      Buffer.from(identity).toString("hex"),
    ];
    for (const form of forms) {
      expect(sent.filter((request) => request.toUpperCase().includes(form.toUpperCase()))).toEqual([]);
    }
    const stored = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]));
    expect(stored.toUpperCase()).not.toContain(secret);
  });
});
