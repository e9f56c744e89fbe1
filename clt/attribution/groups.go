package attribution

import "fmt"

// Group is a supernode: nodes that play one role in the prompt.
type Group struct {
	Label string `json:"label"`
	Nodes []ID   `json:"nodes"`
	Guess bool   `json:"guess,omitempty"` // made by SuggestGroups and looked at by nobody yet
}

// Grouped is a graph of groups. Nodes outside all groups are groups of one.
type Grouped struct {
	Groups  []Group
	Members [][]int // node numbers of each group
	Weights Matrix  // [group, group], row = target: Edge(S→T) below
}

// Grouped joins the nodes of each group, weighting its members by how much of
// their input comes from outside, as the published viewers do:
//
//	in(t)     = sum |w| into t;  ext(t): only from sources outside t's group
//	phi(t)    = (ext(t)/in(t)) / sum over the group of (ext/in)
//	Edge(S→T) = sum_t in T phi(t) · (sum_s in S w(s→t)) / ext(t)
//
// So the |input| of a group sums to at most 1 (to 1 if no signs cancel), and
// between single nodes the edge is the signed share. The bias is left out, as
// in all shares. Members that the graph does not have are skipped; a node in
// two groups is an error.
func (g *Graph) Grouped(groups []Group) (*Grouped, error) {
	sp, err := g.sparse()
	if err != nil {
		return nil, err
	}
	out, of, err := g.membership(groups)
	if err != nil {
		return nil, err
	}
	out.Weights = NewMatrix(len(out.Groups), true)
	for to, members := range out.Members {
		outside, total := make([]float64, len(members)), 0.0
		for i, t := range members {
			for k, s := range sp.col[t] {
				if of[s] != to {
					outside[i] += sp.abs[t][k]
				}
			}
			total += outside[i] / max(sp.mass[t], minRowMass)
		}
		for i, t := range members {
			if outside[i] == 0 {
				continue
			}
			phi := outside[i] / max(sp.mass[t], minRowMass) / total
			for _, s := range sp.col[t] {
				if from := of[s]; from != to {
					w := g.Weight(t, int(s)) / outside[i]
					out.Weights.Set(to, from, out.Weights.At(to, from)+phi*w)
				}
			}
		}
	}
	return out, nil
}

// membership numbers the groups and says which one each node is in.
func (g *Graph) membership(groups []Group) (*Grouped, []int, error) {
	index := make(map[ID]int, len(g.Nodes))
	for i := range g.Nodes {
		index[g.Nodes[i].ID] = i
	}
	out, of := &Grouped{}, make([]int, len(g.Nodes))
	for i := range of {
		of[i] = -1
	}
	for _, group := range groups {
		var members []int
		for _, n := range group.Nodes {
			i, have := index[n]
			if !have {
				continue
			}
			if of[i] >= 0 {
				return nil, nil, fmt.Errorf("attribution: %v is in group %q and in group %q; a node has one group", n, out.label(of[i], group), group.Label)
			}
			of[i] = len(out.Groups)
			members = append(members, i)
		}
		if len(members) > 0 {
			out.Groups, out.Members = append(out.Groups, group), append(out.Members, members)
		}
	}
	for i := range g.Nodes {
		if of[i] < 0 {
			of[i] = len(out.Groups)
			out.Groups = append(out.Groups, Group{Label: g.Name(i), Nodes: []ID{g.Nodes[i].ID}})
			out.Members = append(out.Members, []int{i})
		}
	}
	return out, of, nil
}

// label is the label of group i, which may be the one being read.
func (s *Grouped) label(i int, current Group) string {
	if i < len(s.Groups) {
		return s.Groups[i].Label
	}
	return current.Label
}
