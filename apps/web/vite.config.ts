import ui from "@nuxt/ui/vite";
import vue from "@vitejs/plugin-vue";
import { defineConfig } from "vite";

/** Where `vite dev` finds the hub; in production the hub itself serves the built files. */
const HUB = "http://127.0.0.1:8420";

export default defineConfig({
  plugins: [
    vue(),
    ui({
      // Composables and our own components are imported by name; only the kit's components are found by their tags.
      autoImport: false,
      components: { dirs: [] },
      // Icons are named in .ts files too. One that is not bundled would be asked for at a foreign address.
      icon: {
        clientBundle: { scan: { globInclude: ["src/**/*.{vue,ts}"], globExclude: ["dist/**", "node_modules/**"] } },
      },
      ui: {
        colors: {
          primary: "teal",
          secondary: "cyan",
          success: "green",
          info: "sky",
          warning: "amber",
          error: "red",
          neutral: "slate",
        },
      },
    }),
  ],
  build: { target: "es2023", chunkSizeWarningLimit: 1200 },
  server: { proxy: { "/trpc": HUB, "/api": HUB } },
  preview: { proxy: { "/trpc": HUB, "/api": HUB } },
});
