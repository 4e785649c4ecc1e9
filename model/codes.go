package model

// Code names a cause for ever: logs, the console, the CLI and the documentation use the same one.
type Code string

// The catalogue. A code is never reused; docs/errors.md has one paragraph for each (a test compares them).
const (
	CodeInternal         Code = "JML-1000"
	CodeConfig           Code = "JML-1001"
	CodeListen           Code = "JML-1002"
	CodeReload           Code = "JML-1003"
	CodeRulesDoubtful    Code = "JML-1004"
	CodeRulesOther       Code = "JML-1005"
	CodeStoreUnavailable Code = "JML-1101"

	CodeSourceUnreachable Code = "JML-2001"
	CodeSourceTLS         Code = "JML-2002"
	CodeSourceCredentials Code = "JML-2003"
	CodeSourceBase        Code = "JML-2004"
	CodeSourceInterrupted Code = "JML-2005"
	CodeSourceLimit       Code = "JML-2006"
	CodeSourceReferral    Code = "JML-2007"
	CodeSourceEmpty       Code = "JML-2008"
	CodeSourceEntry       Code = "JML-2009"
	CodeSourceUnproven    Code = "JML-2010"
	CodeSourceBusy        Code = "JML-2011"
	CodeSourceMissing     Code = "JML-2012"

	CodeSourcePassword Code = "JML-2021"
	CodeSourceLocked   Code = "JML-2022"
	CodeSourceDisabled Code = "JML-2023"
	CodeSourcePaused   Code = "JML-2024"
	CodeSourceStopped  Code = "JML-2025"

	CodePolicyRule          Code = "JML-3001"
	CodeCorrelationDisputed Code = "JML-3002"
	CodeGuardHeld           Code = "JML-3003"
	CodePlanStale           Code = "JML-3004"

	CodeGuardGroup     Code = "JML-3011"
	CodeGuardAttribute Code = "JML-3012"
	CodeGuardMovers    Code = "JML-3013"
	CodeGuardReturns   Code = "JML-3014"
	CodeGuardShrunk    Code = "JML-3015"
	CodeGuardRenewed   Code = "JML-3016"
	CodeGuardClock     Code = "JML-3017"
	CodeGuardJoiners   Code = "JML-3018"

	CodeCorrelationStale Code = "JML-3020"

	CodeLifecycleDate Code = "JML-3031"
	CodeNoEnd         Code = "JML-3032"
	CodeNoSponsor     Code = "JML-3033"
	CodeForeign       Code = "JML-3034"

	CodeProtected         Code = "JML-3041"
	CodeLastAdministrator Code = "JML-3042"
	CodeReserved          Code = "JML-3043"
	CodeNameTaken         Code = "JML-3044"

	CodeUncertified   Code = "JML-3051"
	CodeCertification Code = "JML-3052"
	CodeSeparated     Code = "JML-3053"

	CodeAccessRefused Code = "JML-3101"
	CodeAccessForeign Code = "JML-3102"
	CodeAccessDenied  Code = "JML-3103"
	CodeAccessOwner   Code = "JML-3104"
	CodeAccessHeld    Code = "JML-3105"
	CodeAccessAdmin   Code = "JML-3106"
	CodeAccessRequest Code = "JML-3107"

	CodeTargetUnreachable Code = "JML-4001"
	CodeTargetCredentials Code = "JML-4002"
	CodeTargetRefused     Code = "JML-4003"
	CodeTargetConflict    Code = "JML-4004"
	CodeTargetThrottled   Code = "JML-4005"
	CodeTargetBroken      Code = "JML-4006"
	CodeTargetReadBack    Code = "JML-4007"

	CodeTaskOpen    Code = "JML-4101"
	CodeTaskRefused Code = "JML-4102"
	CodeTaskOverdue Code = "JML-4103"
)

// Advice is what an operator does about the code, in a sentence or two.
func (c Code) Advice() string {
	switch c {
	case CodeConfig:
		return "Correct the configuration at the place named; `jmld config check` shows every mistake at once."
	case CodeListen:
		return "See what listens there already (`ss -ltnp`), or set another listen.address."
	case CodeReload:
		return "Correct what is named, or restart the daemon where it says so, and ask again with `jmld config reload`. Until then it works as before."
	case CodeRulesDoubtful:
		return "Correct the rule at the place named, then `jmld config reload`. The daemon works by it until then, as it did before the upgrade."
	case CodeRulesOther:
		return "Have every daemon adopt the same configuration with `jmld config reload`, or restart the one that is behind. What it is told is stored meanwhile."
	case CodeStoreUnavailable:
		return "Look at the database (disk space, permissions, locks, network). Clients are told to retry; nothing accepted is lost."
	case CodeSourceUnreachable:
		return "Check the url, the network and that the directory server runs. People stay as they are; the next run tries again."
	case CodeSourceTLS:
		return "Check ca_file, server_name and the validity of the directory's certificate chain."
	case CodeSourceCredentials:
		return "Check bind_dn and the password. Scheduled reads pause before the next try, to avoid a lock-out; `jmld sync` tries at once."
	case CodeSourceBase:
		return "Check the base DN and that the bind account may read it."
	case CodeSourceInterrupted:
		return "The read ended early. Nothing is concluded from what was not read; the next run reads everything again."
	case CodeSourceLimit:
		return "Give the bind account higher size, time and look-through limits on the directory server, or lower page_size."
	case CodeSourceReferral:
		return "The directory pointed to another server. Use a base that this server holds itself."
	case CodeSourceEmpty:
		return "The directory answered with nobody. Check base, filter and the bind account's rights."
	case CodeSourceEntry:
		return "Correct the entry in the directory, or the attribute mapping. The other entries went on."
	case CodeSourceUnproven:
		return "Joiners and updates went on; absences wait for a read that proves to be complete."
	case CodeSourceBusy:
		return "Another replica or command reads this source; wait for it, or see `jmld runs`."
	case CodeSourceMissing:
		return "Find out why so many are missing. If they really left, raise absence.confirm of the source and read it again; nobody leaves before."
	case CodeSourcePassword:
		return "Give the bind account a new password, put it where the configuration points, and run `jmld sync`."
	case CodeSourceLocked:
		return "Unlock the bind account in the directory and find out who locked it; then `jmld sync`. Scheduled reads pause meanwhile."
	case CodeSourceDisabled:
		return "Enable the bind account, or lift what keeps it from logging on; then `jmld sync`."
	case CodeSourcePaused:
		return "Mend what the refusal was about, then `jmld sync`: what an operator asks for is tried at once, and success ends the pause."
	case CodeSourceStopped:
		return "Somebody stopped the read; nothing is concluded from what was not read. The next run reads everything again."
	case CodePolicyRule:
		return "Correct the rule or the missing attribute; until then the account stays as it is."
	case CodeCorrelationDisputed:
		return "Decide with `jmld correlate list`, or in the console, who the record is about; or correct the keys at the source."
	case CodeCorrelationStale:
		return "The record or a candidate changed since you looked. Show it again with `jmld correlate show` and decide about what is true now."
	case CodeGuardHeld:
		return "Look at the list with `jmld held`, then approve exactly it, or correct the source: what comes back is withdrawn by itself."
	case CodeGuardGroup:
		return "Look at the group in its source. If it was emptied by mistake, mend it: what waits is withdrawn by itself. Else approve the list."
	case CodeGuardAttribute:
		return "See whether the source, the bind account's rights or the mapping of that attribute changed. Mend it, or approve the list if it is meant."
	case CodeGuardMovers:
		return "See what changed so many accounts: the source, a mapping or a rule. Mend it, or approve the list if it is meant."
	case CodeGuardReturns:
		return "So many come back at once that the status may be unreadable. Look at it in the source; approve the list if they are really back."
	case CodeGuardShrunk:
		return "Find out why the source lists fewer people: base, filter, rights. Approve the list only if those in it really left."
	case CodeGuardRenewed:
		return "Known people came back under other ids: a restore, a migration, another id attribute. Approve the list only if those in it really left."
	case CodeGuardClock:
		return "Set the clocks by NTP; what is still true is decided again by the next read. Or approve the list."
	case CodeGuardJoiners:
		return "See whether base or filter of the source let in more people than meant. Mend it: what waits is withdrawn by itself. Or approve the list."
	case CodePlanStale:
		return "The situation changed since the plan was made. Show it again and approve what is still true."
	case CodeLifecycleDate:
		return "Correct the date at its source, or its mapping. Until then the person's accounts stay as they are."
	case CodeNoEnd:
		return "Give the external person an endDate at the source, or their organisation an engagement that ends. What they have stays."
	case CodeNoSponsor:
		return "Name somebody who answers for the external person: sponsor at the source, or in the engagement of their organisation."
	case CodeForeign:
		return "The configuration gives people of other organisations no account there. List their organisation's domain, or leave it."
	case CodeProtected:
		return "Somebody has to do this by hand in the target, or take the entry out of protect: in the configuration first."
	case CodeLastAdministrator:
		return "Make somebody else an administrator of the target first. It is looked at again every hour."
	case CodeReserved:
		return "Give the person another user name. This one is of an account of the target itself."
	case CodeNameTaken:
		return "Give user_name of the rule another pattern, or number: true. The person has no account there until then, or keeps the name they have."
	case CodeUncertified:
		return "Nothing to do, if that is right: it is given by itself when the level is there. Else correct the certification at its source."
	case CodeCertification:
		return "Correct the certification or its end at the source, or certification.levels. Until then the last known level counts."
	case CodeSeparated:
		return "Take one of the two away, or make an exception with an end: `jmld access except RULE WHO --until DATE --reason WHY`."
	case CodeAccessRefused:
		return "Nothing was written. Correct what is named and try again."
	case CodeAccessForeign:
		return "Each object has one owner: change what is declared in the configuration there, and what operators made with `jmld access`."
	case CodeAccessDenied:
		return "Somebody else has to: an admin of the group itself, or of one above it. `jmld access team GROUP` lists them."
	case CodeAccessOwner:
		return "Give the app another owner: `jmld access hand-over APP WHO`, or in the configuration where it is declared. The account is deleted only then."
	case CodeAccessHeld:
		return "Look at `jmld access apply --dry-run`. If that is what is wanted, `jmld access apply --approve` lets it go; else correct the file."
	case CodeAccessAdmin:
		return "Make somebody else admin of the group: `jmld access member add GROUP WHO --admin`, or in the configuration where it is declared. The membership ends then."
	case CodeAccessRequest:
		return "See what became of it with `jmld access requests --status all`, and ask again if it is still wanted."
	case CodeTargetUnreachable:
		return "Check the target's url and network. It is retried with growing pauses and catches up by itself."
	case CodeTargetCredentials:
		return "Renew the target's token. The accounts are retried by themselves."
	case CodeTargetRefused:
		return "The target says no to this account and will again. Correct the attribute it names, then `jmld retry`."
	case CodeTargetConflict:
		return "The target has another account with this name. Rename or remove it there, then `jmld retry`."
	case CodeTargetThrottled:
		return "The target asked to slow down; nothing to do."
	case CodeTargetBroken:
		return "The target answers with something that is not SCIM. Check its url and whether a proxy answers instead."
	case CodeTargetReadBack:
		return "The target accepted the change and did not make it. Look at the account there."
	case CodeTaskOpen:
		return "A person has to do it: `jmld tasks show ID` says what, and `jmld tasks done ID --evidence TEXT` that it is done."
	case CodeTaskOverdue:
		return "Remind the assignee, or do it: `jmld tasks list --overdue`. The account stays as it is until the task is done."
	case CodeTaskRefused:
		return "See with `jmld tasks list --status refused` why it was refused, mend that, then `jmld retry`: it becomes a task again."
	}
	return "Look at the log line with the same id; if it stays, report it with the line."
}
