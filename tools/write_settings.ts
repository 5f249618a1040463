/** `deno task build` writes docs/configuration.md from the one table of settings; a test proves it fresh. */

import { writeFileSync } from "node:fs";
import { configurationPage } from "./configuration_page.ts";

writeFileSync(new URL("../docs/configuration.md", import.meta.url), configurationPage());
