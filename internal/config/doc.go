// Package config reads the configuration file. It is strict: an unknown key, a key twice, a wrong type, a value that
// cannot work (a DN, filter, URL, cron expression, CEL expression, secret that is not there) is a mistake, and all
// mistakes are reported at once, each with its file, line and column, the line itself, and what is expected.
//
// Secrets are never in the file: it names the file or environment variable that holds them. They are read when they are
// needed, so that a rotated one is used without a restart, and they never appear in output.
//
// What comes out are plain structs. The commands turn them into the options of sources and targets; this package knows
// none of those.
package config
