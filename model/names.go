package model

// Field names of log lines and the labels of metrics: one spelling, here. No attribute values are logged at info.
const (
	FieldSource   = "source"
	FieldTarget   = "target"
	FieldRecord   = "record"
	FieldIdentity = "identity"
	FieldRun      = "run"
	FieldPlan     = "plan"
	FieldJob      = "job"
	FieldKind     = "kind"
	FieldOp       = "op"
	FieldEvent    = "event"
	FieldState    = "state"
	FieldVerdict  = "verdict"
	FieldCode     = "code"
	FieldCount    = "count"
	FieldAttempt  = "attempt"
	FieldDuration = "duration"
	FieldRequest  = "request"
	FieldMethod   = "method"
	FieldRoute    = "route"
	FieldStatus   = "status"
	FieldRemote   = "remote"
	FieldActor    = "actor"
	FieldReplica  = "replica"
	FieldAddress  = "address"
	FieldVersion  = "version"
	FieldDialect  = "dialect" // of an identity provider, a name from a fixed list
	FieldNotes    = "notes"   // what was normalised in a request
	FieldReason   = "reason"  // why a request was refused, in our words
	FieldToken    = "token"   // its name
	FieldRules    = "rules"   // the fingerprint of a configuration's rules
)
