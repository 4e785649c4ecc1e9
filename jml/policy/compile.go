package policy

// Policy is a compiled Config.
type Policy struct{}

// Compile is being written.
func Compile(c Config, targets []string) (*Policy, []Mistake) { panic("not yet") }

// Evaluate is being written.
func (p *Policy) Evaluate(person Person) Outcome { panic("not yet") }
