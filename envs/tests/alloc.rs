//! No step of an environment allocates: the hot path reuses what `new` made.

#[path = "support/counting.rs"]
mod counting;
#[path = "support/seated.rs"]
mod seated;

use counting::allocations;
use seated::{Actions, RowsBuf, names, seat};

#[test]
fn allocations_are_counted() {
    let before = allocations();
    let mut block = std::hint::black_box(vec![1u8; 10]);
    block.reserve_exact(1000);
    assert_eq!(allocations() - before, 2, "of {} bytes", block.capacity());
}

#[test]
fn no_step_allocates() {
    for (entry, name) in names() {
        let mut env = seat(entry, &name, 0, 0..4);
        let spec = env.spec().clone();
        let mut buffer = RowsBuf::new(&spec, 4);
        buffer.episodes.reserve(1024);
        let mut actions = Actions::new(&spec, 4, 0);
        env.listen(0); // one seat is heard, where there is something to hear
        env.reset(buffer.rows()).unwrap();
        let (mut steps, mut episodes) = (0, 0);
        for t in 0..2_000 {
            if t == 1_000 {
                // As a run that goes on: what is loaded comes without room for more.
                for n in 0..env.seats() {
                    let mut state = Vec::new();
                    env.save(n, &mut state).unwrap();
                    env.load(n, &state).unwrap();
                }
            }
            buffer.episodes.clear();
            let act = actions.draw(&spec);
            let rows = buffer.rows();
            let before = allocations();
            env.step(act, rows).unwrap();
            let allocations = allocations() - before;
            episodes += buffer.episodes.len();
            if !buffer.age.contains(&0) {
                steps += 1;
                assert_eq!(allocations, 0, "{name}, step {t}");
            }
        }
        assert!(steps > 100, "{name}: {steps} rows without a reset, {episodes} episodes");
    }
}
