package model

// Meaning is what the code says has happened, in a few words; Advice is what to do about it.
func (c Code) Meaning() string {
	switch c {
	case CodeInternal:
		return "Unexpected error"
	case CodeConfig:
		return "Mistake in the configuration"
	case CodeListen:
		return "Address cannot be listened on"
	case CodeStoreUnavailable:
		return "Database unavailable"
	case CodeSourceUnreachable:
		return "Directory unreachable"
	case CodeSourceTLS:
		return "Directory's certificate not trusted"
	case CodeSourceCredentials:
		return "Directory refused the bind"
	case CodeSourceBase:
		return "Base DN missing or not readable"
	case CodeSourceInterrupted:
		return "Read interrupted"
	case CodeSourceLimit:
		return "Directory's limit reached"
	case CodeSourceReferral:
		return "Directory pointed elsewhere"
	case CodeSourceEmpty:
		return "Directory listed nobody"
	case CodeSourceEntry:
		return "Entry could not be used"
	case CodeSourceUnproven:
		return "Read not proven complete"
	case CodeSourceBusy:
		return "Source is being read already"
	case CodeSourceMissing:
		return "Too many entries missing"
	case CodePolicyRule:
		return "Policy rule could not be evaluated"
	case CodeCorrelationDisputed:
		return "Record's keys point to different people"
	case CodeCorrelationStale:
		return "Decision about a record that changed"
	case CodeGuardHeld:
		return "Held by the guard"
	case CodePlanStale:
		return "Plan no longer true"
	case CodeLifecycleDate:
		return "Date not understood"
	case CodeNoEnd:
		return "External person without an end"
	case CodeNoSponsor:
		return "External person without a sponsor"
	case CodeForeign:
		return "Foreign domain not admitted"
	case CodeProtected:
		return "Protected"
	case CodeLastAdministrator:
		return "Last administrator"
	case CodeReserved:
		return "User name of a local account"
	case CodeAccessRefused:
		return "Groups or roles would not hold together"
	case CodeAccessForeign:
		return "Managed by somebody else"
	case CodeAccessDenied:
		return "Not theirs to ask for, or to approve"
	case CodeAccessOwner:
		return "Owner of an app leaves"
	case CodeAccessHeld:
		return "Declared groups and roles wait for approval"
	case CodeAccessAdmin:
		return "Admin of a group has left"
	case CodeAccessRequest:
		return "Request for access is decided, over or there already"
	case CodeTargetUnreachable:
		return "Target unreachable"
	case CodeTargetCredentials:
		return "Target refused our token"
	case CodeTargetRefused:
		return "Target refused the account"
	case CodeTargetConflict:
		return "Name taken in the target"
	case CodeTargetThrottled:
		return "Target asked to slow down"
	case CodeTargetBroken:
		return "Target's answer not understood"
	case CodeTargetReadBack:
		return "Target did not do what it accepted"
	}
	return "Unknown code"
}
