import { XVaultError } from "@xvault/kernel";
import express, { Router } from "express";
import { join } from "node:path";

/** Vite's output names what is below `assets/` by its content, so it can be kept for ever. */
const ONE_YEAR = "public, max-age=31536000, immutable";

/** The web interface: its files, and `index.html` for every other address that a person opens, since the page routes by itself. */
export function webRouter(webDir: string): Router {
  const router = Router();
  const assets = join(webDir, "assets");
  router.use(
    "/assets",
    express.static(assets, { index: false, setHeaders: (res) => res.setHeader("cache-control", ONE_YEAR) }),
  );
  router.use("/assets", (_req, _res, next) => next(new XVaultError("NOT_FOUND")));
  router.use(express.static(webDir, { index: false, setHeaders: (res) => res.setHeader("cache-control", "no-cache") }));
  router.get("/{*path}", (req, res, next) => {
    if (!req.accepts("html")) return next(new XVaultError("NOT_FOUND"));
    res.setHeader("cache-control", "no-cache");
    res.sendFile("index.html", { root: webDir, cacheControl: false }, (error) => {
      if (error && !res.headersSent) next(new XVaultError("NOT_FOUND", undefined, { cause: error }));
    });
  });
  return router;
}
