package scim

import (
	"container/heap"
	"slices"
	"sort"
)

// bulkOrder arranges operations, given what has to be done before each, in units: one operation, or a circle of some that
// need each other. Of the units that can be next, the one is that stands first in the request; so what needs nothing later
// stays in its order.
func bulkOrder(before [][]int) [][]int {
	units, of := circles(before)
	waits := make([]int, len(units))
	then := make([][]int, len(units))
	for v, list := range before {
		for _, w := range list {
			if of[w] != of[v] {
				waits[of[v]]++
				then[of[w]] = append(then[of[w]], of[v])
			}
		}
	}
	var ready firsts
	for u := range units {
		if waits[u] == 0 {
			heap.Push(&ready, units[u][0])
		}
	}
	order := make([][]int, 0, len(units))
	for ready.Len() > 0 {
		first, _ := heap.Pop(&ready).(int)
		u := of[first]
		order = append(order, units[u])
		for _, next := range then[u] {
			if waits[next]--; waits[next] == 0 {
				heap.Push(&ready, units[next][0])
			}
		}
	}
	return order
}

// firsts is a heap of the first operations of units.
type firsts struct{ sort.IntSlice }

func (f *firsts) Push(v any) {
	if n, ok := v.(int); ok {
		f.IntSlice = append(f.IntSlice, n)
	}
}

func (f *firsts) Pop() any {
	end := len(f.IntSlice) - 1
	v := f.IntSlice[end]
	f.IntSlice = f.IntSlice[:end]
	return v
}

// circles finds the strongly connected components (Tarjan's algorithm, with a stack of its own in place of recursion:
// clients decide how long a chain is). Each is sorted; of says which one an operation is in.
func circles(before [][]int) (units [][]int, of []int) {
	type call struct{ v, next int }
	n := len(before)
	number, low := make([]int, n), make([]int, n) // 0: not visited
	of = make([]int, n)                           // -1: not yet in a unit
	var open []int
	var calls []call
	visited := 0
	enter := func(v int) {
		visited++
		number[v], low[v], of[v] = visited, visited, -1
		open = append(open, v)
		calls = append(calls, call{v: v})
	}
	for root := range n {
		if number[root] == 0 {
			enter(root)
		}
		for len(calls) > 0 {
			c := &calls[len(calls)-1]
			v := c.v
			if c.next < len(before[v]) {
				w := before[v][c.next]
				c.next++
				if number[w] == 0 {
					enter(w)
				} else if of[w] < 0 {
					low[v] = min(low[v], number[w])
				}
				continue
			}
			calls = calls[:len(calls)-1]
			if len(calls) > 0 {
				up := calls[len(calls)-1].v
				low[up] = min(low[up], low[v])
			}
			if low[v] < number[v] {
				continue
			}
			var unit []int
			for of[v] < 0 {
				w := open[len(open)-1]
				open = open[:len(open)-1]
				of[w] = len(units)
				unit = append(unit, w)
			}
			slices.Sort(unit)
			units = append(units, unit)
		}
	}
	return units, of
}
