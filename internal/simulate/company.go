package simulate

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"jmld/model"
)

// person is the truth about one person.
type person struct {
	number        int
	given, family string
	department    string
	title         string
	partner       string // the firm that sent them, "": our own employee
	employed      bool
	onLeave       bool
	builder       bool
	start, end    int // days of the contract, which the sources know; no end: 0
	since         int // the day the last of these changed
	returns       int // day of the end of a leave

	// What the sources have, which comes later than the truth.
	entry    int    // how many entries the directory has had for them
	listed   bool   // the directory lists them
	unlistAt int    // the day their entry goes, 0: it does not
	pushed   string // the provider's id for them, "": none
	stale    bool   // the provider never hears of a new title
	titleWas string // the one it knows

	entryWas   model.Entry // as it was listed last
	entryFacts *facts
}

func (p *person) userName() string { return fmt.Sprintf("u%06d", p.number) }
func (p *person) name() string     { return p.given + " " + p.family }
func (p *person) mail() string {
	return fmt.Sprintf("%s.%s.%d@%s", strings.ToLower(p.given), strings.ToLower(p.family), p.number, p.domain())
}

func (p *person) domain() string {
	if p.partner == "" {
		return "example.org"
	}
	return strings.ToLower(p.partner) + ".example"
}

// comes says whether somebody is here or announced.
func (p *person) comes(day int) bool { return p.employed || p.start > day }

// Kinds of events.
const (
	Announced = "announced"
	Hired     = "hired"
	Left      = "left"
	Returned  = "returned"
	Moved     = "moved"
	Renamed   = "renamed"
	LeaveOn   = "leave begun"
	LeaveOff  = "leave ended"
	Builds    = "builder joined"
	BuildsNot = "builder left"
	Reorg     = "reorganised"
	TeamIn    = "partner team joined"
	TeamOut   = "partner team left"
	LaidOff   = "laid off"
	Incident  = "source broken"
)

// Kinds lists them in the order of the table.
func Kinds() []string {
	return []string{Announced, Hired, Left, Returned, Moved, Renamed, LeaveOn, LeaveOff, Builds, BuildsNot, Reorg, TeamIn, TeamOut, LaidOff, Incident}
}

// company is the truth and what has yet to be told.
type company struct {
	rand                                         *rand.Rand
	pace                                         float64
	began                                        time.Time // midnight of day 0
	people                                       []*person
	events                                       map[string]int
	weeks                                        []Week
	tell                                         map[int][]*person // day -> people the provider hears of then
	day                                          int
	given, family, departments, titles, partners []string

	names map[string]string // department -> the name it has since it was reorganised
}

func newCompany(seed uint64, pace float64, began time.Time) *company {
	return &company{pace: pace, began: began, rand: rand.New(rand.NewPCG(seed, 0x6a6d6c64)), events: map[string]int{}, tell: map[int][]*person{}, names: map[string]string{},
		given: strings.Fields(givenNames), family: strings.Fields(familyNames), departments: strings.Fields(departments),
		titles: strings.Fields(titles), partners: strings.Fields(partners)}
}

// happen counts an event and notes whom the provider has to hear of.
func (c *company) happen(kind string, p *person) {
	c.events[kind]++
	w := c.week()
	switch kind {
	case Hired, Returned, TeamIn:
		w.Joiners++
	case Left, TeamOut, LaidOff:
		w.Leavers++
	case Incident:
		return
	case Announced:
	default:
		w.Movers++
	}
	p.since = c.day
	if kind == TeamOut && p.number%2 == 0 {
		return // the contract is over, and nobody thinks of telling the provider
	}
	c.tellProvider(p, c.rand.IntN(3))
}

// week is the one the day is in.
func (c *company) week() *Week {
	for len(c.weeks) <= c.day/7 {
		c.weeks = append(c.weeks, Week{Week: len(c.weeks) + 1})
	}
	return &c.weeks[c.day/7]
}

func (c *company) tellProvider(p *person, later int) {
	c.tell[c.day+later] = append(c.tell[c.day+later], p)
}

func (c *company) hire(partner string) *person {
	p := &person{number: 1000 + len(c.people), given: pick(c.rand, c.given), family: pick(c.rand, c.family), department: c.department(),
		title: pick(c.rand, c.titles), partner: partner, employed: true, start: c.day, listed: partner == "", entry: 1,
		stale: partner == "" && c.rand.IntN(10) == 0}
	p.builder = partner != "" || c.rand.IntN(8) == 0
	p.titleWas = p.title
	c.people = append(c.people, p)
	return p
}

func (c *company) department() string {
	d := pick(c.rand, c.departments)
	if now, ok := c.names[d]; ok {
		return now
	}
	return d
}

// announce hires somebody who starts some days from now.
func (c *company) announce() *person {
	p := c.hire("")
	p.employed, p.start = false, c.day+1+c.rand.IntN(14)
	return p
}

// leave ends somebody's time here. The directory keeps some as inactive for a while and drops others at once.
func (c *company) leave(p *person) {
	p.employed, p.onLeave, p.builder, p.returns = false, false, false, 0
	p.unlistAt = c.day
	if c.rand.IntN(2) == 0 {
		p.unlistAt = c.day + 1 + c.rand.IntN(30)
	}
}

// comeBack is a return under the old number, in a new entry where the old one is gone.
func (c *company) comeBack(p *person) {
	p.employed, p.start, p.unlistAt, p.title, p.department = true, c.day, 0, pick(c.rand, c.titles), c.department()
	if p.partner == "" && !p.listed {
		p.entry, p.listed = p.entry+1, true
	}
}

// live plays one day.
func (c *company) live(day int) {
	c.day = day
	if day == 0 {
		return
	}
	for _, p := range c.people {
		if p.listed && p.unlistAt > 0 && !p.comes(day) && day >= p.unlistAt {
			p.listed, p.unlistAt = false, 0
		}
		if !p.employed && p.start == day {
			p.employed = true
			c.happen(Hired, p)
		}
		if p.employed && p.end > 0 && day > p.end {
			c.leave(p)
			c.happen(TeamOut, p)
		}
		if p.employed && p.onLeave && day >= p.returns {
			p.onLeave, p.returns = false, 0
			c.happen(LeaveOff, p)
		}
	}
	n := 0 // people who are here
	for _, p := range c.people {
		if p.employed {
			n++
		}
	}
	for range c.often(n, 0.13) {
		if c.rand.IntN(2) == 0 {
			c.happen(Announced, c.announce())
		} else {
			c.happen(Hired, c.hire(""))
		}
	}
	c.some(n, 0.11, Left, func(p *person) bool { return p.partner == "" }, c.leave)
	c.some(n, 0.01, Returned, func(p *person) bool { return !p.comes(day) && p.partner == "" && day-p.since > 7 }, c.comeBack)
	c.some(n, 0.20, Moved, here, func(p *person) { p.department, p.title = c.department(), pick(c.rand, c.titles) })
	c.some(n, 0.01, Renamed, here, func(p *person) { p.family = pick(c.rand, c.family) })
	c.some(n, 0.04, LeaveOn, func(p *person) bool { return here(p) && p.partner == "" && !p.onLeave },
		func(p *person) { p.onLeave, p.returns = true, day+14+c.rand.IntN(90) })
	c.some(n, 0.05, Builds, func(p *person) bool { return here(p) && !p.builder }, func(p *person) { p.builder = true })
	c.some(n, 0.05, BuildsNot, func(p *person) bool { return here(p) && p.builder && p.partner == "" }, func(p *person) { p.builder = false })
	c.greatDays(n)
}

// greatDays are those on which much happens at once.
func (c *company) greatDays(n int) {
	switch c.day % 182 {
	case 20: // a partner sends a team, for a time
		for range max(2, n/100) {
			p := c.hire(c.partners[c.day/182%len(c.partners)])
			p.end = c.day + 90
			c.happen(TeamIn, p)
		}
	case 50: // a department gets another name
		was := c.departments[c.day/182%len(c.departments)]
		is := fmt.Sprintf("%s %d", was, 2+c.day/182)
		for _, p := range c.people {
			if p.employed && (p.department == was || p.department == c.names[was]) {
				p.department = is
				c.happen(Reorg, p)
			}
		}
		c.names[was] = is
	case 150:
		for range max(1, n/40) {
			if p := c.find(func(p *person) bool { return here(p) && p.partner == "" }); p != nil {
				c.leave(p)
				c.happen(LaidOff, p)
			}
		}
	}
}

func here(p *person) bool { return p.employed }

// often is how many of n people something happens to today that happens to the share of them in a year.
func (c *company) often(n int, yearly float64) int {
	mean := c.pace * float64(n) * yearly / 365
	whole := int(mean)
	if c.rand.Float64() < mean-float64(whole) {
		whole++
	}
	return whole
}

func (c *company) some(n int, yearly float64, kind string, who func(*person) bool, do func(*person)) {
	for range c.often(n, yearly) {
		if p := c.find(func(p *person) bool { return who(p) && (kind == Returned || here(p)) && p.since < c.day }); p != nil {
			do(p)
			c.happen(kind, p)
		}
	}
}

// find is somebody at random of whom it is true, or nobody.
func (c *company) find(who func(*person) bool) *person {
	if len(c.people) == 0 {
		return nil
	}
	for range 200 {
		if p := pick(c.rand, c.people); who(p) {
			return p
		}
	}
	return nil
}

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

// What names are made of.
const (
	givenNames = "Ada Alan Amina Anton Bela Bo Carla Chen Dana David Edda Emil Fatma Finn Grace Hana Hugo Ida Igor Jana Joris Kaya Kim " +
		"Lara Leo Mara Milo Nadia Nils Olga Omar Pia Quinn Ravi Rosa Sami Sara Tara Tom Ulla Vera Wim Yara Yusuf Zoe"
	familyNames = "Abel Adler Baker Becker Blum Bosch Castro Cohen Dekker Diaz Eriksen Fischer Fuchs Garcia Haas Hansen Ito Jansen Kaya " +
		"Keller Khan Koch Lang Lopez Maier Meyer Moretti Nagy Novak Okoye Olsen Peters Popa Quist Rossi Sato Schmidt Silva Smit Tanaka Visser Weber Wolf Yilmaz Zhou"
	departments = "Sales Operations Claims Finance Research Legal Support Logistics Marketing Purchasing"
	titles      = "Assistant Specialist Engineer Analyst Manager Director Clerk Developer"
	partners    = "Northwind Contoso Fabrikam"
)
