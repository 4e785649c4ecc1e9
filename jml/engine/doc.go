// Package engine is the shell around jml: it loads what a decision needs, lets jml decide, and commits the outcome in
// one transaction; it runs directory reads, holds and releases plans, and brings targets to the latest desired state.
//
// Flow of a SCIM write, and of each chunk of a directory read:
//
//	Load (person: records, identity, accounts, groups, key owners)
//	  -> jml.Decide (pure)
//	  -> Commit (one transaction; compare-and-set on the versions that were loaded)
//	  -> on ErrStale: again, from Load
//
// Nothing is locked between Load and Commit. Every decision about a person bumps the identity's version, so two
// decisions about one person cannot both commit; two first requests for one person meet at the unique correlation key.
// Workers claim due account rows, call Target.Ensure outside any transaction, and finish the row under its epoch.
//
// What takes something away waits in a plan:
//
//	a read:           open -> released -> let go
//	                       -> held     -> approved -> let go
//	                                   -> expired: what is still true is held in another plan
//	a push, a review:         held, as above; or let go at once
//	a run that died:  open -> superseded: its people are decided anew by the source's next run
//
// Only an open or held plan is joined; a plan leaves these states in the statement that counts its items, so that a crash at
// any point leaves something that tendPlans or the next run finishes. An item is let go when deciding anew says the same.
package engine
