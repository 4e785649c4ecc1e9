// Package conformance asks a SCIM 2.0 service provider, ours or anybody's, whether it does what RFC 7643, RFC 7644 and
// RFC 9865 say, and what the identity providers in the field rely on beyond that.
//
// It is a list of checks. A check has an id that never changes, the section of the RFC, the rows of the requirements it
// proves, and a severity:
//
//	must     the RFC demands it
//	should   the RFC recommends it, or an honest refusal takes the place of what it demands
//	interop  no RFC says it, but some identity provider needs it
//
// Checks use users and groups of their own, under random names at example.org, and never change anything else: what was
// there before is at most counted. What was made is removed at the end, whatever happened in between. What a feature
// that is not announced would need is skipped, with the reason.
//
// A check looks at one rule and takes everything else as it comes, so that one mistake of a server is named by the
// checks that are about it and not by all that come after.
package conformance
