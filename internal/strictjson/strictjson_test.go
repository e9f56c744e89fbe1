package strictjson

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestUnmarshal(t *testing.T) {
	for text, want := range map[string]string{
		`{"a":1,"b":2}`:                     "",
		` { "a" : [ {"x":1} , {"x":2} ] } `: "",
		`{"a":1,"a":1}`:                     "a occurs twice",
		`{"a":1,"A":2}`:                     "A occurs twice",
		`{"a":1,"\u0061":2}`:                "a occurs twice",
		`{"a":{"x":1,"y":{"z":0},"x":2}}`:   "a.x occurs twice",
		`{"a":{"b":{"x":1,"x":2}}}`:         "", // deeper than asked
		`{"a":[{"x":1,"x":2}]}`:             "a.x occurs twice",
		`[{"x":1,"x":2}]`:                   "x occurs twice",
		`{"a":"\"{","b":"}\\","a":0}`:       "a occurs twice",
		`{}`:                                "",
		`[]`:                                "",
		`null`:                              "",
		`{"a":1`:                            "unexpected end",
		``:                                  "unexpected end",
		`{"a":1} x`:                         "invalid character",
	} {
		var v any
		err := Unmarshal([]byte(text), 2, &v)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	if got := Names([]byte(` {"b":{"c":[1,{}]}, "\u0061":2,"b":3} `)); !slices.Equal(got, []string{"b", "a", "b"}) {
		t.Errorf("names %q", got)
	}
	if got := Names([]byte(`[1]`)); got != nil {
		t.Errorf("names %q", got)
	}
}

// hasTwice is the same by encoding/json's tokens, in full depth.
func hasTwice(d *json.Decoder) bool {
	open, err := d.Token()
	if err != nil {
		panic(err)
	}
	delim, ok := open.(json.Delim)
	if !ok {
		return false
	}
	twice, seen := false, map[string]bool{}
	for d.More() {
		if delim == '{' {
			name, _ := d.Token()
			key := strings.ToLower(strings.ToUpper(name.(string)))
			twice = twice || seen[key]
			seen[key] = true
		}
		twice = hasTwice(d) || twice
	}
	d.Token()
	return twice
}

func FuzzUnmarshal(f *testing.F) {
	for _, s := range []string{`{"a":[1,-2.5e3,"x\"y",null,true,{"b":{},"c":[]}],"a":{}}`, `[[],{"a":"\\"}]`, `"x"`, ` 1 `, "{\"\xff\":1}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var v any
		err := Unmarshal(data, 1<<20, &v)
		if !json.Valid(data) {
			if err == nil {
				t.Fatalf("%q is taken", data)
			}
			return
		}
		Names(data)
		d := json.NewDecoder(strings.NewReader(string(data)))
		d.UseNumber()
		want := hasTwice(d)
		if got := err != nil && strings.HasSuffix(err.Error(), "occurs twice"); got != want {
			t.Fatalf("%q: %v, want %v", data, err, want)
		}
	})
}

func ExampleUnmarshal() {
	var v struct{ Layers int }
	fmt.Println(Unmarshal([]byte(`{"layers": 12, "layers": 6}`), 1, &v))
	// Output: layers occurs twice
}
