// Package reason has the words for why a tenant is not synced and healthy, and
// why a rollout waits or how it ended. Programs match them, and people look them
// up in docs/reasons.md, which explains each: a word never changes its meaning.
package reason

// Error is an error that says itself why a tenant is what it is.
type Error interface {
	error
	Reason() string // a word of this package
	Next() string   // the next step, for people
}

// Passing is an Error of which the same may work later, without a change in git.
type Passing interface {
	Error
	Again() bool
}

// Waiting for a person.
const (
	AwaitingApproval = "AwaitingApproval"
	PolicyDenied     = "PolicyDenied"
	AdoptionReview   = "AdoptionReview"
	Held             = "Held"
	RolledBack       = "RolledBack"
	DeletionGuard    = "DeletionGuard"
	NoTenants        = "NoTenants"
)

// What git says is wrong.
const (
	InvalidBundle    = "InvalidBundle"
	RenameAndRetype  = "RenameAndRetype"
	SeedRejected     = "SeedRejected"
	QuotaExceeded    = "QuotaExceeded"
	InvalidURL       = "InvalidURL"
	OutsideDirectory = "OutsideDirectory"
	HostNotAllowed   = "HostNotAllowed"
	HostSettings     = "HostSettings"
	NotServed        = "NotServed"
	DatabaseShared   = "DatabaseShared"
	VerifyFailed     = "VerifyFailed"
)

// What is in the database stands in the way.
const (
	PreCheckFailed   = "PreCheckFailed"
	ConstraintFailed = "ConstraintFailed"
	ForeignDependent = "ForeignDependent"
	Drift            = "Drift"
	ObserveOnly      = "ObserveOnly"
	NotImported      = "NotImported"
	RegistryShape    = "RegistryShape"
	PurgeHeld        = "PurgeHeld"
	OwnedElsewhere   = "OwnedElsewhere"
	NewerJournal     = "NewerJournal"
)

// The file or the system.
const (
	Missing          = "Missing"
	JournalMissing   = "JournalMissing"
	Corrupt          = "Corrupt"
	PermissionDenied = "PermissionDenied"
	DiskFull         = "DiskFull"
	ServerAway       = "ServerAway"
	AnswerTooLarge   = "AnswerTooLarge"
	TokenRejected    = "TokenRejected"
	SecretUnreadable = "SecretUnreadable"
	ServerBlocked    = "ServerBlocked"
	Busy             = "Busy"
	SnapshotFailed   = "SnapshotFailed"
	SnapshotTooLarge = "SnapshotTooLarge"
	Backfilling      = "Backfilling"
	TooLarge         = "TooLarge"
)

// Rollouts: a tenant.
const (
	WaitingForWave  = "WaitingForWave"
	RolloutHalted   = "RolloutHalted"
	RolloutPaused   = "RolloutPaused"
	RolloutAborted  = "RolloutAborted"
	LaterDeployment = "LaterDeployment"
	RollbackFailed  = "RollbackFailed"
)

// Rollouts: why one waits, or how it ended.
const (
	Baking         = "Baking"
	OutsideWindow  = "OutsideWindow"
	AwaitingResume = "AwaitingResume"
	Paused         = "Paused"
	BudgetExceeded = "BudgetExceeded"
	Aborted        = "Aborted"
	PassFailed     = "PassFailed"
	Superseded     = "Superseded"
)

// Lives of tenants.
const (
	Suspended     = "Suspended"
	Removed       = "Removed"
	Destroyed     = "Destroyed"
	LegalHold     = "LegalHold"
	RemovalFailed = "RemovalFailed"
)

// Servers of databases.
const (
	DatabaseElsewhere    = "DatabaseElsewhere"
	NameTaken            = "NameTaken"
	DeleteProtected      = "DeleteProtected"
	ProviderUnauthorized = "ProviderUnauthorized"
	ProviderPayment      = "ProviderPayment"
	ProviderForbidden    = "ProviderForbidden"
	ProviderNotFound     = "ProviderNotFound"
	ProviderConflict     = "ProviderConflict"
	ProviderLimited      = "ProviderLimited"
	ProviderAway         = "ProviderAway"
	ProviderRefused      = "ProviderRefused"
)

// Going back.
const (
	NothingToDo = "NothingToDo"
	NotAdded    = "NotAdded"
	NoWayBack   = "NoWayBack"
	Restored    = "Restored"
	Rebuilt     = "Rebuilt"
)

// Under way, or our own fault.
const (
	StalePlan        = "StalePlan"
	Interrupted      = "Interrupted"
	ProofFailed      = "ProofFailed"
	GuardFailed      = "GuardFailed"
	DeploymentFailed = "DeploymentFailed"
)
