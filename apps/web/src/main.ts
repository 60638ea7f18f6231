import ui from "@nuxt/ui/vue-plugin";
import { VueQueryPlugin } from "@tanstack/vue-query";
import { createPinia } from "pinia";
import { createApp } from "vue";
import { z } from "zod";
import "./main.css";
import { queryClient } from "./lib/query.ts";
import { createAppRouter } from "./router.ts";
import App from "./shell/App.vue";

// zod would compile its schemas with `new Function`, which the Content-Security-Policy forbids.
z.config({ jitless: true });

createApp(App).use(createPinia()).use(VueQueryPlugin, { queryClient }).use(createAppRouter()).use(ui).mount("#app");
