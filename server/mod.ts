export { type AdminBindings, type AdminEnv, type AdminParts, createAdminApp } from "./app.ts";
export { type BreakerConfig, type Config, type ConfigReading, readConfig } from "./config.ts";
export { helpText, settingsMarkdown } from "./settings_text.ts";
