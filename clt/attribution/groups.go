package attribution

// Group is a supernode: nodes that play one role in the prompt.
type Group struct {
	Label string
	Nodes []ID
	Guess bool // made by SuggestGroups and looked at by nobody yet
}
