package hresult

// A codedError is an error that Windows has a code for.
type codedError struct {
	code uint32
	text string
}

// NewError returns an error with a text and the code Windows has for it. Each
// call returns a distinct error, as errors.New does.
func NewError(code uint32, text string) error { return &codedError{code, text} }

// Error implements error.
func (e *codedError) Error() string { return e.text }

// HRESULT returns the code.
func (e *codedError) HRESULT() uint32 { return e.code }
