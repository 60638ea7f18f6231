import { expect, test } from "vitest";
import { createSlots } from "./slots.ts";

test("a place that is given back goes to who waited longest, and those who wait are sent away when the slots are shut", async () => {
  const slots = createSlots(1);
  const order: string[] = [];
  expect(slots.tryTake()).toBe(true);
  expect([slots.full, slots.tryTake()]).toEqual([true, false]);
  const wait = async (name: string) => {
    order.push(`${name}: ${await slots.take()}`);
  };
  const waiting = [wait("a"), wait("b"), wait("c")];
  slots.free();
  await waiting[0];
  expect(order).toEqual(["a: true"]);
  expect(slots.tryTake()).toBe(false);
  slots.shut();
  await Promise.all(waiting);
  expect(order).toEqual(["a: true", "b: false", "c: false"]);
  slots.free();
  expect(await slots.take()).toBe(false);
});
