// Package httpd is the one HTTP server of the daemon: the SCIM endpoint, the console, and what machines ask a service for
// (/healthz, /readyz, /metrics), behind limits on everything a client can stretch, with one request id, one count and one
// duration for each request. It knows nothing of what the handlers do.
package httpd
