// Package capture records what an identity provider sends to one source and what it is answered, without saying who the
// people are, and plays it back.
//
// A Recorder stands before the SCIM handler. While an operator captures a source, it keeps requests and answers, and what
// the handler read from the store for them, as it was before the first request that concerned it. A Redactor replaces
// every personal value with a pseudonym of the same shape under a key that lives as long as the capture. File is what an
// operator gets, one JSON document per line; Replay plays it to a handler over a scratch database and compares.
//
// What is not known to be harmless is replaced: the list is of what stays.
package capture
