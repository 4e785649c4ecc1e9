// Package entry says how an entry of a directory (RFC 4512 §2) becomes the attributes of a SCIM user: which LDAP
// attributes fill them, how values are converted or computed, who is not active, and what is usual in one kind of
// directory. It is pure: values in, values out.
//
//	values of LDAP attributes → the first attribute that has any → conversion by type → SCIM values
//	                          → an expression (CEL) over `entry`                      → SCIM values
//
// What cannot be converted or computed is unknown, which is not empty: the attribute stays as it is.
package entry
