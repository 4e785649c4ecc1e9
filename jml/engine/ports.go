package engine

import (
	"context"
	"iter"
	"time"

	"jmld/jml"
	"jmld/jml/access"
	"jmld/model"
)

// Source reads a directory. Read streams everything it finds to emit, users before groups, and says with the Proof whether
// that was all. An error from emit ends the read and is returned. A read that fails half-way returns what it can prove
// (nothing) and the error; what was emitted is still true of the entries emitted.
type Source interface {
	Name() string
	Read(ctx context.Context, emit func(model.Entry) error) (model.Proof, error)
	// Confirm looks for entries one by one, by id and wherever they may stand, that a complete read did not list, and says of
	// each what was seen. Entries of the kind that are there must be found in the same way, or there is no answer; where none is
	// given, because the run listed only what changed, the source lists some itself. One that is not handed over has none; the error says why.
	Confirm(ctx context.Context, kind model.Kind, ids, there []string, each func(id string, s model.Sighting)) error
	// Profile is what the configuration makes the source list: a JSON object of texts. Another one opens a new epoch.
	Profile() string
}

// Comparing is a source that need not make a record of somebody whose content is known.
type Comparing interface {
	Source
	// ReadUnlike is Read, without emit for the users of whom known says that they are the same. For mark see Incremental.ReadAfter. A
	// proof without a mark leaves the one there was.
	ReadUnlike(ctx context.Context, mark string, known Known, emit func(model.Entry) error) (model.Proof, error)
}

// Known is what the store has of a source. ids and hashes are not kept.
type Known interface {
	// Same says that an entry is known with this hash. It is taken as read then.
	Same(kind model.Kind, id, hash []byte) bool
	// Has says whether an entry is known.
	Has(id []byte) bool
	// Lacks says whether an entry of the kind is known that was neither the same nor handed out.
	Lacks(kind model.Kind) bool
	// IDs numbers the ids, for a source that keeps something of each: what it adds is not known by that.
	IDs() *model.IDs
	// Doubted says that the mark is of no use for changes: the read has to give another one.
	Doubted() bool
}

// Incremental is a source that can read less than everything.
type Incremental interface {
	Source
	// Changes reads what changed since the mark of an earlier proof, or with ModeCensus lists ids only. Entries that are merely listed go
	// to q.Listed, those that were read to emit as well. A *model.Doubt: it cannot know, everything has to be read.
	Changes(ctx context.Context, q Changes, emit func(model.Entry) error) (model.Proof, error)
	// ReadAfter is Read. The directory must not be older than it was at the mark, if there is one.
	ReadAfter(ctx context.Context, mark string, emit func(model.Entry) error) (model.Proof, error)
}

// Changes is a question to an Incremental.
type Changes interface {
	Mode() model.Mode
	Mark() string
	// Known says whether the content of the entry is known.
	Known(id string) bool
	Listed(id string, kind model.Kind)
	// Missing says that an entry is not among those to be listed any more; of a proof that is Unlisted, only these count as absent. deleted:
	// the directory's own record of changes says so of this id. False: nobody knew it.
	Missing(id string, deleted bool) bool
	// Unread lists entries that are in the store and not known, up to limit of them, which ones of more by chance.
	Unread(limit int) []string
	// Names lists the people in the store whose content names the entry, and the groups there that have it as a member.
	Names(ctx context.Context, id string) (people, groups []string, err error)
	// Members lists the members that the group has in the store.
	Members(ctx context.Context, group string) ([]string, error)
	// NamedBefore lists whom the entry names in the store and not any more: members of a group, references of a person that dangle. It is
	// asked before the entry is handed out.
	NamedBefore(ctx context.Context, en model.Entry) ([]string, error)
	// Affected lists the people whose content names one of the entries, or one that is known and was not listed. any says whether there is
	// an entry of the latter kind.
	Affected(ctx context.Context, changed []string) (ids []string, any bool, err error)
}

// Target keeps accounts in one system.
type Target interface {
	Name() string
	// Ensure brings the account to want.State with want.Desired and returns it as read back: NativeID, AppliedState and
	// Applied. It is idempotent and looks before it creates. Errors steer: Permanent, After; any other is retried.
	Ensure(ctx context.Context, want model.Account) (model.Account, error)
	// Accounts lists everything the target holds, managed or not.
	Accounts(ctx context.Context) iter.Seq2[model.Account, error]
}

// Subject is what Load starts from: a record (stored or not, with the keys it has now), or an identity.
type Subject struct {
	Source, Record string      // or "" when Identity is given
	Keys           []model.Key // correlation keys of the record as it will be
	Identity       string
	Alone          bool // nothing but the record is asked for: groups are nobody's
	// Members are ids that are asked about, of a group that is Alone. Most, when it is not 0, asks whether it has more members.
	Members []string
	Most    int
	// Count, when it is not 0, asks such a group for Losing.
	Count int
	// ExternalID asks for the records of Kind that have it in Source.
	ExternalID string
	Kind       model.Kind
}

// Person is everything a decision about a subject needs.
type Person struct {
	Record   *model.Record // the subject's stored record; nil: new to its source
	Owners   map[model.Key]string
	Identity *model.Identity // of Record, else the only one that owns any of the keys; nil: nobody, or several
	Records  []model.Record  // all user records linked to Identity, ordered by source and id
	Keys     []model.Key     // that Identity owns
	Accounts []model.Account // of Identity, ordered by target
	// Administrators counts the others who administer the targets that Identity does; filled by the engine.
	Administrators map[string]int
	Groups         []model.Membership // effective groups of all Records, ordered by display name, source and id
	// Access is what the person was given directly in the tree of groups, by Identity, its keys, or keys of the subject that nobody has;
	// AccessFrame is the revision of the tree then.
	Access      []model.AccessMember
	AccessFrame int64
	Ruling      *model.Ruling // what a person decided about Record, where it is not linked; the engine asks for it
	// Managers are facts about whom Records name as manager, nil where that is nobody; filled by the engine, when the rules ask.
	Managers  map[jml.ManagerRef]map[string]any
	Tree      *access.Tree      // of AccessFrame or later; the store leaves it out
	TreeFrame int64             // the revision of Tree
	Twins     []model.Record    // up to two records with Subject.ExternalID
	Members   map[string]Member // all of Subject.Members, never older than Record; nil: nothing is known of them
	More      bool              // the group has more than Subject.Most members; false also where nothing was asked about Members
	Losing    *Losing           // never older than Record; nil: Subject.Count asked for nothing
}

// Losing is a group that is about to lose members.
type Losing struct {
	Was     model.GroupLoss // what it lost lately, Lost 0: nothing
	Members int             // it has, counted up to Count
	Count   int
}

// Member is what is stored about somebody a group may have in it.
type Member struct {
	In   bool       // the group has it as a member
	Kind model.Kind // of its record in the group's source, "" without one
}

// Write stores one record: New nil deletes, Old nil inserts, else it is a compare-and-set on Old.Version.
type Write struct {
	Old, New    *model.Record
	AddValues   []model.Value // side table of searchable values
	DropValues  []model.Value
	AddMembers  []string // groups
	DropMembers []string
	LeaveGroups bool // the record is in no group any more
	// Rekey: Unique and Kept are all that the record has and nobody else of its source and kind may have. ErrConflict when
	// somebody has one of Unique, which are new; of Kept, which the record had before, it gets those that nobody has.
	Rekey        bool
	Unique, Kept []model.Value
}

// Index is what a record is found by, beyond its columns.
type Index struct {
	Values []model.Value // searchable
	Unique []model.Value // what no other record of the source and kind may have
}

// IdentityWrite stores one identity; Expect is the version it was loaded with, 0 inserts.
type IdentityWrite struct {
	New      model.Identity
	Expect   int64
	AddKeys  []model.Key
	DropKeys []model.Key
	Audit    []model.AuditEntry // of what the decision gave by right, or ended
	Given    *GivenWrite        // what the person has by right from now on; nil: what they had
}

// RequestsBack gives open requests to whom they belonged before a merge, by their ids.
type RequestsBack struct {
	From, To string // identities
	model.MergedRequests
}

// GivenWrite is what somebody has by right. ErrStale: it is more than before, and groups and roles are others than those of Frame, by which
// that was decided.
type GivenWrite struct {
	Rows  []model.Birthright
	More  bool
	Frame int64
}

// Commit is one transaction. All of it happens or nothing.
type Commit struct {
	// Rules is the fingerprint of the rules it was decided by. ErrOtherRules: others are in force; "": it decides nothing, or nobody adopts any.
	Rules      string
	Records    []Write
	Identities []IdentityWrite
	// Administrators are the targets of Accounts that administered them and will not. ErrStale: nobody would be left who does.
	Administrators []string
	Accounts       []model.Account // desired side only: never touches the applied and lease columns of a row that exists
	Plans          []model.Plan    // upsert
	// PlansWere are plans the commit relies on, as they were loaded. ErrStale: one has another State, or was touched since its
	// UpdatedAt (zero: only the state matters). Each is touched by the commit.
	PlansWere []model.Plan
	Changes   []model.Change // insert
	Moved     []model.Change // update PlanID, Before, After, Attrs and State by ID, while it waits
	Decided   []model.Change // update State, DecidedBy, DecidedAt by ID
	Audit     []model.AuditEntry
	// Review marks the people behind these records (groups: their members, through nested groups) as due for review at
	// ReviewAt, by the next run of the job ReviewRun if it is named, and bumps their versions so that no decision in flight misses it.
	Review       []RecordRef
	People       []RecordRef // of people, who have nobody below them: as with Review, for less
	Reports      []RecordRef // by folded ids: as with Review, whose manager they are
	ReviewAt     time.Time
	Checkpoint   *model.Checkpoint // upsert
	ReviewRun    string
	RequestsBack []RequestsBack
	OpenRequests []string // of those whom Merges are about, as they were seen. ErrStale: there are others
	// Suspects are marked like those of Review; what they lose by their next decision waits.
	Suspects []Suspicion
	Losses   []model.GroupLoss // upsert; Lost 0 deletes

	Rulings      []model.Ruling // upsert
	DropRulings  []RecordRef
	Merges       []model.Merge // insert
	Unmerge      []model.Merge // delete; ErrStale: it is not there
	MoveAccounts []AccountMove
	MoveNames    []NameMove
	Waits        []WaitWrite

	Members access.Edits[model.AccessMember] // of people whose versions are in Identities
	Names   []model.AccountName              // insert; ErrStale: somebody has one of them
}

// AccountMove gives an account to another identity, which has none in the target. ErrStale: a worker has it in hand.
type AccountMove struct{ From, To, Target string }

// NameMove gives a user name to another identity, if it still belongs to the one it was seen with.
type NameMove struct {
	model.AccountName
	To string
}

// WaitWrite says for which keys a record waits; none: it waits no longer.
type WaitWrite struct {
	RecordRef
	Keys []model.Wait
}

// Suspicion is about who is behind records because of a model.Hold, as JSON.
type Suspicion struct {
	Records []RecordRef
	Hold    string
}

// RecordRef names a record.
type RecordRef struct{ Source, ID string }

// Intake is where decisions are made and stored.
type Intake interface {
	// Load returns one Person for each subject, in order, from one snapshot as far as the database gives one.
	Load(ctx context.Context, subjects []Subject) ([]Person, error)
	// Commit stores c. ErrStale: a version or a correlation key was not as loaded. ErrConflict: a record's UniqueKey is
	// taken. ErrUnavailable: the database could not; nothing was stored.
	Commit(ctx context.Context, c *Commit) error
	// MembersAmong returns which of the ids are members of the group; all members when ids is nil.
	MembersAmong(ctx context.Context, source, group string, ids []string) ([]string, error)
	// Administrators lists accounts that administer the target, as it was told: up to 100 of those that should, and up to 100 others.
	Administrators(ctx context.Context, target string) ([]model.Account, error)
	// NameOwners says whose user names are; names that nobody has are left out.
	NameOwners(ctx context.Context, names []jml.NameKey) (map[jml.NameKey]string, error)
	// Names are those that the identities were given, ordered by target and name.
	Names(ctx context.Context, identities []string) ([]model.AccountName, error)
	// NoteNames gives the accounts of the targets the names they have, where nobody was given them, or who was given them has another by now.
	NoteNames(ctx context.Context, targets []string) error
	// Lost counts the people of a source whose accounts were deactivated or deleted since t, without approval by a person: for each
	// target, and altogether as "".
	Lost(ctx context.Context, source string, since time.Time) (map[string]int, error)
	// Moved counts the people of a source with an update or a reactivation, by kind of change: of those that wait for approval, and of
	// those that went since t without a person's.
	Moved(ctx context.Context, source string, since time.Time) ([]model.ChangeCount, error)
	// Supported counts the people with an active account whose identity has a record of the source: for each target, and
	// altogether as "".
	Supported(ctx context.Context, source string) (map[string]int, error)
	// Losing looks at a group, and counts its members up to count.
	Losing(ctx context.Context, source, group string, count int) (Losing, error)
}

// Correlations is what people decided about whom records are, and what waits for them.
type Correlations interface {
	// Rulings are those of the records, in no order.
	Rulings(ctx context.Context, refs []RecordRef) ([]model.Ruling, error)
	// Unlinked lists user records with the outcome, ordered by source and id, after the one given.
	Unlinked(ctx context.Context, link model.Link, after RecordRef, limit int) ([]model.Record, error)
	// DueWaits lists disputed and unmatched records of which a key is somebody else's than when they were decided, or belongs to
	// somebody who changed since.
	DueWaits(ctx context.Context, limit int) ([]RecordRef, error)
	// Managers are the people behind records, with what ManagerFacts needs.
	Managers(ctx context.Context, refs []RecordRef) (map[RecordRef]model.Identity, error)
	// Merges are those of the identity: the one that ended it, and those that ended in it, the newest first.
	Merges(ctx context.Context, identity string) ([]model.Merge, error)
}

// Snapshots is what a directory read is compared with.
type Snapshots interface {
	// Hashes streams id, kind and hash of every record of the source. The hash is valid during the call only.
	Hashes(ctx context.Context, source string, yield func(id []byte, kind model.Kind, hash []byte) error) error
	// Checkpoint is up to where the source was read, or ErrNotFound.
	Checkpoint(ctx context.Context, source string) (model.Checkpoint, error)
	// Referrers lists the people of the source whose manager is one of the ids.
	Referrers(ctx context.Context, source string, ids []string) ([]string, error)
	// MemberOf lists the groups of the source that the record is a member of itself.
	MemberOf(ctx context.Context, source, id string) ([]string, error)
	// AdoptRules notes the fingerprint of the rules in force. Whoever was decided about by others becomes due for review, some thousands
	// in the same transaction, the others by FollowRules; it returns how many.
	AdoptRules(ctx context.Context, fingerprint string) (int, error)
	// FollowRules says whether the fingerprint is of the rules in force. Then whoever was decided about by others, and is not due by then
	// anyway, becomes due for review, some thousands at a time; it returns how many.
	FollowRules(ctx context.Context, fingerprint string, by time.Time) (inForce bool, marked int, err error)
	// RulesInForce is the fingerprint that was adopted last; "": none was.
	RulesInForce(ctx context.Context) (string, error)
	// DueReviews claims up to limit identities for review that are due at or before both the database's now and by. It moves their
	// ReviewAt by lease and returns their ids.
	DueReviews(ctx context.Context, by time.Time, lease time.Duration, limit int) ([]string, error)
	// ReviewsOf lists up to limit identities whose review a run of the job is to make, due or not, in the order of their ids, behind
	// after. Nobody is claimed: nobody else reviews them before they are due.
	ReviewsOf(ctx context.Context, job, after string, limit int) ([]string, error)
}

// AccessChange is one transaction on the tree of groups.
type AccessChange struct {
	Expect   int64 // the revision it was made from
	Changes  access.Changes
	Affected []string // people, by identity or correlation key: due for review at ReviewAt
	// Places and Roles are what changes otherwise than by memberships: whoever has one of them by right is due as well, also by a decision that was
	// stored after the change was made up.
	Places, Roles []string
	ReviewAt      time.Time
	Audit         []model.AuditEntry
	Request       *RequestWrite // what the change is about; nil: nothing
	Rules         string        // adopted in the same transaction, as AdoptRules does; "": none are
}

// RequestWrite stores one request for access: Old nil inserts; ErrStale: the person asks for the same already. Else it is decided, or approved
// by one more; ErrStale: somebody decided, or approved, since Old.
type RequestWrite struct {
	Old *model.AccessRequest
	New model.AccessRequest
}

// Around is what is loaded to change one person's memberships: those under their Names, and those of whoever administers the Places.
type Around struct {
	Person string // an identity
	Names  []string
	Places []string
}

// Access keeps the tree of groups, and who was given which role.
type Access interface {
	// Access is everything. Its size is that of the company: for operators, not for decisions about one person.
	Access(ctx context.Context) (access.State, error)
	// AccessAround is the revision of Access with the memberships of a, and nothing else.
	AccessAround(ctx context.Context, a Around) (access.State, error)
	// AccessFrame is everything but the memberships.
	AccessFrame(ctx context.Context) (access.State, error)
	// AccessRevision is the revision of AccessFrame.
	AccessRevision(ctx context.Context) (int64, error)
	// ChangeAccess stores c and bumps the versions of those it affects. ErrStale: the revision is not as expected.
	ChangeAccess(ctx context.Context, c *AccessChange) error
	// AccessRequests lists requests for access, the newest first.
	AccessRequests(ctx context.Context, q model.RequestQuery) ([]model.AccessRequest, error)
	// ExpiredRequests are open at a time, and at the database's now, at which they are over; the oldest first.
	ExpiredRequests(ctx context.Context, by time.Time, limit int) ([]model.AccessRequest, error)
	// ExpireRequest ends one of them. ErrStale: somebody decided.
	ExpireRequest(ctx context.Context, w RequestWrite, audit model.AuditEntry) error
	// AddAudit appends entries that belong to no commit.
	AddAudit(ctx context.Context, entries ...model.AuditEntry) error
}

// Plans keeps what waits.
type Plans interface {
	Plan(ctx context.Context, id string) (model.Plan, error)
	// OpenPlan is the newest held one, or ErrNotFound.
	OpenPlan(ctx context.Context, source, trigger string, brake model.Brake) (model.Plan, error)
	// Waiting counts the people with changes that wait in the plan, by kind of change.
	Waiting(ctx context.Context, plan string) ([]model.ChangeCount, error)
	Plans(ctx context.Context, states []model.PlanState, limit int) ([]model.Plan, error)
	// UnfinishedPlans ended and have items that wait all the same, the oldest first: a crash came between.
	UnfinishedPlans(ctx context.Context, limit int) ([]model.Plan, error)
	Changes(ctx context.Context, q model.ChangeQuery) ([]model.Change, error)
	// SealPlan recounts what waits in the plan, stores its Items and Digest, and returns it. A state that is not empty becomes the
	// plan's; what is pending in a plan that is held becomes held. Commits that touch the plan wait meanwhile.
	SealPlan(ctx context.Context, id string, state model.PlanState) (model.Plan, error)
}

// Queue is the accounts as work items. now is the database's clock.
type Queue interface {
	// Claim leases up to limit due accounts of the target, leavers first, and bumps their epochs.
	Claim(ctx context.Context, target, owner string, lease time.Duration, limit int) ([]model.Account, error)
	// Settle stores what Ensure read back for the desired revision that was claimed. The row is due again at once when the desired
	// revision moved meanwhile. ErrStale: the epoch moved on, somebody else has it.
	Settle(ctx context.Context, a model.Account) error
	// Fail stores Attempts, ErrorCode, ErrorText, Dead and the pause before the next try; like Settle it needs the epoch.
	Fail(ctx context.Context, a model.Account, pause time.Duration) error
	// ReplaceTask withdraws the open task of an account for the reason, and opens next unless it is nil. ErrStale: the account was decided or
	// claimed meanwhile.
	ReplaceTask(ctx context.Context, a model.Account, reason string, next *model.Task) error
	// Retry makes accounts due now and takes them out of the dead letter; it returns how many.
	Retry(ctx context.Context, q model.AccountQuery) (int, error)
}

// Runs is the calendar and the log of reads.
type Runs interface {
	// StartRun inserts the run; ErrConflict when (Job, ScheduledAt) exists.
	StartRun(ctx context.Context, r *model.Run) error
	// UpdateRun stores state, verdict, proof, funnel, error and heartbeat.
	UpdateRun(ctx context.Context, r *model.Run) error
	// Run is one run, or ErrNotFound.
	Run(ctx context.Context, id string) (model.Run, error)
	// RunList lists runs of the source, newest first, after the run before when that is not "".
	RunList(ctx context.Context, source string, limit int, before string) ([]model.Run, error)
	// RunsTried is RunList without the runs that left the source alone, model.CodeSourcePaused: with short intervals they are many.
	RunsTried(ctx context.Context, source string, limit int, before string) ([]model.Run, error)
	// StopRun marks a running run as stopping; text says who wants that. False: it does not run.
	StopRun(ctx context.Context, id, text string) (bool, error)
	// LastScheduled is the newest run of the job that was scheduled, or ErrNotFound.
	LastScheduled(ctx context.Context, job string) (model.Run, error)
	// RunsAfter are the newer runs of the run's source and job, the newest first, so many at most.
	RunsAfter(ctx context.Context, run model.Run, limit int) ([]model.Run, error)
	// AbandonRuns marks running runs of the job, other than keep, as abandoned: their replica lost the lease.
	AbandonRuns(ctx context.Context, job, keep string) error
}

// Leases are named locks with an end and a fence.
type Leases interface {
	// Acquire takes or renews the lease; ok is false while another owner has it. The fence grows with each new owner.
	Acquire(ctx context.Context, name, owner string, ttl time.Duration) (fence int64, ok bool, err error)
	Release(ctx context.Context, name, owner string) error
	// Leased says whether somebody has the lease, or one of those below it: of its name, a colon and anything.
	Leased(ctx context.Context, name string) (bool, error)
	// ForgetLeases deletes those below the name that ended before the time. Their fences begin anew.
	ForgetLeases(ctx context.Context, name string, ended time.Time) error
	// Now is the database's clock.
	Now(ctx context.Context) (time.Time, error)
}

// Store is what the engine needs of a database.
type Store interface {
	Intake
	Correlations
	Snapshots
	Access
	Plans
	Queue
	Runs
	Leases
}
