//! Histories from the papers, written as there: what each has, and which level is the first to proscribe it.

use std::collections::BTreeMap;

use lightning_db::Isolation;
use lightning_db::Isolation::{ReadCommitted, Serializable, Snapshot};

use super::anomalies::Anomaly::{self, *};
use super::anomalies::{find, violation};
use super::graph::Graph;
use super::history::{Event, History, Key, Outcome, Transaction, Version};

/// Reads a history as in the papers: `w1(x)`, `d1(x)` (delete), `r2(x)=1` (what T1 last wrote there), `r2(x)=-`,
/// `s2(a-c)=a1,b0` (a scan), `b1` (begin, else with the first operation), `c1`, `a1`. Versions of a key follow each other
/// as their writers commit, unless `order` says otherwise.
fn parse(text: &str, order: &[(char, &[u32])]) -> History {
    let mut history = History::default();
    let mut last: BTreeMap<(u32, Key), Version> = BTreeMap::new();
    let mut commits: Vec<u32> = Vec::new();
    for (moment, token) in text.split_whitespace().enumerate() {
        let (operation, answer) = token.split_once('=').unwrap_or((token, ""));
        let (head, keys) = operation.split_once('(').unwrap_or((operation, ""));
        let keys = keys.trim_end_matches(')');
        let number: u32 = head[1..].parse().unwrap();
        let key = keys.chars().next().map_or(0, key_of);
        while history.transactions.len() <= number as usize {
            history.transactions.push(Transaction { session: history.transactions.len() as u32, ..Default::default() });
        }
        let transaction = &mut history.transactions[number as usize];
        if transaction.began == 0 {
            transaction.began = moment as u64 + 1;
        }
        let seen = |key: Key, by: &str| by.parse().ok().map(|writer: u32| last[&(writer, key)]);
        match &head[..1] {
            "b" => {}
            "w" | "d" => {
                let nth = transaction.events.len() as u32 + 1;
                let version = Version { writer: number, nth, dead: &head[..1] == "d" };
                transaction.events.push(Event::Wrote { key, version });
                transaction.installs.retain(|(other, _)| *other != key);
                transaction.installs.push((key, version));
                last.insert((number, key), version);
            }
            "r" => {
                let own = last.get(&(number, key)).copied();
                let seen = seen(key, answer);
                transaction.events.push(match own {
                    Some(expected) => Event::ReadOwn { key, seen, expected: Some(expected) },
                    None => Event::Read { key, seen },
                });
            }
            "s" => {
                let to = keys.chars().last().map_or(0, key_of) + 1;
                let found = answer.split(',').filter(|entry| !entry.is_empty());
                let found = found.map(|entry| (key_of(entry.chars().next().unwrap()), &entry[1..]));
                let found = found.map(|(key, by)| (key, seen(key, by).unwrap())).collect();
                transaction.events.push(Event::Scanned { from: key, to, found, except: Vec::new() });
            }
            "c" => {
                transaction.outcome = Outcome::Committed;
                transaction.ended = Some(moment as u64 + 2);
                commits.push(number);
            }
            "a" => transaction.outcome = Outcome::Aborted,
            other => panic!("{other}"),
        }
    }
    let mut place = |key: Key, writer: u32| {
        let installs = &history.transactions[writer as usize].installs;
        let installed: Vec<_> = installs.iter().filter(|(other, _)| *other == key).map(|(_, v)| *v).collect();
        history.order.entry(key).or_default().extend(installed);
    };
    for (key, writers) in order {
        writers.iter().for_each(|writer| place(key_of(*key), *writer));
    }
    for key in (0..26).filter(|key| !order.iter().any(|(other, _)| key_of(*other) == *key)) {
        commits.iter().for_each(|writer| place(key, *writer));
    }
    history.order.retain(|_, versions| !versions.is_empty());
    history
}

fn key_of(name: char) -> Key {
    name as Key - 'a' as Key
}

/// The history has exactly these anomalies, and `weakest` is the weakest level that proscribes any.
fn check(text: &str, order: &[(char, &[u32])], expected: &[Anomaly], weakest: Option<Isolation>) {
    let history = parse(text, order);
    let found: Vec<Anomaly> = find(&history, Serializable).iter().map(|finding| finding.anomaly).collect();
    assert_eq!(found, expected, "{text}: {:#?}", find(&history, Serializable));
    for level in [ReadCommitted, Snapshot, Serializable] {
        let convicted = violation(&find(&history, level), level);
        let proscribed = weakest.is_some_and(|weakest| weakest as u8 <= level as u8);
        assert_eq!(convicted.is_some(), proscribed, "{text} at {level:?}: {convicted:?}");
    }
}

#[test]
fn a_serial_history_has_nothing() {
    check("w0(x) w0(y) c0 r1(x)=0 w1(x) c1 r2(x)=1 r2(y)=0 w2(y) s2(a-c)= c2 d3(x) c3 r4(x)=3 c4", &[], &[], None);
    check("", &[], &[], None);
}

#[test]
fn g0_write_cycle() {
    // Adya's H_wcycle.
    let text = "w1(x) w2(x) w2(y) c2 w1(y) c1";
    check(text, &[('x', &[1, 2]), ('y', &[2, 1])], &[WriteCycle], Some(ReadCommitted));
}

#[test]
fn g1a_aborted_read() {
    // Adya's H1', Berenson's A1.
    check("w1(x) r2(x)=1 a1 c2", &[], &[AbortedRead], Some(ReadCommitted));
    check("w1(x) s2(x-z)=x1 a1 c2", &[], &[AbortedRead], Some(ReadCommitted));
    check("w1(x) r2(x)=1 a1 a2", &[], &[], None);
}

#[test]
fn g1b_intermediate_read() {
    check("w1(x) r2(x)=1 w1(x) c1 c2", &[], &[IntermediateRead], Some(ReadCommitted));
    check("w1(x) r2(x)=1 d1(x) c1 c2", &[], &[IntermediateRead], Some(ReadCommitted));
}

#[test]
fn g1c_circular_information_flow() {
    check("w1(x) w2(y) r1(y)=2 r2(x)=1 c1 c2", &[], &[CircularFlow], Some(ReadCommitted));
    // A read one way, an overwrite the other.
    check("w1(x) r2(x)=1 w2(y) w1(y) c2 c1", &[], &[CircularFlow], Some(ReadCommitted));
}

#[test]
fn g_single_lost_update() {
    // Berenson's H4.
    check("w0(x) c0 r1(x)=0 r2(x)=0 w2(x) c2 w1(x) c1", &[], &[LostUpdate, ReadSkew], Some(Snapshot));
    // Both make what neither found.
    check("r1(x)=- r2(x)=- w2(x) c2 w1(x) c1", &[], &[LostUpdate, ReadSkew], Some(Snapshot));
}

#[test]
fn g_single_read_skew() {
    // Berenson's A5A, Adya's H2.
    let text = "w0(x) w0(y) c0 r1(x)=0 r2(x)=0 w2(x) r2(y)=0 w2(y) c2 r1(y)=2 c1";
    check(text, &[], &[ReadSkew], Some(Snapshot));
    // Berenson's A2, fuzzy read.
    check("w0(x) c0 r1(x)=0 w2(x) c2 r1(x)=2 c1", &[], &[ReadSkew], Some(Snapshot));
}

#[test]
fn g_single_phantom_read() {
    // Berenson's H3 (A3): the list is read, someone joins, the count is read.
    let text = "w0(z) c0 s1(a-c)= w2(a) r2(z)=0 w2(z) c2 r1(z)=2 c1";
    check(text, &[], &[PhantomRead], Some(Snapshot));
    check("s1(a-c)= w2(b) c2 s1(a-c)=b2 c1", &[], &[PhantomRead], Some(Snapshot));
    // One leaves: the deletion is an overwrite of what was read.
    check("w0(b) c0 s1(a-c)=b0 d2(b) c2 s1(a-c)=b2 c1", &[], &[ReadSkew], Some(Snapshot));
}

#[test]
fn g_nonadjacent_long_fork() {
    let text = "w0(x) w0(y) c0 b3 b4 b2 b1 w1(x) c1 w2(y) c2 r3(x)=1 r3(y)=0 c3 r4(x)=0 r4(y)=2 c4";
    check(text, &[], &[Nonadjacent, WriteSkew], Some(Snapshot));
}

#[test]
fn g2_item_write_skew() {
    // Berenson's H5.
    let text = "w0(x) w0(y) c0 r1(x)=0 r1(y)=0 r2(x)=0 r2(y)=0 w1(y) w2(x) c1 c2";
    check(text, &[], &[WriteSkew], Some(Serializable));
    // Fekete, O'Neil and O'Neil, "A Read-Only Transaction Anomaly Under Snapshot Isolation", 2004.
    let text = "w0(x) w0(y) c0 r2(x)=0 r2(y)=0 r1(y)=0 w1(y) c1 r3(x)=0 r3(y)=1 c3 w2(x) c2";
    check(text, &[], &[WriteSkew], Some(Serializable));
}

#[test]
fn g2_phantom() {
    // Each finds the other's range empty and puts something into its own.
    check("s1(a-c)= s2(d-f)= w1(d) w2(a) c1 c2", &[], &[PhantomSkew], Some(Serializable));
    // One predicate, one key.
    check("w0(x) c0 s1(a-c)= r2(x)=0 w1(x) w2(a) c1 c2", &[], &[PhantomSkew], Some(Serializable));
    // What was deleted before comes again.
    check("w0(a) c0 d3(a) c3 s1(a-c)=a3 s2(d-f)= w1(d) w2(a) c1 c2", &[], &[PhantomSkew], Some(Serializable));
}

#[test]
fn a_transaction_sees_what_was_acknowledged_before_it_began() {
    check("w0(x) c0 w1(x) c1 r2(x)=0 c2", &[], &[RealTime], Some(ReadCommitted));
    check("w1(x) c1 s2(x-z)= c2", &[], &[RealTime], Some(ReadCommitted));
    // Two that run at once may see each other or not.
    check("w0(x) c0 b2 w1(x) c1 r2(x)=0 c2", &[], &[], None);
    // Seen without what was acknowledged before it began: no snapshot of any moment is so.
    check("w0(x) w0(y) c0 b2 r1(x)=0 w1(y) c1 b3 w3(x) c3 r2(x)=3 r2(y)=0 c2", &[], &[WriteSkew], Some(Snapshot));
    // T2 began with T1 and missed it, and saw T3, which was acknowledged before: snapshots may be so.
    check("w0(x) w0(y) c0 b2 w3(x) c3 w1(y) c1 r2(x)=3 r2(y)=0 c2", &[], &[], None);
}

#[test]
fn a_transaction_sees_its_own_writes() {
    check("w0(x) c0 w1(x) r1(x)=0 c1", &[], &[Internal], Some(ReadCommitted));
    check("w1(x) r1(x)=1 c1", &[], &[], None);
}

#[test]
fn the_order_of_versions_is_recovered_from_what_was_read_before_writing() {
    let texts = [
        "w0(x) c0 r1(x)=0 w1(x) c1 r2(x)=1 w2(x) c2 r3(x)=2 c3",
        "r0(x)=- r0(y)=- w0(x) w0(y) c0 r1(x)=0 r2(x)=0 w2(x) r2(y)=0 w2(y) c2 r1(y)=2 c1",
        "r0(x)=- r0(y)=- w0(x) w0(y) c0 r1(x)=0 r1(y)=0 r2(x)=0 r2(y)=0 w1(y) w2(x) c1 c2",
        "s1(a-c)= s2(d-f)= r1(d)=- w1(d) r2(a)=- w2(a) c1 c2",
    ];
    for text in texts {
        let known = parse(text, &[]);
        let recovered = History { order: BTreeMap::new(), ..known.clone() };
        let names = |history| find(history, Serializable).iter().map(|finding| finding.anomaly).collect::<Vec<_>>();
        assert_eq!(names(&known), names(&recovered), "{text}");
    }
    // Of two that wrote over one version nobody knows which was first.
    let mut lost = parse("r0(x)=- w0(x) c0 r1(x)=0 r2(x)=0 w2(x) c2 w1(x) c1", &[]);
    lost.order.clear();
    assert_eq!(find(&lost, Snapshot)[0].anomaly, LostUpdate);
    assert!(violation(&find(&lost, Snapshot), Snapshot).is_some());
    assert!(violation(&find(&lost, ReadCommitted), ReadCommitted).is_none());
}

#[test]
fn an_unknown_outcome_counts_once_something_of_it_is_seen() {
    let mut history = parse("w0(x) c0 w1(x) w1(y) r2(x)=1 r2(y)=- c2", &[('y', &[])]);
    history.transactions[1].outcome = Outcome::Unknown;
    history.order.clear();
    assert!(Graph::new(&history).committed[1]);
    history.transactions[2].events.clear();
    assert!(!Graph::new(&history).committed[1]);
}

#[test]
fn a_cycle_is_told_in_words() {
    let history = parse("w0(x) w0(y) c0 r1(x)=0 r1(y)=0 r2(x)=0 r2(y)=0 w1(y) w2(x) c1 c2", &[]);
    let words = violation(&find(&history, Serializable), Serializable).unwrap();
    let expected = "\
G2-item, write skew at level Serializable, which proscribes it:
  T1 read k23 as it was before T2 wrote it (rw, saw T0.1)
  T2 read k24 as it was before T1 wrote it (rw, saw T0.2)
    T1, session 1, Committed, from 4 to 11: read k23 = T0.1; read k24 = T0.2; write k24 = T1.3
    T2, session 2, Committed, from 6 to 12: read k23 = T0.1; read k24 = T0.2; write k23 = T2.3";
    assert_eq!(words, expected);
}

#[test]
fn long_histories_take_time_in_proportion() {
    // A chain of read-modify-writes, with a cycle at its far end; without recursion and without looking at it all again.
    let mut text = String::from("w0(x) c0 ");
    for number in 1..20_000 {
        text += &format!("r{number}(x)={} w{number}(x) c{number} ", number - 1);
    }
    check(&text, &[], &[], None);
}
