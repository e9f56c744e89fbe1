package strictjson

import (
	"slices"
	"strings"
	"testing"
)

type settings struct {
	Lambda float64 `json:"lambda"`
	Ramp   float64 `json:"lambda_ramp,omitempty"`
	Steps  int     `json:"steps"`
	Seed   uint64  `json:"seed"`
	Name   string  `json:"name"`
	Skip   bool    `json:"skip"`
	List   []int   `json:"list"`
	Inner  struct {
		X int `json:"x"`
	} `json:"inner"`
	Hidden int `json:"-"`
}

func TestDecode(t *testing.T) {
	keys := []string{"inner", "lambda", "lambda_ramp", "list", "name", "seed", "skip", "steps"}
	if got := Keys(&settings{}); !slices.Equal(got, keys) {
		t.Errorf("keys %q", got)
	}
	if got := Keys(3); got != nil {
		t.Errorf("keys of a number %q", got)
	}
	for text, want := range map[string]string{
		`{"lambda":1,"inner":{"x":2}}`: "",
		` {} `:                         "",
		`{"lamda":1}`:                  `unknown key "lamda", did you mean lambda?; known are ` + strings.Join(keys, ", "),
		`{"Steps":1}`:                  "", // as encoding/json reads it
		`{"STEPSS":1}`:                 `unknown key "STEPSS", did you mean steps?;`,
		`{"foo":1}`:                    `unknown key "foo"; known are `,
		`{"Hidden":1}`:                 `unknown key "Hidden"; known are `,
		`{"inner":{"y":1}}`:            `unknown field "y"`,
		`{"lambda":"x"}`:               `lambda is a string, wanted is a number`,
		`{"steps":1.5}`:                `steps is 1.5, wanted is a whole number`,
		`{"seed":-1}`:                  `seed is -1, wanted is a whole number from 0 up`,
		`{"name":3}`:                   `name is a number, wanted is a string`,
		`{"skip":[]}`:                  `skip is a list, wanted is true or false`,
		`{"list":{}}`:                  `list is an object, wanted is a list`,
		`{"inner":1}`:                  `inner is a number, wanted is an object`,
		`[1]`:                          `a list where an object is wanted`,
		`{"lambda":1} x`:               `no JSON: invalid character 'x'`,
		`{"lambda":`:                   `no JSON: unexpected end`,
		``:                             `no JSON: unexpected end`,
	} {
		var s settings
		err := Decode([]byte(text), &s)
		if want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	s := settings{Steps: 7, Name: "kept"}
	if err := Decode([]byte(`{"steps":8}`), &s); err != nil || s.Steps != 8 || s.Name != "kept" {
		t.Errorf("%+v, %v", s, err)
	}
}
