package syncml

// Status codes (SyncML Representation Protocol 1.2.2, section 10) that a device
// gives or gets. That a command of a failed Atomic gets 215 if it was not
// reached, beside 216 for the commands that were taken back, is not documented.
const (
	StatusOK           = 200
	StatusAccepted     = 202 // the command goes on after the session
	StatusAuthAccepted = 212 // for the rest of the session
	StatusNotExecuted  = 215 // a command of a failed Atomic that was not reached
	StatusRolledBack   = 216 // a command of a failed Atomic that was taken back
	StatusBadRequest   = 400
	StatusUnauthorized = 401
	StatusNotFound     = 404
	StatusNotAllowed   = 405
	StatusOptional     = 406 // the device does not support the feature
	StatusNoCredential = 407
	StatusTooLarge     = 413
	StatusExists       = 418
	StatusFull         = 420
	StatusFailed       = 500
	StatusAtomicFailed = 507
)
