// Package access is who may do what: a tree of groups, the roles their members hold, the apps a group owns and the namespaces it is
// associated with. It is pure: values in, values out.
//
//   - The root is always there. Every other group has exactly one parent, however deep, and at least one admin without an end.
//   - Roles are held by members, never by groups. A member of a group is a member of every group below it, with the same role.
//   - An app is owned by at most one group and at most one person; a namespace may be associated with many groups. The owner of an app
//     that a group owns belongs to that group.
//   - What a person may do on a resource is the union of all roles held there: directly (owner, invited), or inherited from the groups
//     of the resource and those above them. Only direct roles are stored. An inherited one is taken away where it comes from.
//   - Every role held has a reason, an approver and perhaps a time from and to which it counts.
package access
