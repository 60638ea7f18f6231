import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Source } from "@xvault/contracts";
import { expectJobEnd } from "./support/dashboard.ts";
import { inspect } from "./support/inspection.ts";
import { addSource, backUp, signIn, signUpByApi } from "./support/people.ts";
import { missing } from "./support/prerequisites.ts";
import { expect, test } from "./support/servers.ts";

test.skip(missing !== null, missing ?? "");

test("a source's options: what cannot be is said at the field, what is saved counts with the next backup", async ({
  page,
  server,
  picture,
}) => {
  const ada = await signUpByApi("Options Works");
  const root = join(server.home, "files");
  const inside = join(root, "scratch");
  mkdirSync(inside, { recursive: true });
  const canary = join(root, "small");
  writeFileSync(canary, "small");
  writeFileSync(join(root, "large"), "x".repeat(5000));
  writeFileSync(join(inside, ".nobackup"), "");
  writeFileSync(join(inside, "dropped"), "dropped");
  const source = await addSource(ada, server, { name: "web-01", paths: [root] });
  await signIn(page, ada);
  await page.goto(`/sources/${source.id}`);
  await page.getByRole("button", { name: "Options", exact: true }).click();
  const dialog = page.getByRole("dialog", { name: "Options" });
  const save = dialog.getByRole("button", { name: "Save" });

  await test.step("wrong values are told in their place and cannot be saved", async () => {
    await dialog.getByRole("textbox", { name: "Smallest file" }).fill("a lot");
    await expect(dialog.getByText("Enter a number, or leave it empty for no limit.")).toBeVisible();
    await expect(save).toBeDisabled();
    await dialog.getByRole("textbox", { name: "Smallest file" }).fill("2");
    await dialog.getByRole("textbox", { name: "Largest file" }).fill("1");
    await unit("Smallest file", "GiB");
    await expect(dialog.getByText("This is less than the smallest size: no file fits.")).toBeVisible();
    await dialog.getByRole("button", { name: "Add a time of the week" }).click();
    for (const day of ["Mon", "Tue", "Wed", "Thu", "Fri"]) await dialog.getByRole("checkbox", { name: day }).click();
    await expect(dialog.getByText("Choose at least one day.")).toBeVisible();
    await dialog.getByLabel("Canaries").fill("small\n/elsewhere");
    await expect(dialog.getByText("small is not an absolute path without '..'.")).toBeVisible();
    expect(await inspect(page, "options with what is wrong")).toEqual([]);
    await picture(page, "wrong");
  });

  await test.step("right ones are saved, and read as sentences on the source's page", async () => {
    await dialog.getByRole("textbox", { name: "Smallest file" }).fill("");
    await dialog.getByRole("textbox", { name: "Largest file" }).fill("4");
    await unit("Largest file", "KiB");
    await dialog.getByLabel("Leave out folders that hold a file of this name").fill(".nobackup");
    for (const day of ["Sat", "Sun"]) await dialog.getByRole("checkbox", { name: day }).click();
    await dialog.getByLabel("From", { exact: true }).fill("22:00");
    await dialog.getByLabel("To", { exact: true }).fill("06:00");
    await expect(dialog.getByText("On the next day.")).toBeVisible();
    await dialog.getByLabel("Canaries").fill(`${canary}\n/elsewhere`);
    await expect(dialog.getByText("so nobody looks at: /elsewhere")).toBeVisible();
    await dialog.getByLabel("Canaries").fill(canary);
    await picture(page, "right");
    await save.click();
    await expect(dialog).toBeHidden();
    await expect(page.getByRole("list", { name: "Options" }).getByRole("listitem")).toHaveText([
      "Folders that hold .nobackup are taken without what is in them.",
      "Files larger than 4.00 KiB are left out.",
      "Read at up to 1.00 MiB/s Sat, Sun 22:00–06:00 (UTC).",
      `Nothing expires once a canary changes: ${canary}.`,
    ]);
    await picture(page, "source");
    expect((await ada.api.get<Source>(`/sources/${source.id}`)).options).toMatchObject({
      max_file_bytes: 4096,
      min_file_bytes: null,
      canaries: [canary],
      bandwidth: [{ days: [0, 6], from: "22:00", to: "06:00", timezone: "UTC", bytes_per_second: 1024 * 1024 }],
    });
  });

  await test.step("the next backup has the one file that is left", async () => {
    await page.getByRole("button", { name: /^Back up now/ }).click();
    await expectJobEnd(page, "Success");
    await page.getByRole("link", { name: "Open the snapshot" }).click();
    await expect(page.getByText(/^1 file,/)).toBeVisible();
  });

  await test.step("a canary that changes stops expiry, until somebody says that it is right", async () => {
    writeFileSync(canary, "not what it was");
    expect((await backUp(ada, source)).state).toBe("success");
    await page.goto("/retention");
    const stopped = page.getByRole("alert").filter({ hasText: "web-01: nothing is moved or ended" });
    await expect(stopped.getByText(`The canary ${canary} is not what it was.`)).toBeVisible();
    expect(await inspect(page, "a changed canary")).toEqual([]);
    await picture(page, "canary");
    await stopped.getByRole("button", { name: "This change is right…" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "It is right" }).click();
    await expect(stopped).toBeHidden();
  });

  async function unit(of: string, name: string): Promise<void> {
    await dialog.getByRole("combobox", { name: `Unit of: ${of}` }).click();
    await page.getByRole("option", { name, exact: true }).click();
  }
});
