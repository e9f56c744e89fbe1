package main

import "flag"

func practiceVerb(f *flag.FlagSet) func(c *call) error {
	return func(c *call) error { return badCall("x") }
}
