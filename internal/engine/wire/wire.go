// Package wire is what a notebook cell and the engine say to each other: HTTP over a Unix socket, JSON in, one JSON
// object a line out. It holds plain types and the standard library alone, so that a cell that imports it stays small.
//
//	GET  /state          State
//	POST /stop           ends the engine
//	POST /v1/VERB        request in, lines of Event out: any number of Progress, then one Result or one Error
//
// Closing the request cancels the verb.
package wire

import (
	"encoding/json"
	"strings"
	"time"
)

// Protocol changes when a client of before can no longer talk to an engine of after.
const Protocol = 1

// VerbPath is the path prefix of the verbs.
const VerbPath = "/v1/"

// Event is one line of an answer; exactly one of its fields is set.
type Event struct {
	Progress *Progress       `json:"progress,omitempty"`
	Error    *Error          `json:"error,omitempty"`
	Result   json.RawMessage `json:"result,omitempty"`
}

// Progress says how far a long call is.
type Progress struct {
	Phase   string             `json:"phase,omitempty"`   // what is being done: "collect", "train"
	Done    int                `json:"done"`              // steps done
	Total   int                `json:"total,omitempty"`   // steps in all; 0 if not known
	Message string             `json:"message,omitempty"` // one line, only if it says more than the numbers
	Values  map[string]float64 `json:"values,omitempty"`  // numbers of this step by name: "loss", "l0"
	Text    string             `json:"text,omitempty"`    // a text that grows, as far as it is; not told at every step
}

// Error is a failed call: what went wrong, and what to do about it.
type Error struct {
	Message string `json:"message"`
	Cure    string `json:"cure,omitempty"`
}

// Error joins message and cure the way all errors of the project read: "what; cure".
func (e *Error) Error() string {
	if e.Cure == "" {
		return e.Message
	}
	return e.Message + "; " + e.Cure
}

// FromError splits an error that reads "what; cure" at its last semicolon, and keeps it to one line.
func FromError(err error) *Error {
	text := strings.Join(strings.Fields(err.Error()), " ")
	if i := strings.LastIndex(text, "; "); i > 0 {
		return &Error{Message: text[:i], Cure: text[i+2:]}
	}
	return &Error{Message: text}
}

// State describes a running engine.
type State struct {
	Protocol int       `json:"protocol"`
	PID      int       `json:"pid"`
	Watch    int       `json:"watch,omitempty"` // the process it ends with; 0 if none
	Build    string    `json:"build"`           // which program it runs, see BuildID
	Started  time.Time `json:"started"`
	Calls    int       `json:"calls"` // verbs called so far
	Busy     int       `json:"busy"`  // verbs running now
	Verbs    []string  `json:"verbs"`
}

// SelfTest is the verb that needs no model: it counts, reports, and can be cancelled.
const SelfTest = "selftest"

// SelfTestRequest asks for so many steps of so many milliseconds; Fail asks for an error at the end, Panic for a crash.
type SelfTestRequest struct {
	Steps   int    `json:"steps"`
	EveryMS int    `json:"every_ms"`
	Fail    string `json:"fail,omitempty"`
	Panic   string `json:"panic,omitempty"`
}

// SelfTestResponse counts what this engine has done over all calls.
type SelfTestResponse struct {
	Steps int `json:"steps"` // steps over all calls of this engine
	Calls int `json:"calls"` // finished self-tests of this engine
}
