package attest

// A Device is a way to a TPM of this machine.
type Device struct {
	Path string // for [Open]
	Err  error  // why it cannot be used; nil if it can
}

// Find returns the ways to this machine's TPMs, with the reason why one cannot be used:
// an error as [Open] returns it, or that it is a TPM 1.2. On Linux these are
// /dev/tpmrm0 and /dev/tpm0, then those of a second TPM; on Windows the TPM of TBS, with
// an empty path. The first whose Err is nil is the one that Open("") opens. Find opens
// and closes each device, and sends no command. It returns nil if the machine has no
// TPM, or the operating system is another.
func Find() []Device { return find() }
