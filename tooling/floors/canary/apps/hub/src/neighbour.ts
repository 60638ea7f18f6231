// caught by: app-imports-app
import "../../worker/src/main.ts";
