//! Cycles in a graph of transactions: strongly connected components (Tarjan, 1972) in time linear in the graph tell where
//! any are, then the shortest one of the wanted kind is looked for within them, breadth first.
//!
//! What distinguishes the kinds is which edges they are made of and where anti-dependencies may stand. So the search goes
//! over states, a transaction with the class of the edge by which it was reached, and never looks at whole paths.

use std::collections::VecDeque;

use super::graph::{ANTI, Edge, Graph, ORDER};

/// Where anti-dependencies may stand in a cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Anywhere.
    Anywhere,
    /// Not after another one: cycles of this kind no snapshot isolation has (Cerone and Gotsman, JACM 2018).
    NotAdjacent,
    /// Only of a transaction that began after the one before it had been acknowledged.
    AfterOrder,
}

/// A kind of cycle.
#[derive(Clone, Copy, Debug)]
pub struct Pattern {
    /// One edge at least is of these kinds.
    pub pivot: u8,
    /// The other edges are of these kinds.
    pub others: u8,
    /// Where anti-dependencies may stand.
    pub rule: Rule,
    /// Among the others is an anti-dependency.
    pub another_anti: bool,
}

/// A cycle: each transaction with the edge that leads to the next.
pub type Cycle = Vec<(u32, Edge)>;

/// The classes of edges a state remembers.
const CLASSES: usize = 3;

impl Pattern {
    fn allows(&self, kinds: u8, edge: &Edge, last: usize) -> bool {
        let kind = edge.kind as u8;
        if kinds & kind == 0 {
            return false;
        }
        kind & ANTI == 0
            || match self.rule {
                Rule::Anywhere => true,
                Rule::NotAdjacent => last != class(ANTI),
                Rule::AfterOrder => last == class(ORDER),
            }
    }
}

const fn class(kinds: u8) -> usize {
    if kinds & ANTI != 0 {
        1
    } else if kinds & ORDER != 0 {
        2
    } else {
        0
    }
}

/// The shortest cycle of this kind, if there is one.
pub fn shortest(graph: &Graph, pattern: &Pattern) -> Option<Cycle> {
    let components = components(graph, pattern);
    let mut search = Search { graph, pattern, components: &components, reached: Vec::new(), touched: Vec::new() };
    search.reached.resize(graph.edges.len() * CLASSES * 2, None);
    let mut best: Option<Cycle> = None;
    for (from, edges) in graph.edges.iter().enumerate() {
        for edge in edges.iter().filter(|edge| pattern.pivot & edge.kind as u8 != 0) {
            let len_max = best.as_ref().map_or(usize::MAX, |best| best.len() - 1);
            if len_max < 2 {
                return best;
            }
            // A walk that comes to a transaction twice is made of shorter cycles, of which one keeps the rule too: it is
            // found as itself, perhaps as another kind.
            if let Some(cycle) = search.close(from as u32, edge, len_max).filter(is_simple) {
                best = Some(cycle);
            }
        }
    }
    best
}

fn is_simple(cycle: &Cycle) -> bool {
    let mut transactions: Vec<u32> = cycle.iter().map(|(from, _)| *from).collect();
    transactions.sort_unstable();
    transactions.is_sorted_by(|one, next| one < next)
}

struct Search<'a> {
    graph: &'a Graph,
    pattern: &'a Pattern,
    components: &'a [u32],
    /// For each state how it was reached in the search under way: from which state, by which edge of it.
    reached: Vec<Option<(u32, u32)>>,
    touched: Vec<u32>,
}

/// Where a search begins.
const START: u32 = u32::MAX;

impl Search<'_> {
    /// The shortest way from the end of `pivot` back to `from`, if both together have at most `len_max` edges.
    fn close(&mut self, from: u32, pivot: &Edge, len_max: usize) -> Option<Cycle> {
        let component = self.components[pivot.to as usize * CLASSES + class(pivot.kind as u8)];
        let inside = |node: u32, last: usize| self.components[node as usize * CLASSES + last] == component;
        if component == u32::MAX || !(0..CLASSES).any(|last| inside(from, last)) {
            return None;
        }
        let start = state(pivot.to, class(pivot.kind as u8), false);
        self.reached[start as usize] = Some((START, 0));
        self.touched.push(start);
        let mut queue = VecDeque::from([(start, 1)]);
        let mut end = None;
        'search: while let Some((at, len)) = queue.pop_front() {
            let (node, last, more) = parts(at);
            if len >= len_max {
                break;
            }
            for (index, edge) in self.graph.edges[node as usize].iter().enumerate() {
                let reached_by = class(edge.kind as u8);
                if !self.pattern.allows(self.pattern.others, edge, last) || !inside(edge.to, reached_by) {
                    continue;
                }
                let more = more || reached_by == class(ANTI);
                let next = state(edge.to, reached_by, more);
                if self.reached[next as usize].is_some() {
                    continue;
                }
                self.reached[next as usize] = Some((at, index as u32));
                self.touched.push(next);
                if edge.to == from
                    && (more || !self.pattern.another_anti)
                    && self.pattern.allows(self.pattern.pivot, pivot, reached_by)
                {
                    end = Some(next);
                    break 'search;
                }
                queue.push_back((next, len + 1));
            }
        }
        let cycle = end.map(|end| self.path(end, from, pivot));
        for touched in self.touched.drain(..) {
            self.reached[touched as usize] = None;
        }
        cycle
    }

    fn path(&self, end: u32, from: u32, pivot: &Edge) -> Cycle {
        let mut cycle = Vec::new();
        let mut at = end;
        while let Some((before, index)) = self.reached[at as usize]
            && before != START
        {
            let (node, ..) = parts(before);
            cycle.push((node, self.graph.edges[node as usize][index as usize]));
            at = before;
        }
        cycle.push((from, *pivot));
        cycle.reverse();
        cycle
    }
}

fn state(node: u32, last: usize, more: bool) -> u32 {
    (node * CLASSES as u32 + last as u32) * 2 + u32::from(more)
}

fn parts(state: u32) -> (u32, usize, bool) {
    (state / 2 / CLASSES as u32, (state / 2) as usize % CLASSES, state % 2 == 1)
}

/// For each transaction and class of edge the number of its strongly connected component, `u32::MAX` when it is alone in
/// it. Without recursion, because histories are long.
fn components(graph: &Graph, pattern: &Pattern) -> Vec<u32> {
    const UNSEEN: u32 = u32::MAX;
    let count = graph.edges.len() * CLASSES;
    let kinds = pattern.pivot | pattern.others;
    let (mut index, mut low) = (vec![UNSEEN; count], vec![0u32; count]);
    let (mut component, mut on_stack) = (vec![UNSEEN; count], vec![false; count]);
    let (mut stack, mut calls): (Vec<usize>, Vec<(usize, usize)>) = (Vec::new(), Vec::new());
    let (mut next_index, mut next_component) = (0, 0);
    for root in 0..count {
        if index[root] != UNSEEN {
            continue;
        }
        calls.push((root, 0));
        while let Some((at, edge)) = calls.pop() {
            if edge == 0 {
                index[at] = next_index;
                low[at] = next_index;
                next_index += 1;
                stack.push(at);
                on_stack[at] = true;
            }
            let edges = &graph.edges[at / CLASSES];
            let mut descended = false;
            for (number, edge) in edges.iter().enumerate().skip(edge) {
                if !pattern.allows(kinds, edge, at % CLASSES) {
                    continue;
                }
                let to = edge.to as usize * CLASSES + class(edge.kind as u8);
                if index[to] == UNSEEN {
                    calls.push((at, number + 1));
                    calls.push((to, 0));
                    descended = true;
                    break;
                }
                if on_stack[to] {
                    low[at] = low[at].min(index[to]);
                }
            }
            if descended {
                continue;
            }
            if let Some(&(caller, _)) = calls.last() {
                low[caller] = low[caller].min(low[at]);
            }
            if low[at] != index[at] {
                continue;
            }
            let first = stack.iter().rposition(|&other| other == at).unwrap_or(0);
            let alone = stack.len() - first == 1;
            for member in stack.drain(first..) {
                on_stack[member] = false;
                component[member] = if alone { u32::MAX } else { next_component };
            }
            next_component += 1;
        }
    }
    component
}
