//! No step of an environment allocates: the hot path reuses what `new` made.

#[path = "support/seated.rs"]
mod seated;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use seated::{Actions, Buffer, names, seat};

thread_local! {
    /// Of this thread alone, since the harness allocates in its own.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is passed on to `System` as it came, so its guarantees are ours; counting touches a thread-local
// that is initialised at compile time and has no destructor, so it neither allocates nor outlives its thread.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller upholds what `System.alloc` asks of `layout`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: `block` came from `System` with this `layout`, since every method here passes on to it.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as for `dealloc`, and the caller upholds what `System.realloc` asks of `size`.
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn allocations_are_counted() {
    let before = ALLOCATIONS.get();
    let mut block = std::hint::black_box(vec![1u8; 10]);
    block.reserve_exact(1000);
    assert_eq!(ALLOCATIONS.get() - before, 2, "of {} bytes", block.capacity());
}

#[test]
fn no_step_allocates() {
    for (entry, name) in names() {
        let mut env = seat(entry, &name, 0, 0..4);
        let spec = env.spec().clone();
        let mut buffer = Buffer::new(&spec, 4, 0x55);
        let mut actions = Actions::new(&spec, 4, 0);
        env.reset(buffer.rows()).unwrap();
        let (mut steps, mut episodes) = (0, 0);
        for t in 0..2_000 {
            buffer.episodes.clear();
            let act = actions.draw(&spec);
            let rows = buffer.rows();
            let before = ALLOCATIONS.get();
            env.step(act, rows).unwrap();
            let allocations = ALLOCATIONS.get() - before;
            episodes += buffer.episodes.len();
            if !buffer.has_reset() {
                steps += 1;
                assert_eq!(allocations, 0, "{name}, step {t}");
            }
        }
        assert!(steps > 500, "{name}: {steps} rows without a reset, {episodes} episodes");
    }
}
