//! The publication of weights in every order in which its threads can meet: `make sanitize` builds this with `--cfg loom`.
#![cfg(loom)]
#![forbid(unsafe_code)]

// Private to the crate; here it finds loom's locks and counters in place of the standard ones.
#[path = "../src/published/exchange.rs"]
mod exchange;

use exchange::{Exchange, Place};
use loom::sync::{Arc, Mutex, MutexGuard};
use loom::thread;

/// Weights that all are the version.
struct Snapshot {
    version: u64,
    values: Vec<u64>,
}

/// Publishes versions 1 to `last`, each in the memory of one that nobody reads.
fn publish(exchange: &mut Exchange<Snapshot>, last: u64) {
    for version in 1..=last {
        let mut values = exchange.spare().map_or_else(|| vec![0; 2], |spare| spare.values);
        values.fill(version);
        exchange.replace(Snapshot { version, values });
    }
}

/// Looks `times` times, and returns the last version.
fn follow(place: &Place<Snapshot>, times: u32) -> u64 {
    let mut last = 0;
    for _ in 0..times {
        let Some(newest) = place.newest() else { continue };
        assert!(newest.version >= last, "{} after {last}", newest.version);
        assert!(newest.values.iter().all(|&value| value == newest.version), "half of {}", newest.version);
        last = newest.version;
    }
    last
}

#[test]
fn two_followers_see_whole_snapshots_in_their_order() {
    loom::model(|| {
        let mut exchange = Exchange::default();
        let places = [exchange.place(), exchange.place()];
        let followers = places.map(|place| thread::spawn(move || follow(&place, 1)));
        publish(&mut exchange, 2);
        followers.into_iter().for_each(|follower| assert!(follower.join().unwrap() <= 2));
    });
}

#[test]
fn a_follower_that_looks_again_never_goes_back_and_ends_with_the_newest() {
    loom::model(|| {
        let mut exchange = Exchange::default();
        let place = exchange.place();
        let follower = thread::spawn(move || {
            let seen = follow(&place, 2);
            (place, seen)
        });
        publish(&mut exchange, 3);
        let (place, seen) = follower.join().unwrap();
        assert!(seen <= 3);
        assert_eq!(follow(&place, 1), 3);
        assert!(exchange.is_followed());
        drop(place);
        assert!(!exchange.is_followed());
        assert!(exchange.spare().is_some(), "nobody reads what was replaced");
    });
}

#[test]
fn memory_that_is_read_is_not_written_over() {
    loom::model(|| {
        let mut exchange = Exchange::default();
        publish(&mut exchange, 1);
        let place = exchange.place();
        let reader = thread::spawn(move || {
            let newest = place.newest().unwrap();
            let before = newest.values[0];
            loom::thread::yield_now();
            assert_eq!(newest.values, [before; 2]);
        });
        publish(&mut exchange, 3);
        reader.join().unwrap();
    });
}
