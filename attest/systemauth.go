package attest

// SystemAuth returns the authorization values of the owner and the endorsement hierarchy
// that the operating system keeps, for the fields OwnerAuth and EndorsementAuth of a
// [TPM]. Windows gives the hierarchies random values when it sets up the TPM, keeps them
// in its registry and returns them to administrators (Tbsi_Get_OwnerAuth with
// TBS_OWNERAUTH_TYPE_STORAGE_20 and TBS_OWNERAUTH_TYPE_ENDORSEMENT_20). A value is nil if
// Windows does not keep it, which means that it is empty or known to somebody else. On
// other systems both are nil. Nothing is changed.
//
// The error is an [*Error]. On Windows it says that there is no TPM 2.0, or with
// TBS_E_ACCESS_DENIED that this user may not read the values; on other systems it is nil.
func SystemAuth() (owner, endorsement []byte, err error) {
	owner, endorsement, err = systemAuth()
	if err != nil {
		return nil, nil, &Error{Op: "SystemAuth", Err: err}
	}
	return owner, endorsement, nil
}
