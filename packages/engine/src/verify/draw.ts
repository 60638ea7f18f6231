import { randomInt } from "node:crypto";

/** A whole number from 0 up to, but not including, `below`; each equally likely, and none to be foreseen by whoever keeps the bytes. */
export type Draw = (below: number) => number;

/** The seam's own side: the platform's secure randomness. */
export const secureDraw: Draw = (below) => randomInt(below);

/** `some` different numbers below `all`, every such set equally likely, in rising order (Floyd's way: memory for those that are drawn). */
export function drawSome(all: number, some: number, draw: Draw): number[] {
  const drawn = new Set<number>();
  for (let last = all - some; last < all; last += 1) {
    const one = draw(last + 1);
    drawn.add(drawn.has(one) ? last : one);
  }
  return [...drawn].sort((a, b) => a - b);
}
