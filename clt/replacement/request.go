package replacement

import "fmt"

// RequestError says that what was asked for is wrong, and not the work: an edit, a
// target or a setting that names nothing of the model or of the prompt.
type RequestError struct{ Err error }

func (e *RequestError) Error() string { return e.Err.Error() }

func (e *RequestError) Unwrap() error { return e.Err }

// refused makes a RequestError.
func refused(format string, args ...any) error {
	return &RequestError{fmt.Errorf("replacement: "+format, args...)}
}
