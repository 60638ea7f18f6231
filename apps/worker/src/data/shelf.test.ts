import { expect, test } from "vitest";
import { Shelf } from "./shelf.ts";

function thing(name: string, closed: string[]) {
  return { name, close: () => void closed.push(name) };
}
const settled = () => new Promise((resolve) => setImmediate(resolve));

test("what is dropped is closed at once where nobody uses it, else when the last one is done; and once", async () => {
  const closed: string[] = [];
  const shelf = new Shelf<ReturnType<typeof thing>>(8);
  shelf.put("idle", Promise.resolve(thing("idle", closed)));
  shelf.drop("idle");
  await settled();
  expect(closed).toEqual(["idle"]);

  const busy = shelf.put("busy", Promise.resolve(thing("busy", closed)));
  const ends: (() => void)[] = [];
  const uses = [1, 2].map(() =>
    shelf.use(busy, ({ name }) => new Promise<string>((end) => ends.push(() => end(name)))),
  );
  await settled();
  shelf.drop("busy");
  expect(shelf.get("busy")).toBeUndefined();
  ends[0]?.();
  await settled();
  expect(closed).toEqual(["idle"]);
  ends[1]?.();
  expect(await Promise.all(uses)).toEqual(["busy", "busy"]);
  await settled();
  expect(closed).toEqual(["idle", "busy"]);
  shelf.drop("busy");
  await settled();
  expect(closed).toEqual(["idle", "busy"]);
});

test("the first one makes way where there are too many; what fails to open is not kept", async () => {
  const closed: string[] = [];
  const shelf = new Shelf<ReturnType<typeof thing>>(2);
  for (const name of ["a", "b", "c"]) shelf.put(name, Promise.resolve(thing(name, closed)));
  await settled();
  expect(closed).toEqual(["a"]);
  expect(shelf.get("a")).toBeUndefined();
  const failed = shelf.put("d", Promise.reject(new Error("it does not open")));
  await expect(shelf.use(failed, async () => "never")).rejects.toThrow("it does not open");
  expect(shelf.get("d")).toBeUndefined();
  // A failure of what is done with it does not end it.
  const held = shelf.put("e", Promise.resolve(thing("e", closed)));
  await expect(shelf.use(held, async () => Promise.reject(new Error("the client went away")))).rejects.toThrow("away");
  expect(shelf.get("e")).toBe(held);
});
