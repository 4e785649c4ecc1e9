// Package scim is the SCIM 2.0 service provider (RFC 7643, RFC 7644): it lets identity providers push people and groups
// into a source at /scim/{source}/v2.
//
// A request goes through one chain:
//
//	limits -> bearer token -> route -> decode -> normalise -> apply -> Push (durable) -> answer
//
// Schemas and the shape of errors come from github.com/elimity-com/scim; parsing, filters, PATCH and answers are our own,
// because client text must never reach an unbounded parser and because identity providers speak dialects. What is read
// differently from how it was written is noted, and the notes are part of the request's log line and of its audit entry:
//
//	Attribute names   without regard to case; answered in the schema's spelling
//	Keys              name, name.sub, URN:name[.sub], URN, and extension attributes without their URN
//	Unknown           attributes and schemas are ignored, the rest of the request goes on
//	Scalars           "False" is false, 7 is "7" where text is wanted, [x] is x; "", null and [] are unassigned, and say that there is none (nones)
//	Complex           "v" is {"value":"v"}, text that holds a JSON object is that object
//	Multi-valued      x is [x]; the same (type, value) is kept once; two primary values are refused
//	PATCH             "Replace" is replace; a value filter that matches nothing makes the element it describes; remove
//	                  with values removes only those; remove of what is not there succeeds; all operations or none
//	active            a PUT without it keeps what is stored, a POST without it means true
//	password          is accepted and dropped: it is neither stored nor passed on
//
// Answers follow RFC 7644 whatever the dialect was.
package scim
