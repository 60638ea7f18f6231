import { describe, expect, it } from "vitest";
import { createMemoryHistory, createRouter } from "vue-router";
import { pathsOfHash, restoreLink } from "./link.ts";

describe("links to the restore page", () => {
  it("carry entries through an address, whatever their names", async () => {
    const paths = ["/etc/hosts", "/a #b?c&d=e%20", "/ä/文", "b64:/+8=", '/quote"and\\backslash'];
    const router = createRouter({
      history: createMemoryHistory(),
      routes: [{ path: "/restore", component: {} }],
    });
    const { href } = router.resolve(restoreLink("0198", paths));
    const opened = router.resolve(href);
    expect(opened.query["snapshot"]).toBe("0198");
    expect(pathsOfHash(opened.hash)).toEqual(paths);
  });

  it("read anything else as no entries", () => {
    expect(pathsOfHash("")).toEqual([]);
    expect(pathsOfHash("#{")).toEqual([]);
    expect(pathsOfHash('#["/a",1]')).toEqual(["/a"]);
  });
});
