// caught by: resolvable
import "./nowhere.ts";
